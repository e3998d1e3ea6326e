"""Says which instances a step means: one that the inventory names, or all that a group holds when it runs.

A group's step keeps the instances that the group held when the plan was made as well: one that is abandoned
by its group during the stop does not get away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError, Transient
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Notes, Proposed
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

T = TypeVar("T")
ZONE_OPERATIONS = ("compute.zoneOperations.get",)
GROUP_OPERATIONS = ("compute.regionOperations.get", "compute.zoneOperations.get")
INSTANCE_READS = ("compute.instanceGroupManagers.get", "compute.instances.get")
ON = frozenset({"RUNNING", "PROVISIONING", "STAGING", "PENDING", "REPAIRING", "PENDING_STOP"})
"""PENDING_STOP is a graceful shutdown: the guest goes on working for up to an hour (Compute Engine v1,
noGracefulShutdown)."""
OFF = frozenset({"SUSPENDED", "TERMINATED", "STOPPED"})
MADE = frozenset(
    {"CREATING", "CREATING_WITHOUT_RETRIES", "RECREATING", "RESTARTING", "RESUMING", "STARTING", "VERIFYING"}
)
"""What a group does with an instance that it makes or brings back."""
LONGEST_FILTER = 4000
"""It goes into the address of a call."""
PAUSES_S = (0.2, 0.3, 0.5, 0.8)
"""Together less than two seconds."""
ALONE = 10
"""So many that a listing did not tell are read one by one; a stop does not wait for more."""
_ZONE = re.compile(r"[a-z]+-[a-z]+\d+-[a-z]")
_CREATED_BY = re.compile(r"projects/[^/]+/(?:zones|regions)/([^/]+)/instanceGroupManagers/([^/]+)")
_MEMBER = re.compile(r".*/?zones/([^/]+)/instances/([^/]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """What a step of the agent's instances acts on."""

    key: str
    """``instance/ZONE/NAME`` or ``group/PLACE/NAME``."""
    names: tuple[str, ...]
    """ZONE/NAME of each, at planning."""
    group: str = ""
    """PLACE/NAME of the group whose members are meant; empty: the one instance alone."""
    found: Mapping[str, Any] = field(default_factory=dict)
    """The instances as they were at planning, by name; without those that did not answer."""

    @property
    def shown(self) -> str:
        """Return it in words."""
        return f"instance group {self.group}" if self.group else f"instance {self.names[0]}"

    @property
    def ids(self) -> list[Json]:
        """Return each instance as it was read: [ZONE/NAME, id]."""
        return [[name, str(one.id)] for name, one in sorted(self.found.items())]

    def resource(self, project: Project, what: str, label: str = "", **more: Json) -> Resource:
        """Return the resource of a step; `what` keeps the ids of different steps apart."""
        params: dict[str, Json] = {"instances": [*self.names], "group": self.group, **more}
        if not self.group:
            params["ids"] = self.ids
        return project.target("gcp-instance", f"{what}/{self.key}", label or self.shown, **params)


def targets(project: Project, found: Found) -> tuple[tuple[Target, ...], Proposed]:
    """Return a target for each instance and group that the agent has; what is gone, and what was not read.

    What does not answer now has its steps all the same: it may answer when they run.
    """
    notes, made = Notes(), list[Target]()
    gone: list[NotTouched] = []
    held_by_groups: set[str] = set()
    unread: Mapping[str, Any] | None = {}
    for name in found.of("instance_groups"):
        held = notes.attempt(partial(members, project, name), unread)
        if held is None:
            gone.append(NotTouched(f"instance group {name}", f"there is none in {name.partition('/')[0]}"))
            continue
        read = _read(project, sorted(held), notes)
        held_by_groups.update(read)
        made.append(Target(f"group/{name}", tuple(read), name, _there(read)))
    alone = [name for name in found.of("instances") if name not in held_by_groups]
    read = _read(project, alone, notes)
    for name in alone:
        if name in read:
            made.append(Target(f"instance/{name}", (name,), "", _there({name: read[name]})))
        else:
            gone.append(NotTouched(f"instance {name}", f"there is none in {name.partition('/')[0]}"))
    return tuple(made), Proposed(not_touched=tuple(gone), incomplete=tuple(notes.incomplete))


def _read(project: Project, names: Sequence[str], notes: Notes) -> dict[str, Any]:
    """Return instances that are not gone by name; None for one that was not read."""
    read: dict[str, Any] = {}
    for name in names:
        failed = len(notes.incomplete)
        one = notes.attempt(partial(instance, project, name), None)
        if one is not None or len(notes.incomplete) > failed:
            read[name] = one
    return read


def _there(read: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: one for name, one in read.items() if one is not None}


def live(project: Project, resource: Resource) -> dict[str, Any]:
    """Return the instances of a step that are there now, by ZONE/NAME."""
    names = dict.fromkeys(texts(resource.params.get("instances")))
    group = str(resource.params.get("group") or "")
    if group:
        names |= dict.fromkeys(sorted(members(project, group) or ()))
    return read_all(project, resource, names)


