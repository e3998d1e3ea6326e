"""Turns the agent's tree, as it stands now, into steps, doors and what is left alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from breakglass.canon import Json
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Connection, Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_host import cgroup, exclusive, membership, network, nft, permissions, privilege, procfs
from breakglass_host.actions import egress, end_tree, freeze, signal_tree
from breakglass_host.membership import Resolved
from breakglass_host.network import How, Net
from breakglass_host.privilege import Privilege
from breakglass_host.procfs import Process
from breakglass_host.systemd import propose as units
from breakglass_host.systemd import relations

FREEZE_WAIT_S = 5.0
HEAD_START_S = 0.1
"""The freeze is one write, and what is frozen sends nothing: listing every socket beside it only slows it."""
SNAPSHOT_WAIT_S = 20.0
_DEADLINES = {"freeze": 30.0, "again": 30.0, "kill": 45.0, "egress": 50.0}
"""None is shorter than it takes to notice that a connection is silent, and to have another one."""
_NO_COPY = 'it is only a shared process tree: "no copy left" cannot be proven'


@dataclass(frozen=True, slots=True)
class Found:
    """The tree and all that was seen of it when planning."""

    resolved: Resolved
    members: tuple[Process, ...]
    nets: tuple[Net, ...]
    privilege: Privilege
    can_hold: bool

    @property
    def freeze_key(self) -> str:
        """Return the key of the first step."""
        return f"freeze:{self.resolved.tree.name}"

    @property
    def kill_key(self) -> str:
        """Return the key of the step that ends the tree."""
        return f"kill:{self.resolved.tree.name}"

    @property
    def limit(self) -> str:
        """Return why the end of the tree can never be proven; empty: it can."""
        if self.privilege.host:
            return f"{self.privilege.host[0]}: it has the executor's own privilege"
        return "" if self.resolved.closed else _NO_COPY

    @property
    def principal(self) -> Resource:
        """Return the tree as the resource that a later one is compared with."""
        found = self.resolved.tree
        grown = f" {found.pid}@{found.start}" if not self.resolved.closed and found.pid else ""
        return Resource("process-tree", found.name + grown, f"processes of {found.name}", found.params())


def look(connection: Connection) -> Found:
    """Read the tree once for a plan."""
    resolved = membership.resolve(connection.reach.settings, connection.incident)
    seen = membership.look(resolved.tree)
    nets = network.nets(resolved.tree, seen.table, seen.members, {})
    can_hold = cgroup.writable() is not None
    return Found(resolved, seen.members, nets, privilege.of(seen.members), can_hold)


def propose(connection: Connection, found: Found, snapshots: tuple[str, ...]) -> Proposed:
    """Propose freeze, egress cut and kill, in the order in which they may start."""
    not_touched = tuple(NotTouched(_words(why), "not the agent's alone") for why in found.resolved.shared)
    not_touched += tuple(NotTouched(name, _PROXY) for name in found.privilege.proxies)
    not_touched += tuple(NotTouched(what, why) for what, why in permissions.missing().items())
    not_touched += (NotTouched(str(_VSOCK), _NO_FILTER),) if _VSOCK.exists() else ()
    if found.resolved.empty:
        return Proposed((), (_nothing(found),), not_touched)
    cut, cut_doors = _egress(connection, found)
    frozen, masked = WaitFor(found.freeze_key, FREEZE_WAIT_S), WaitFor(units.MASK_KEY, units.MASK_WAIT_S)
    waits = (frozen, *(WaitFor(key, SNAPSHOT_WAIT_S) for key in snapshots))
    if relations.named(connection.reach.settings):
        # What is frozen is not restarted, what is killed is: so the kill comes after the mask.
        again = _stop(found, is_first=True, after=(frozen, masked))
        again = replace(again, key=f"again-{found.freeze_key}", deadline_s=_DEADLINES["again"])
        waits = (*waits, masked, WaitFor(again.key, FREEZE_WAIT_S))
        # A restart may slip in before the mask: nothing of it may run while evidence is being taken.
        cut = (*cut, again)
    steps = (_stop(found, is_first=True), *cut, _stop(found, is_first=False, after=waits))
    doors = (*_absent(found), *_privileged(found), *cut_doors, *_shared(found), *_strays(found))
    return Proposed(steps, doors, not_touched)


_PROXY = (
    "a network cut does not reach a unix socket: what is asked through it goes out until the processes end"
)

_VSOCK = Path("/dev/vsock")
_NO_FILTER = (
    "no network rule reaches a vsock(7) connection to the hypervisor or to a guest: what is sent through one"
    " goes out until the processes end"
)


def _words(text: str) -> str:
    return text[:500]


def _target(found: Found, kind: str, prefix: str = "", extra: Mapping[str, Json] | None = None) -> Resource:
    wanted = found.resolved.tree
    params: dict[str, Json] = {**wanted.params(), "limit": found.limit, **(extra or {})}
    return Resource(kind, prefix + found.principal.id, f"{kind.replace('-', ' ')} {wanted.name}", params)


def _stop(found: Found, *, is_first: bool, after: tuple[WaitFor, ...] = ()) -> Proposal:
    """Propose the freeze or the end, by cgroup or by signals."""
    if found.can_hold:
        spec = freeze.SPEC if is_first else end_tree.SPEC
    else:
        spec = signal_tree.PAUSE_SPEC if is_first else signal_tree.STOP_SPEC
    return Proposal(
        key=found.freeze_key if is_first else found.kill_key,
        action=spec.name,
        target=_target(found, "process-tree", extra=_known_strays(found)),
        after=after,
        best_grade=Grade.NONE if found.limit else None,
        deadline_s=_DEADLINES["freeze" if is_first else "kill"],
        # Once all of it has ended, with proof, it does not matter that it could not be frozen before.
        moot_by=(found.kill_key,) if is_first and not found.limit else (),
    )


def _egress(connection: Connection, found: Found) -> tuple[tuple[Proposal, ...], tuple[ProposedDoor, ...]]:
    """Propose the cut where the agent's traffic can be told apart; else say that it is not cut."""
    is_shared = any(net.how is How.SHARED for net in found.nets)
    ended_by = () if found.limit else (found.kill_key,)
    why = egress.NO_NFT_REASON if nft.program() is None else egress.SHARED_REASON
    if (is_shared and os.geteuid() != 0) or not found.nets:
        name = f"egress of {found.resolved.tree.name}"
        remedy = "it ends with the agent's processes"
        door = Door(DoorKind.NO_STEP, name, why, remedy, "", (), Verdict.UNKNOWN)
        return (), (ProposedDoor(door, ended_by or (found.kill_key,)),) if found.nets else ()
    nets: list[Json] = [{"netns": net.inode, "how": net.how.value} for net in found.nets]
    limit = found.limit or "; ".join(found.privilege.network)
    extra: dict[str, Json] = {"nets": nets, "table": nft.table_name(connection.incident), "limit": limit}
    extra |= {"uncut": why} if is_shared else {}
    step = Proposal(
        key=f"egress:{found.resolved.tree.name}",
        action=egress.SPEC.name,
        target=_target(found, "network", "egress:", extra),
        # Sockets of a shared tree can only be kept closed once it is frozen.
        after=(WaitFor(found.freeze_key, FREEZE_WAIT_S if is_shared else HEAD_START_S),),
        best_grade=Grade.NONE if is_shared or limit else None,
        deadline_s=_DEADLINES["egress"],
        moot_by=ended_by,
    )
    return (step,), ()


