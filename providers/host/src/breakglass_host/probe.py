"""Tries to connect in the agent's place: from its thawed, empty cgroup, as its user, in its namespace.

A probe that was moved into a frozen cgroup would hang, so it waits until nothing of the agent lives.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_host import cgroup, netns
from breakglass_host.cgroup import Hierarchy
from breakglass_host.exclusive import PROBE_CGROUP
from breakglass_host.network import How, Net
from breakglass_host.tree import Tree

_REFUSALS = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.EPERM,
        errno.EACCES,
        errno.EADDRNOTAVAIL,
    }
)


def attempt(wanted: Tree, nets: tuple[Net, ...]) -> Judgement:
    """Connect once for each address family in each namespace and judge what came back."""
    alive = sum(len(net.pids) for net in nets)
    if alive:
        return _unknown(f"not yet: {alive} processes of the agent still live")
    reachable = [net for net in nets if net.how is not How.SHARED and netns.reach(net.inode, ())]
    if not reachable:
        return _unknown("the network namespace ended with its last process, so there is no place to try from")
    tried: list[str] = []
    try:
        with _place(wanted) as folder:
            for net in reachable:
                place: dict[str, Json] = {
                    "cgroup": folder,
                    "uid": _uid(wanted),
                    "control": net.how is How.MATCH,
                }
                answer = netns.run(net.inode, {"place": place})
                verdict = _judge(answer.get("attempts"), net, tried)
                if verdict is not None:
                    return verdict
    except (ProviderError, OSError) as error:
        return _unknown(f"could not try as the agent: {error}")
    if not tried:
        return _unknown("neither IPv4 nor IPv6 is there to try")
    return Judgement(Verdict.CONTAINED, f"refused as the agent: {', '.join(tried)}", Grade.REFUSED_AS_AGENT)


def _uid(wanted: Tree) -> int | None:
    return wanted.uid if os.geteuid() == 0 else None


def _judge(attempts: Json, net: Net, tried: list[str]) -> Judgement | None:
    """Return what keeps it from being proof; None: refused, and added to `tried`."""
    for one in attempts if isinstance(attempts, list) else []:
        if not isinstance(one, Mapping) or "absent" in one:
            continue
        family, control, number = str(one["family"]), int(str(one["control"])), int(str(one["attempt"]))
        if number == 0:
            return Judgement(Verdict.NOT_CONTAINED, f"{family}: a connection as the agent went through")
        if net.how is How.MATCH and control != 0:
            return _unknown(f"{family}: the neighbour's connection failed too ({os.strerror(control)})")
        if number not in _REFUSALS:
            return _unknown(f"{family}: no clear refusal ({os.strerror(number)})")
        tried.append(f"{family} {errno.errorcode[number]}")
    return None


def _unknown(reason: str) -> Judgement:
    return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)


@contextmanager
def _place(wanted: Tree) -> Iterator[str]:
    """Thaw the empty cgroup of the agent for as long as the probe runs in a child of it that root owns."""
    hierarchy = cgroup.writable()
    if hierarchy is None or not wanted.cgroup or not hierarchy.inode(wanted.cgroup):
        yield ""
        return
    path = f"{wanted.cgroup}/{PROBE_CGROUP}"
    was_frozen = hierarchy.is_set_to_freeze(wanted.cgroup)
    _make_anew(hierarchy, path)
    try:
        hierarchy.freeze(wanted.cgroup, on=False)
        yield hierarchy.folder(path)
    finally:
        hierarchy.remove(path)
        if was_frozen:
            hierarchy.freeze(wanted.cgroup, on=True)


def _make_anew(hierarchy: Hierarchy, path: str) -> None:
    """Make the probe's cgroup; one of that name that the agent made is empty by now and goes."""
    hierarchy.remove(path)
    hierarchy.create(path)