def read_all(project: Project, resource: Resource, names: Iterable[str]) -> dict[str, Any]:
    """Return the instances of these names that are there, by ZONE/NAME, and what was renamed since the plan.

    An instance that is off can be renamed and started again; it keeps its id, and is found by it (Compute
    Engine v1 discovery document, instances.setName; the pattern of ``instance`` takes a name or an id).
    """
    read = {name: instance(project, name) for name in names}
    there = {name: one for name, one in read.items() if one is not None}
    ids = resource.params.get("ids")
    for name, id_ in (texts(one) for one in (ids if isinstance(ids, list) else [])):
        if name in read and (name not in there or str(there[name].id) != id_):
            zone = name.partition("/")[0]
            if (renamed := instance(project, f"{zone}/{id_}")) is not None:
                there[f"{zone}/{renamed.name}"] = renamed
    return there


def instance(project: Project, name: str) -> Any:  # noqa: ANN401 - Google's messages have no types here
    """Return an instance by ZONE/NAME; None: there is none."""
    try:
        return project.call("instances", "get", request(project, name))
    except Gone:
        return None


def instances(project: Project, names: Iterable[str], pauses: list[float]) -> dict[str, Any]:
    """Return instances by ZONE/NAME in few calls; what is gone, or cannot be read now, is not in it."""
    wanted = dict.fromkeys(names)
    read: dict[str, Any] = {}
    for zone, asked in filters(wanted):
        looked = {"project": project.id, "zone": zone, "filter": asked}
        try:
            listing = again(project, partial(project.every, "instances", "list", looked), pauses)
        except ProviderError:
            continue
        read |= {f"{zone}/{one.name}": one for one in listing.items if f"{zone}/{one.name}" in wanted}
    for name in [one for one in wanted if one not in read][:ALONE]:
        try:
            one = again(project, partial(instance, project, name), pauses)
        except ProviderError:
            continue
        if one is not None:
            read[name] = one
    return read


def again(project: Project, read: Callable[[], T], pauses: list[float]) -> T:
    """Read what only a restore needs; where that fails for a moment, again after each pause that is left.

    It is read before anything is turned off, since the journal keeps what was before: so not for long. The
    pauses are taken out of the list, for all reads of one look together.

    Raises:
        ProviderError: it cannot be read, or not so soon.
    """
    while True:
        try:
            return read()
        except Transient:
            if not pauses:
                raise
        project.connection.clock.sleep(pauses.pop(0))


def filters(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Return zones and the filters that leave these names (Compute Engine v1, instances.list, filter)."""
    made: dict[str, list[str]] = {}
    for zone, _, short in (name.partition("/") for name in names):
        term, parts = f'(name = "{short}")', made.setdefault(zone, [""])
        if len(parts[-1]) + len(term) > LONGEST_FILTER:
            parts.append("")
        parts[-1] = f"{parts[-1]} OR {term}" if parts[-1] else term
    return [(zone, part) for zone, parts in made.items() for part in parts]


def request(project: Project, name: str) -> dict[str, object]:
    """Return what names an instance in a request."""
    zone, _, short = name.partition("/")
    return {"project": project.id, "zone": zone, "instance": short}


def group_of(one: Any) -> str:  # noqa: ANN401 - as above
    """Return PLACE/NAME of the managed group that made an instance; empty: none did.

    The key ``created-by`` of its metadata is set by the group (Compute Engine documentation, "Getting
    information about managed instance groups").
    """
    for item in one.metadata.items:
        found = _CREATED_BY.fullmatch(item.value) if item.key == "created-by" else None
        if found:
            return f"{found[1]}/{found[2]}"
    return ""


def is_zonal(group: str) -> bool:
    """Return whether PLACE/NAME lies in a zone; else in a region."""
    return _ZONE.fullmatch(group.partition("/")[0]) is not None


def group_service(group: str) -> str:
    """Return the service that a group is called through."""
    return "instance_groups" if is_zonal(group) else "region_instance_groups"


def group_request(project: Project, group: str) -> dict[str, object]:
    """Return what names a group in a request."""
    place, _, name = group.partition("/")
    kind = "zone" if is_zonal(group) else "region"
    return {"project": project.id, kind: place, "instance_group_manager": name}


def manager(project: Project, group: str) -> Any:  # noqa: ANN401 - as above
    """Return a managed group; None: there is none."""
    try:
        return project.call(group_service(group), "get", group_request(project, group))
    except Gone:
        return None


def members(project: Project, group: str) -> Mapping[str, Any] | None:
    """Return the managed instances of a group by ZONE/NAME; None: there is no such group."""
    try:
        listing = project.every(group_service(group), "list_managed_instances", group_request(project, group))
    except Gone:
        return None
    found = ((_MEMBER.fullmatch(str(one.instance)), one) for one in listing.items)
    return {f"{match[1]}/{match[2]}": one for match, one in found if match}


def urls(project: Project, names: Iterable[str]) -> list[str]:
    """Return instances as a group's methods take them."""
    return [
        f"{project.name}/zones/{zone}/instances/{name}" for zone, _, name in (n.partition("/") for n in names)
    ]


def texts(value: Json) -> Sequence[str]:
    """Return the texts of a list of JSON."""
    return [str(one) for one in value] if isinstance(value, list) else []