def _privileged(found: Found) -> tuple[ProposedDoor, ...]:
    owner = "whoever runs this host"
    return tuple(
        ProposedDoor(
            Door(
                DoorKind.PRIVILEGED,
                _words(why),
                "it has the executor's own privilege here, so no step on this host is proof",
                "stop it from outside: power the host off, or cut it off at the network",
                owner,
                (),
                Verdict.UNKNOWN,
            )
        )
        for why in found.privilege.host
    )


def _nothing(found: Found) -> ProposedDoor:
    """Say that there is nothing here that could be stopped without harming somebody else."""
    shared = found.resolved.shared
    reason = shared[0] if shared else "the pid file names no process that lives"
    verdict = Verdict.NOT_CONTAINED if shared else Verdict.UNKNOWN
    name = f"processes of {found.resolved.tree.name}"
    remedy = "name a cgroup or a user of the agent's own in the inventory"
    return ProposedDoor(Door(DoorKind.NO_STEP, name, _words(reason), remedy, "", (), verdict))


def _absent(found: Found) -> tuple[ProposedDoor, ...]:
    """Say that the named cgroup is not there: an empty place proves nothing if it is the wrong one."""
    path, hierarchy = found.resolved.tree.cgroup, cgroup.find()
    if not path or found.members or (hierarchy is not None and hierarchy.inode(path)):
        return ()
    if found.resolved.tree.is_unit:
        return ()  # systemd knows the unit, and removes the cgroup of one that does not run
    reason = "there is no such cgroup, and nothing of the agent was found: it may run elsewhere"
    remedy = "correct the inventory, or look where the agent runs"
    door = Door(DoorKind.NO_STEP, f"cgroup {path}", reason, remedy, "", (), Verdict.UNKNOWN)
    return (ProposedDoor(door),)


def _shared(found: Found) -> tuple[ProposedDoor, ...]:
    """Keep open what the inventory names and nobody may stop: copies may stand among the neighbours."""
    remedy = "move the neighbour away, or correct the inventory; then stop it again"
    reason = "the inventory says that it is the agent's, and it is not the agent's alone: it is not touched"
    return tuple(
        ProposedDoor(Door(DoorKind.NO_STEP, _words(why), reason, remedy, "", (), Verdict.UNKNOWN))
        for why in found.resolved.shared
    )


def _known_strays(found: Found) -> dict[str, Json]:
    """Return whose processes may be copies, and which ones stood there when planning."""
    users: list[Json] = [*sorted(_users(found))]
    known: list[Json] = [one.id for one in _orphans(found)]
    return {"users": users, "strays": known}


def _users(found: Found) -> set[int]:
    theirs = {uid for one in found.members for uid in procfs.uids(one.pid)}
    return theirs - {0, os.geteuid(), exclusive.NOBODY}


def _orphans(found: Found) -> tuple[Process, ...]:
    wanted = found.resolved.tree
    if wanted.uid is not None or not wanted.cgroup:
        return ()
    return exclusive.orphans(_users(found), {one.pid for one in found.members}, procfs.scan())


def _strays(found: Found) -> tuple[ProposedDoor, ...]:
    """Name processes that may be copies, where the inventory names a cgroup and no user."""
    reason = "may be copies that the agent made: they are of its user, and nobody else started them"
    remedy = "name the user in the inventory, if it is the agent's alone"
    return tuple(
        ProposedDoor(
            Door(DoorKind.NO_STEP, f"process {one.id} ({one.name})", reason, remedy, "", (), Verdict.UNKNOWN)
        )
        for one in _orphans(found)[:20]
    )
