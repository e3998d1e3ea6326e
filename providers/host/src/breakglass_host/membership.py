"""Decides who is a member of an agent's tree: its live descendants, and all that is the agent's alone.

A double fork leaves no link to its parent. So a tree is *closed*, and "no copy left" can be proven, only
where a cgroup, a user or a pid namespace holds nothing but the agent (`exclusive`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.errors import Denied
from breakglass_host import cgroup, exclusive, procfs, subuid, tree
from breakglass_host.cgroup import Hierarchy
from breakglass_host.procfs import Process, Table
from breakglass_host.systemd import relations
from breakglass_host.tree import Tree


@dataclass(frozen=True, slots=True)
class Resolved:
    """A tree as the inventory names it, reduced to what is the agent's alone."""

    tree: Tree
    shared: tuple[str, ...]
    """Why something that the inventory names was left out, in words."""

    @property
    def closed(self) -> bool:
        """Return True where "no copy left" can be proven."""
        return bool(self.tree.cgroup or self.tree.uid is not None or self.tree.pidns)

    @property
    def empty(self) -> bool:
        """Return True where nothing is left to act on."""
        return not self.closed and self.tree.pid is None


def resolve(settings: JsonObject, incident: str) -> Resolved:
    """Reduce what the inventory names to what holds nothing but the agent."""
    wanted, table, hierarchy = tree.named(settings), procfs.scan(), cgroup.find()
    own, without = ("", "") if wanted.cgroup else relations.tree_cgroup(settings)
    units = relations.kept_by(settings) if wanted.uid is not None and wanted.units else ()
    wanted = replace(wanted, cgroup=wanted.cgroup or own, units=units or wanted.units)
    if cgroup.writable() is not None:
        wanted = replace(wanted, hold=tree.hold_path(wanted.name, incident))
    foreign = exclusive.root_is_foreign(wanted)
    found = own_part(_without_root(wanted) if foreign else wanted, hierarchy, table)
    return Resolved(found.tree, (*([without] if without else ()), *foreign, *found.shared))


def own_part(wanted: Tree, hierarchy: Hierarchy | None, table: Table) -> Resolved:
    """Reduce a tree to what holds nothing but the agent now."""
    shared: list[str] = []
    found = wanted
    if wanted.cgroup and (why := exclusive.cgroup_is_shared(hierarchy, wanted, table)):
        shared.extend(why)
        found = replace(found, cgroup="")
    if wanted.uid is not None and (why := exclusive.uid_is_shared(hierarchy, wanted, table)):
        shared.extend(why)
        found = replace(found, uid=None)
    if wanted.pid is not None and (why := exclusive.root_is_protected(wanted, table)):
        shared.extend(why)
        found = _without_root(found)
    return Resolved(found, tuple(shared))


def what_is_left(wanted: Tree, why: str) -> Tree:
    """Return what is still the agent's alone, now that a part of the tree is not: that part is left out.

    Raises:
        Denied: nothing is left.
    """
    left = own_part(wanted, cgroup.find(), procfs.scan())
    if left.empty:
        raise Denied(f"refused: {why}")
    return left.tree


def _without_root(wanted: Tree) -> Tree:
    return replace(wanted, pid=None, pidns=0, start=0, boot="")


def members(settings: JsonObject, incident: str = "") -> tuple[Process, ...]:
    """Return the agent's live processes, also those that a stop already gathered and froze."""
    found = resolve(settings, incident or "any").tree
    held = tuple({*holds(found.name), found.hold} if incident else holds(found.name))
    return of_tree(found, procfs.scan(), cgroup.find(), held=held)


@dataclass(frozen=True, slots=True)
class Seen:
    """The members of a tree in one reading of /proc."""

    members: tuple[Process, ...]
    torn: bool
    """One may have been missed: the user forks faster than /proc can be read, and no cgroup says more."""
    table: Table


def look(wanted: Tree) -> Seen:
    """Read the members now. A cgroup and a pid namespace say themselves whether anything is left.

    What an earlier stop gathered, and did not come to end, is still the agent's: only frozen.
    """
    scan = procfs.scan_whole()
    found = of_tree(wanted, scan.table, cgroup.find(), held=holds(wanted.name))
    return Seen(found, scan.torn and wanted.uid is not None, scan.table)


def of_tree(
    wanted: Tree, table: Table, hierarchy: Hierarchy | None, *, held: tuple[str, ...] = ()
) -> tuple[Process, ...]:
    """Return the live members of a tree in one reading of /proc, by pid."""
    pids: set[int] = set()
    if hierarchy is not None:
        for path in {wanted.cgroup, wanted.hold, *held} - {""}:
            pids |= hierarchy.pids(path)
    if (root := wanted.root) is not None:
        pids.add(root.pid)
    if wanted.uid is not None:
        own = (range(wanted.uid, wanted.uid + 1), *subuid.ranges(wanted.uid))
        pids |= {pid for pid in table if pid not in pids and _is_of(procfs.uids(pid), own)}
    if wanted.pidns:
        pids |= {pid for pid in table if procfs.namespace(pid, "pid") == wanted.pidns}
    for pid in pids - table.keys():
        if (late := procfs.process(pid)) is not None:
            table = {**table, pid: late}
    probes = exclusive.probe_pids(hierarchy, wanted.cgroup) if hierarchy and wanted.cgroup else set()
    found = (table[pid] for pid in sorted(procfs.descendants(table, pids) - probes))
    return tuple(one for one in found if one.alive)


def _is_of(uids: frozenset[int], own: tuple[range, ...]) -> bool:
    return any(uid in one for uid in uids for one in own)


def holds(name: str) -> tuple[str, ...]:
    """Return the holds that stops of this tree made and no restore removed yet."""
    hierarchy = cgroup.find()
    if hierarchy is None:
        return ()
    found = Path(hierarchy.mount).glob(f"breakglass-*-{tree.short(name)}")
    return tuple(f"/{folder.name}" for folder in found)
