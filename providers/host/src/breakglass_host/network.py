"""Decides in which network namespaces, and how, an agent's traffic can be told from everybody else's."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from breakglass.canon import Json
from breakglass_host import exclusive, procfs
from breakglass_host.cgroup import Hierarchy
from breakglass_host.procfs import Process, Table
from breakglass_host.tree import Tree


class How(StrEnum):
    """How the agent's packets are told apart."""

    WHOLE = "whole"
    """The network namespace holds nothing but the agent: everything in it is refused."""
    MATCH = "match"
    """By the cgroup or the user that are the agent's alone."""
    SHARED = "shared"
    """Not at all: a rule would cut neighbours off."""


@dataclass(frozen=True, slots=True)
class Net:
    """One network namespace that the tree holds, or held."""

    inode: int
    how: How
    pids: tuple[int, ...]
    """Members that live in it now."""


def planned(value: Json) -> dict[int, How]:
    """Read the signed list of namespaces; what does not parse is left out and found again live."""
    found = {}
    for item in value if isinstance(value, list) else []:
        if isinstance(item, Mapping) and isinstance(item.get("netns"), int):
            found[int(str(item["netns"]))] = How(str(item.get("how", How.SHARED)))
    return found


def nets(
    wanted: Tree, table: Table, members: Collection[Process], known: Mapping[int, How]
) -> tuple[Net, ...]:
    """Return the namespaces of the plan and those that the tree holds now, each with how to cut it."""
    pids: dict[int, list[int]] = {inode: [] for inode in known}
    for one in members:
        if inode := procfs.namespace(one.pid, "net"):
            pids.setdefault(inode, []).append(one.pid)
    alone = {one.pid for one in members}
    return tuple(
        Net(inode, known[inode] if not found else _how(wanted, inode, alone, table), tuple(found))
        for inode, found in sorted(pids.items())
    )


def _how(wanted: Tree, inode: int, alone: set[int], table: Table) -> How:
    """Decide anew each time that members live in it; an empty one stays what it was."""
    if os.geteuid() != 0 and inode == procfs.namespace(os.getpid(), "net"):
        return How.SHARED
    if exclusive.netns_is_whole(inode, alone, table):
        return How.WHOLE
    return How.MATCH if wanted.cgroup or wanted.uid is not None else How.SHARED


def selection(wanted: Tree, net: Net, hierarchy: Hierarchy | None) -> dict[str, Json]:
    """Return what picks the agent's sockets: all, or by cgroup of birth, user and open file.

    A socket keeps the cgroup that it was born in, so every cgroup below the agent's counts, and the hold.
    """
    if net.how is How.WHOLE:
        return {"all": True, "uid": None, "cgroups": [], "inodes": []}
    cgroups: set[int] = set()
    if hierarchy is not None:
        below = hierarchy.below(wanted.cgroup) if wanted.cgroup else ()
        cgroups = {hierarchy.inode(path) for path in (*below, wanted.hold) if path} - {0}
    inodes = {inode for pid in net.pids for inode in _open_sockets(pid)}
    cgroup_items: list[Json] = [*sorted(cgroups)]
    inode_items: list[Json] = [*sorted(inodes)]
    return {"all": False, "uid": wanted.uid, "cgroups": cgroup_items, "inodes": inode_items}


def _open_sockets(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process has open."""
    found: set[int] = set()
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a process may hold ten thousand files open
    except OSError:
        return found
    for name in names:
        try:
            target = os.readlink(f"{folder}/{name}")  # noqa: PTH115 - the same
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(int(target[8:-1]))
    return found
