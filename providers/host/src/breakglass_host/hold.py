"""Gathers a tree in a frozen cgroup that only root can thaw, whatever it does meanwhile.

Its own cgroup is frozen first, with one write. A process that was moved takes its later children along, and
children that it forked before stay where they are: so freeze, list, move, and list again until two lists
agree. A cgroup delegated to the agent's user can be thawed by that user, hence the second one.
"""

from __future__ import annotations

import os
import signal
import time

from breakglass.errors import Denied, ProviderError
from breakglass_host import cgroup, exclusive, membership, procfs, signals
from breakglass_host.cgroup import Hierarchy
from breakglass_host.procfs import Process
from breakglass_host.tree import Tree

_PATIENCE = 4
"""So many lists are tried before the agent's whole user is stopped by one signal."""


def hierarchy_of(wanted: Tree) -> Hierarchy:
    """Return the hierarchy that the tree can be gathered in.

    Raises:
        Denied: cgroup v2 cannot be written to here.
    """
    found = cgroup.writable()
    if found is None or not wanted.hold:
        raise Denied("cgroup v2 cannot be written to: it needs root and a mounted cgroup2")
    return found


def refuse_protected(wanted: Tree) -> None:
    """Refuse to freeze a cgroup that holds the executor or a parent of it; quick, for just before a write.

    Raises:
        Denied: it does.
    """
    pid = os.getpid()
    while pid > 1:
        own = procfs.cgroup(pid)
        for path in (wanted.cgroup, wanted.hold):
            if path and own is not None and cgroup.is_at_or_below(own, path):
                raise Denied(f"refused: cgroup {path} holds process {pid}, the executor or a parent of it")
        one = procfs.process(pid)
        pid = one.ppid if one is not None else 0
    first = procfs.cgroup(1) if wanted.cgroup else None
    if first is not None and cgroup.is_at_or_below(first, wanted.cgroup):
        raise Denied(f"refused: cgroup {wanted.cgroup} holds process 1")


def gather(wanted: Tree, *, within_s: float = 3.0) -> None:
    """Freeze the tree and bring all of it into its hold; safe to repeat after a crash at any instant.

    Raises:
        Denied: it holds something protected, or the kernel refused a cgroup.
        ProviderError: the time ended before two lists agreed; what could be gathered is.
    """
    hierarchy = hierarchy_of(wanted)
    refuse_protected(wanted)
    try:
        if wanted.cgroup:
            hierarchy.freeze(wanted.cgroup, on=True)
        hierarchy.create(wanted.hold)
        hierarchy.freeze(wanted.hold, on=True)
    except OSError as error:
        raise Denied(f"the kernel refused to freeze: {error}") from error
    if wanted.cgroup:
        # Frozen processes do not end by themselves, so these pids cannot be reused meanwhile.
        for pid in hierarchy.pids(wanted.cgroup) - exclusive.probe_pids(hierarchy, wanted.cgroup):
            _move(hierarchy, pid, wanted.hold)
    were_stopped = _gather_rest(hierarchy, wanted, time.monotonic() + within_s)
    hierarchy.await_events(wanted.hold, within_s=0.5, frozen=True)
    if were_stopped is not None:
        # The freezer holds them now; without this they would stay stopped after a restore.
        held = [one for pid in hierarchy.pids(wanted.hold) if (one := procfs.process(pid)) is not None]
        ours = [one for one in held if signals.stopped(one) and one.id not in were_stopped]
        signals.send_all(ours, signal.SIGCONT)


def end(wanted: Tree) -> None:
    """Kill what was gathered, the agent's own cgroup, and each member by itself: whatever one of them misses.

    Raises:
        Denied: a member is protected, or the kernel refused.
    """
    hierarchy = hierarchy_of(wanted)
    refuse_protected(wanted)
    for path in (wanted.hold, wanted.cgroup):
        if path:
            hierarchy.kill(path)
    seen = membership.look(wanted)
    if refused := exclusive.refusal([one.pid for one in seen.members], seen.table):
        raise Denied(f"refused: {refused}")
    signals.send_all(seen.members, signal.SIGKILL)
    hierarchy.await_events(wanted.hold, within_s=2.0, frozen=False)


def _gather_rest(hierarchy: Hierarchy, wanted: Tree, until: float) -> set[str] | None:
    """Move until two lists agree; return who was stopped before we stopped the user, None: we did not."""
    were_stopped: set[str] | None = None
    before: tuple[str, ...] | None = None
    tries = 0
    while True:
        seen = membership.look(wanted)
        inside = _inside(hierarchy, wanted, seen.members)
        found = tuple(one.id for one in seen.members)
        strays = tuple(one for one in seen.members if one.pid not in inside)
        if not strays and not seen.torn and before == found:
            return were_stopped
        if time.monotonic() > until:
            raise ProviderError(f"{len(strays)} processes of the agent still run outside of its hold")
        if strays and (refused := exclusive.refusal([one.pid for one in strays], seen.table)):
            raise Denied(f"refused: {refused}")
        if (seen.torn or tries > _PATIENCE) and wanted.uid is not None:
            if were_stopped is None:
                were_stopped = {one.id for one in seen.members if signals.stopped(one)}
            signals.send_user(wanted.uid, signal.SIGSTOP)
        for one in strays:
            _move_exactly(hierarchy, one, wanted.hold)
        before, tries = found, tries + 1


def _inside(hierarchy: Hierarchy, wanted: Tree, members: tuple[Process, ...]) -> set[int]:
    """Return who is in the hold; of a process whose first thread has ended, its other threads tell."""
    headless = [one for one in members if one.headless]
    moved = {one.pid for one in headless if cgroup.is_at_or_below(procfs.cgroup_of(one) or "/", wanted.hold)}
    return hierarchy.pids(wanted.hold) | moved


def _move_exactly(hierarchy: Hierarchy, one: Process, hold: str) -> None:
    """Move this very process; when its pid turns out to be somebody else's by now, put that one back."""
    if not procfs.is_same(one) or not _move(hierarchy, one.pid, hold):
        return
    now = procfs.process(one.pid)
    if now is not None and now.start != one.start:
        _move(hierarchy, one.pid, procfs.cgroup(now.ppid) or "/")


def _move(hierarchy: Hierarchy, pid: int, path: str) -> bool:
    """Move a process; one that the kernel refuses to move keeps no other from being moved."""
    try:
        return hierarchy.move(pid, path)
    except OSError:
        return False
