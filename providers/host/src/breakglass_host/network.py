"""Decides in which network namespaces, and how, an agent's traffic can be told from everybody else's."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from breakglass.canon import Json
from breakglass_host import exclusive, netns, nft, procfs, sockets_abroad
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
    """Not at all: a rule would cut neighbours off, or nft is missing. Only what is held can be destroyed."""


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
        for inode in _of_process(one) - {0}:
            pids.setdefault(inode, []).append(one.pid)
    alone = {one.pid for one in members}
    return tuple(
        Net(inode, known[inode] if not found else _how(wanted, inode, alone, table), tuple(found))
        for inode, found in sorted(pids.items())
    )


def _of_process(one: Process) -> set[int]:
    """Return the namespaces of its threads, each of which may have gone into another, and of its sockets.

    A socket stays in the namespace that it was made in, wherever its holder goes (unshare(2)).
    """
    ids = procfs.thread_ids(one.pid) if one.threads > 1 else (one.pid,)
    found = {procfs.namespace(tid, "net"): tid for tid in ids}
    for inode, tid in found.items():
        netns.reach(inode, (tid,))
    return found.keys() | sockets_abroad.namespaces(one.pid)


def _how(wanted: Tree, inode: int, alone: set[int], table: Table) -> How:
    """Decide anew each time that members live in it; an empty one stays what it was."""
    if nft.program() is None:
        return How.SHARED
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
    inodes = {inode for pid in net.pids for inode, _ in sockets_abroad.open_sockets(pid)}
    cgroup_items: list[Json] = [*sorted(cgroups)]
    inode_items: list[Json] = [*sorted(inodes)]
    return {"all": False, "uid": wanted.uid, "cgroups": cgroup_items, "inodes": inode_items}
