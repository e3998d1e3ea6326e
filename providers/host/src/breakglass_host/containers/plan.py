"""Turns the containers that the inventory names into steps, doors and what is left alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Connection, Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_host import cgroup, safepath
from breakglass_host.actions import container_evidence, container_pause, container_policy, container_stop
from breakglass_host.containers import engine, facts, plan_egress, powers, reading
from breakglass_host.containers.engine import Engine
from breakglass_host.containers.facts import Container

_ASK_S = 10.0
_FREEZE_WAIT_S = 5.0
_SNAPSHOT_WAIT_S = 20.0
_DEADLINES = {"pause": 30.0, "policy": 30.0, "stop": 60.0}


@dataclass(frozen=True, slots=True)
class _Found:
    engine: Engine
    name: str
    containers: tuple[Container, ...]

    @property
    def label(self) -> str:
        return f"{self.engine.name}:{self.name}"


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a container is a tree of its own
    """Propose pause, evidence, policy and end for each container that the inventory names."""
    settings = connection.reach.settings
    units = _texts(settings.get("units")) | _texts([settings.get("unit")])
    units |= {one.removeprefix("unit:") for one in _texts(settings.get("deployers"))}
    found = Proposed()
    for entry in sorted(_texts(settings.get("containers"))):
        found = found.plus(_entry(connection, entry, units))
    return found


def _entry(connection: Connection, entry: str, units: set[str]) -> Proposed:
    try:
        kind, name = engine.parse(entry)
    except ProviderError as error:
        return _open(entry, error.what, "correct the inventory")
    if kind.program is None:
        remedy = f"install {kind.name}'s own program, or correct the inventory"
        return _open(entry, f"{kind.name} is not installed on this host", remedy)
    try:
        seen = _Found(kind, name, facts.find(kind, name, (), _ASK_S))
        for path in filter(None, map(reading.own_cgroup, seen.containers)):
            reading.refuse_own(path)
    except Denied as error:
        return _open(entry, error.what, "run the executor outside of it")
    except ProviderError as error:
        return Proposed(incomplete=(f"container {entry}: {error.what}"[:500],))
    if not seen.containers:
        why = f"{kind.name} knows no such container: it may run elsewhere"
        return _open(entry, why, "correct the inventory, or look where the agent runs")
    return _steps(connection, seen).plus(Proposed(doors=_doors(seen, units), not_touched=_left(seen)))


def _steps(connection: Connection, found: _Found) -> Proposed:
    target = _target(found)
    limit = str(target.params["limit"])
    end_key = f"end:{found.label}"
    pause = Proposal(
        key=f"pause:{found.label}",
        action=container_pause.SPEC.name,
        target=target,
        best_grade=Grade.NONE if limit else None,
        deadline_s=_DEADLINES["pause"],
        moot_by=() if limit else (end_key,),
    )
    snapshot = Proposal(
        key=f"snapshot:{found.label}",
        action=container_evidence.SPEC.name,
        target=target,
        after=(WaitFor(pause.key, _FREEZE_WAIT_S),),
    )
    can_update = container_policy.can_update(found.engine)
    policy = (
        Proposal(
            key=f"policy:{found.label}",
            action=container_policy.SPEC.name,
            target=target,
            best_grade=Grade.NONE if limit else None,
            deadline_s=_DEADLINES["policy"],
        ),
    )
    stop = Proposal(
        key=end_key,
        action=container_stop.SPEC.name,
        target=target,
        after=(WaitFor(pause.key, _FREEZE_WAIT_S), WaitFor(snapshot.key, _SNAPSHOT_WAIT_S)),
        best_grade=Grade.NONE if limit else None,
        deadline_s=_DEADLINES["stop"],
    )
    cuts = [
        plan_egress.propose(connection, one, found.label, limit, pause=pause.key, end=end_key)
        for one in found.containers
    ]
    return Proposed((pause, *chain.from_iterable(cuts), snapshot, *(policy if can_update else ()), stop))


def _target(found: _Found) -> Resource:
    limits = [f"{one.name}: {why}" for one in found.containers for why in powers.of(one)]
    params: dict[str, Json] = {
        "engine": found.engine.name,
        "name": found.name,
        "containers": [
            {"id": one.id, "cgroup": reading.own_cgroup(one), "restart": one.restart}
            for one in found.containers
        ],
        "limit": f"{limits[0]}: it has the executor's own privilege"[:400] if limits else "",
    }
    return Resource("container", found.label, f"container {found.label}", params)


def _doors(found: _Found, units: set[str]) -> tuple[ProposedDoor, ...]:
    doors: list[Door] = []
    for one in found.containers:
        label = f"container {found.engine.name}:{one.name}"
        doors.extend(_privileged(f"{label}: {why}") for why in powers.of(one))
        if one.unit and one.unit not in units:
            doors.append(_relaunch(f"{label}: unit {one.unit}", "name that unit in the inventory's units"))
        if one.keeper:
            doors.append(_relaunch(f"{label}: {one.keeper}", f"stop it by {one.keeper}"))
        if one.restart not in ("no", "") and not container_policy.can_update(found.engine):
            doors.extend(container_policy.at_boot(label, one, units))
    return tuple(ProposedDoor(door) for door in doors)


def _privileged(name: str) -> Door:
    return Door(
        DoorKind.PRIVILEGED,
        name[:500],
        "it has the executor's own privilege here, so no step on this host is proof",
        "stop it from outside: power the host off, or cut it off at the network",
        "whoever runs this host",
        (),
        Verdict.UNKNOWN,
    )


def _relaunch(name: str, remedy: str) -> Door:
    reason = "it keeps the container, and may start it again"
    return Door(DoorKind.NO_STEP, name[:500], reason, remedy, "", (), Verdict.UNKNOWN)


def _left(found: _Found) -> tuple[NotTouched, ...]:
    left = []
    for one in found.containers:
        label = f"container {found.engine.name}:{one.name}"
        if one.removes_itself:
            why = "made with --rm: ending it would delete its file system, so it is only frozen"
            left.append(NotTouched(label, why))
        if powers.shares_network(one):
            why = "it is the host's own: only what the container sends is refused in it"
            left.append(NotTouched(f"network of {label}", why))
        if cgroup.find() is None or not reading.own_cgroup(one):
            left.append(NotTouched(f"cgroup of {label}", "it has none of its own in v2: its engine's word"))
    return tuple(left)


def _open(entry: str, reason: str, remedy: str) -> Proposed:
    name = f"container {safepath.shown(entry)[:500]}"
    return Proposed(
        doors=(ProposedDoor(Door(DoorKind.NO_STEP, name, reason, remedy, "", (), Verdict.UNKNOWN)),)
    )


def _texts(value: Json) -> set[str]:
    return {one for one in value if isinstance(one, str)} if isinstance(value, list | tuple) else set()


ACTION_CLASSES = (
    *container_pause.ACTION_CLASSES,
    *container_evidence.ACTION_CLASSES,
    *container_policy.ACTION_CLASSES,
    *container_stop.ACTION_CLASSES,
)
SPECS = (container_pause.SPEC, container_evidence.SPEC, container_policy.SPEC, container_stop.SPEC)
