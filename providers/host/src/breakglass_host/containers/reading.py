"""Reads a container twice over: what its engine says, and what the kernel says of its processes.

An engine that hangs hides nothing that was signed: the cgroups named in the plan are read all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from breakglass.canon import Json
from breakglass.errors import Denied, MalformedInput, ProviderError
from breakglass.model.resource import Resource, State
from breakglass_host import cgroup, procfs, tree
from breakglass_host.cgroup import Hierarchy
from breakglass_host.containers import facts
from breakglass_host.containers.engine import ID, Engine, parse
from breakglass_host.containers.facts import Container

UNKNOWN, GONE = "unknown", "gone"
_ASK_S = 3.0


@dataclass(frozen=True, slots=True)
class Named:
    """What was signed: a name, and the containers that it meant when planning."""

    engine: Engine
    name: str
    cgroups: Mapping[str, str]
    """The v2 cgroup of each container by its id; empty: it had none of its own."""
    policies: Mapping[str, str]
    """What each was to do when it ends, when planning."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One container in a state."""

    id: str
    name: str
    status: str
    """The engine's own word; ``gone``: it knows no such container; ``unknown``: it says nothing."""
    restart: str
    cgroup: str = ""
    freeze: bool = False
    frozen: bool = False
    populated: bool = False
    alive: bool = False
    """Its first process lives."""
    removes_itself: bool = False
    unit: str = ""

    @property
    def lives(self) -> bool:
        """Return True while anything of it lives."""
        return self.populated or self.alive

    @property
    def is_frozen(self) -> bool:
        """Return what the kernel says, and what the engine says where there is no cgroup of its own."""
        return self.frozen if self.cgroup else self.status == "paused"

    def to_json(self) -> dict[str, Json]:
        """Return what is recorded."""
        return {key: getattr(self, key) for key in self.__slots__ if key != "id"}


def named(resource: Resource) -> Named:
    """Read the signed target.

    Raises:
        MalformedInput: the parameters are not those of a container.
    """
    params = resource.params
    try:
        engine, name = parse(f"{params.get('engine')}:{params.get('name')}")
    except ProviderError as error:
        raise MalformedInput(error.what, where=resource.id) from error
    cgroups, policies = (_texts(params.get("containers"), key, resource.id) for key in ("cgroup", "restart"))
    if any(path and tree.complaint(path) for path in cgroups.values()):
        raise MalformedInput("a cgroup is not a plain v2 path", where=resource.id)
    return Named(engine, name, cgroups, policies)


def read(resource: Resource, timeout_s: float = _ASK_S) -> State:
    """Read every container that the name means now and every one that is signed.

    Each run of a container is an object too: what starts and ends all the time never gives two equal reads.
    """
    wanted, hierarchy = named(resource), cgroup.find()
    try:
        found = facts.find(wanted.engine, wanted.name, wanted.cgroups, timeout_s)
        why = ""
    except ProviderError as error:
        found, why = (), error.what[:300]
    objects: dict[str, Json] = {"engine": {"answers": not why, "why": why}}
    told = {one.id: one for one in found}
    for one in dict.fromkeys((*told, *wanted.cgroups)):
        if one in told:
            seen = _told(told[one], wanted, hierarchy)
            objects[f"run:{one[:12]} {told[one].started}"] = True
        else:
            seen = _untold(one, wanted, hierarchy, is_gone=not why)
        objects[f"container:{one}"] = seen.to_json()
    return State(objects)


def seen_in(state: State) -> tuple[Seen, ...]:
    """Return the containers of a state."""
    found = []
    for key, value in state.objects.items():
        if key.startswith("container:") and isinstance(value, Mapping):
            texts = {
                name: str(value.get(name, "")) for name in ("name", "status", "restart", "cgroup", "unit")
            }
            flags = {
                name: value.get(name) is True
                for name in ("freeze", "frozen", "populated", "alive", "removes_itself")
            }
            found.append(Seen(id=key.removeprefix("container:"), **texts, **flags))  # type: ignore[arg-type]  # mypy cannot match two mappings to fields
    return tuple(found)


def _from_json(one: str, value: Mapping[str, Json]) -> Seen:
    def text(key: str) -> str:
        return str(value.get(key, ""))

    def flag(key: str) -> bool:
        return value.get(key) is True

    return Seen(
        id=one,
        name=text("name"),
        status=text("status"),
        restart=text("restart"),
        cgroup=text("cgroup"),
        freeze=flag("freeze"),
        frozen=flag("frozen"),
        populated=flag("populated"),
        alive=flag("alive"),
        removes_itself=flag("removes_itself"),
        unit=text("unit"),
    )


def silence(state: State) -> str:
    """Return why the engine did not answer; empty: it did."""
    found = state.objects.get("engine")
    if not isinstance(found, Mapping) or found.get("answers") is not True:
        return str(found.get("why")) if isinstance(found, Mapping) else "the engine was not asked"
    return ""


def own_cgroup(one: Container) -> str:
    """Return the v2 cgroup that is this container's alone: the part of its path that carries its id."""
    parts = (procfs.cgroup(one.pid) or "").split("/") if one.pid else []
    at = next((n for n, part in enumerate(parts) if one.id in part), 0)
    path = "/".join(parts[: at + 1]) if at else ""
    return "" if tree.complaint(path) else path


def refuse_own(path: str) -> None:
    """Refuse to act on a cgroup that the executor, a parent of it or process 1 lives in.

    Raises:
        Denied: one does.
    """
    table = procfs.scan()
    for pid in (1, os.getpid(), *procfs.ancestors(table, os.getpid())):
        own = procfs.cgroup(pid)
        if own is not None and cgroup.is_at_or_below(own, path):
            raise Denied(f"refused: cgroup {path} holds process {pid}, the executor, its parent or process 1")


def _told(one: Container, wanted: Named, hierarchy: Hierarchy | None) -> Seen:
    path = own_cgroup(one) or wanted.cgroups.get(one.id, "")
    first = procfs.process(one.pid) if one.pid else None
    found = Seen(
        id=one.id,
        name=one.name,
        status=one.status,
        restart=one.restart,
        alive=first is not None and first.alive,
        removes_itself=one.removes_itself,
        unit=one.unit,
    )
    return _with_kernel(found, path, hierarchy)


def _untold(one: str, wanted: Named, hierarchy: Hierarchy | None, *, is_gone: bool) -> Seen:
    """Describe one that was signed, and that its engine does not know any more, or says nothing about."""
    restart = "no" if is_gone else wanted.policies.get(one, UNKNOWN)
    found = Seen(one, wanted.name, GONE if is_gone else UNKNOWN, restart)
    return _with_kernel(found, wanted.cgroups.get(one, ""), hierarchy)


def _with_kernel(one: Seen, path: str, hierarchy: Hierarchy | None) -> Seen:
    events = hierarchy.events(path) if hierarchy is not None and path else None
    return replace(
        one,
        cgroup=path,
        freeze=bool(hierarchy is not None and path and hierarchy.is_set_to_freeze(path)),
        frozen=events is not None and events.frozen,
        populated=events is not None and events.populated,
    )


def _texts(value: Json, key: str, where: str) -> dict[str, str]:
    """Return one word of each signed container by its id; keys of a plan are words of ours, never ids."""
    if not isinstance(value, list | tuple):
        raise MalformedInput("the signed containers are not listed", where=where)
    pairs = [(one.get("id"), one.get(key)) for one in value if isinstance(one, Mapping)]
    found = {
        name: text
        for name, text in pairs
        if isinstance(name, str) and ID.fullmatch(name) and isinstance(text, str)
    }
    if len(found) != len(value):
        raise MalformedInput("a signed container has no id", where=where)
    return found
