"""Decides whether a cgroup, a user or a network namespace holds nothing but the agent.

Asked when planning and again when running. What is protected in any case: this process and its parents
(the sshd that it came through is one of them), process 1, and every sshd that root runs.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Collection, Iterable
from pathlib import Path

from breakglass_host import procfs, subuid
from breakglass_host.cgroup import Hierarchy, is_at_or_below
from breakglass_host.procfs import Process, Table
from breakglass_host.systemd import unit_name
from breakglass_host.tree import Tree

NOBODY = 65534
"""The uid that stands for everybody who has none here (user_namespaces(7))."""
PROBE_CGROUP = "breakglass-probe"
"""Where our own probe runs, below the agent's cgroup."""
OWN_PROBE = threading.Lock()
"""Held while a program of ours runs as the agent's user: until it has ended it looks like a neighbour."""
_SCHEDULERS = frozenset({"cron", "crond", "atd", "anacron"})
_LOGINS = frozenset({"sshd", "sshd-session", "login"})


def protected(table: Table) -> dict[int, str]:
    """Return the processes that must never be stopped, and why."""
    found = {1: "process 1"}
    found.update(dict.fromkeys(procfs.ancestors(table, os.getpid()), "a parent of the executor"))
    for one in table.values():
        if one.name in ("sshd", "sshd-session") and procfs.uids(one.pid) == {0}:
            found.setdefault(one.pid, "the sshd that operators come through")
    found[os.getpid()] = "the executor itself"
    return found


def refusal(pids: Collection[int], table: Table) -> str:
    """Say which protected process is among `pids`; empty: none."""
    guarded = protected(table)
    for pid in pids:
        if pid in guarded:
            name = table[pid].name if pid in table else "?"
            return f"process {pid} ({name}) is {guarded[pid]}"
    return ""


def cgroup_is_shared(hierarchy: Hierarchy | None, wanted: Tree, table: Table) -> tuple[str, ...]:
    """Say why the cgroup is not the agent's alone; empty: it is."""
    path = wanted.cgroup
    if hierarchy is None:
        return (f"cgroup {path}: this machine has no cgroup v2",)
    if path.strip("/") == "":
        return ("cgroup /: the v2 root holds everybody",)
    inside = hierarchy.pids(path) - probe_pids(hierarchy, path)
    own = procfs.cgroup(os.getpid())
    if own is not None and is_at_or_below(own, path):
        return (f"cgroup {path}: the executor runs in it",)
    # Whoever runs in a unit's own cgroup was started by the unit, as whichever user its file says.
    found = refusal(inside, table) or ("" if wanted.is_unit else _other_users(inside, wanted, table))
    return (f"cgroup {path}: {found}",) if found else ()


def probe_pids(hierarchy: Hierarchy, path: str) -> set[int]:
    """Return our own probe's processes; only a cgroup that root owns counts, so that no agent hides there."""
    inner = f"{path}/{PROBE_CGROUP}"
    try:
        is_ours = Path(hierarchy.folder(inner)).stat().st_uid == 0
    except OSError:
        return set()
    return hierarchy.pids(inner) if is_ours else set()


def _other_users(inside: set[int], wanted: Tree, table: Table) -> str:
    """Say whose processes stand beside the agent's, by those that nobody inside started."""
    heads = [table[pid] for pid in inside if pid in table and table[pid].ppid not in inside]
    users = {one: found for one in heads if one.alive and (found := procfs.uids(one.pid))}
    if wanted.uid is not None:
        for one, found in users.items():
            if not _is_of(found, wanted.uid) and not _runs_set_id(one):
                return f"process {one.pid} ({one.name}) is not of user {wanted.uid}"
        return ""
    return "it holds processes of several users" if len(users_of(users)) > 1 else ""


def users_of(members: Iterable[Process]) -> set[int]:
    """Return the users that these processes run as, without those that a user can take by itself."""
    found = {min(uids) for one in members if (uids := procfs.uids(one.pid)) and not _runs_set_id(one)}
    return {uid for uid in found if not any(_is_of({uid}, other) for other in found - {uid})}


def _is_of(uids: Collection[int], user: int) -> bool:
    """Return whether one of the uids is the user's, or one that the user may map in a container."""
    return user in uids or any(uid in part for part in subuid.ranges(user) for uid in uids)


def _runs_set_id(one: Process) -> bool:
    """Return whether it got its user from a set-id program, which anybody in the cgroup can start."""
    try:
        mode = os.stat(f"/proc/{one.pid}/exe").st_mode  # noqa: PTH116 - the link of /proc names the inode
    except OSError:
        return False
    return bool(mode & (stat.S_ISUID | stat.S_ISGID))


def uid_is_shared(hierarchy: Hierarchy | None, wanted: Tree, table: Table) -> tuple[str, ...]:
    """Say why the user is not the agent's alone; empty: nothing speaks against what the inventory says."""
    uid = wanted.uid
    if uid is None:
        return ()
    if uid in (0, NOBODY):
        return (f"user {uid}: never an agent's alone",)
    if uid in (os.getuid(), os.geteuid()):
        return (f"user {uid}: the executor runs as it",)
    if found := refusal([pid for pid in protected(table) if uid in procfs.uids(pid)], table):
        return (f"user {uid}: {found}",)
    known = _anchored(hierarchy, wanted, table)
    for one in table.values() if known else ():
        if one.pid in known or not one.alive or uid not in procfs.uids(one.pid):
            continue
        keeper = _keeper(one, uid, table, wanted.units)
        if keeper and not _was_own_probe(one, table) and _is_still_outside(one, wanted):
            return (f"user {uid}: process {one.pid} ({one.name}) belongs to {keeper}",)
    return ()


def _anchored(hierarchy: Hierarchy | None, wanted: Tree, table: Table) -> set[int]:
    """Return the processes that are the agent's whoever its user is; empty: only the user names it."""
    known: set[int] = set()
    if hierarchy is not None:
        for path in {wanted.cgroup, wanted.hold} - {""}:
            known |= hierarchy.pids(path)
    if (root := wanted.root) is not None:
        known.add(root.pid)
    return procfs.descendants(table, known)


def _was_own_probe(one: Process, table: Table) -> bool:
    """Wait until no probe of ours runs; return whether the process went with it."""
    if os.getpid() not in procfs.ancestors(table, one.pid):
        return False
    with OWN_PROBE:
        return not procfs.is_same(one)


def _is_still_outside(one: Process, wanted: Tree) -> bool:
    """Look again: it may have ended, or been moved into the hold, while the lists were read."""
    own = procfs.cgroup_of(one) or "/"
    inside = any(path and is_at_or_below(own, path) for path in (wanted.cgroup, wanted.hold))
    return not inside and procfs.is_same(one)


def _keeper(one: Process, uid: int, table: Table, units: tuple[str, ...] = ()) -> str:
    """Name who keeps a process of the agent's user that is not in its tree; empty: nobody else does.

    An orphan, a cron job, an at job and a login may all be copies that the agent made, also where a set-id
    program stands in between. A process that some other program started under this user, or another
    service's, is a neighbour.
    """
    keeper = ""
    for pid in procfs.ancestors(table, one.pid):
        parent = table.get(pid)
        if parent is None:
            continue
        if uid in procfs.uids(pid) or f"/user-{uid}.slice/" in f"{procfs.cgroup(pid) or ''}/":
            keeper = ""  # it started that program, which changed its user
        elif parent.name in _LOGINS and procfs.uids(pid) == {0}:
            return keeper
        elif pid == 1 or parent.name in _SCHEDULERS:
            break
        else:
            keeper = keeper or f"process {pid} ({parent.name})"
    if keeper:
        return keeper
    own = procfs.cgroup(one.pid) or ""
    unit = next((part for part in own.split("/") if part.endswith(".service")), "")
    known = {"cron.service", "crond.service", "atd.service", f"user@{uid}.service", *units}
    is_known = unit in known or any(unit_name.instance_of(unit, one) for one in units if "@." in one)
    return unit if unit and not is_known else ""


def root_is_protected(wanted: Tree, table: Table) -> tuple[str, ...]:
    """Say why the process of the pid file, or something below it, must not be stopped; empty: it may."""
    if wanted.pid is None:
        return ()
    found = refusal(procfs.descendants(table, [wanted.pid]), table)
    return (f"pid file: {found}",) if found else ()


def root_is_foreign(wanted: Tree) -> tuple[str, ...]:
    """Say why the process of the pid file is none of the agent's, who may have written it; empty: it is.

    Asked when planning alone: once it is signed, who it is cannot change.
    """
    root = wanted.root
    if root is None or not (wanted.cgroup or wanted.uid is not None):
        return ()
    own, uids = procfs.cgroup_of(root) or "/", procfs.uids(root.pid)
    is_inside = any(path and is_at_or_below(own, path) for path in (wanted.cgroup, wanted.hold))
    if is_inside or (wanted.uid is not None and _is_of(uids, wanted.uid)):
        return ()
    return (f"pid file: process {root.pid} ({root.name}) is neither in the agent's cgroup nor of its user",)


def netns_is_whole(inode: int, member_pids: Collection[int], table: Table) -> bool:
    """Return True where a network namespace holds nothing but members."""
    if inode in (0, procfs.namespace(os.getpid(), "net"), procfs.namespace(1, "net")):
        return False
    return all(
        pid in member_pids
        for pid, one in table.items()
        if one.alive and procfs.namespace(pid, "net") == inode
    )


def orphans(users: Collection[int], known: Collection[int], table: Table) -> tuple[Process, ...]:
    """Return the processes of these users that are in no known tree and that nobody else keeps."""
    return tuple(
        one
        for one in table.values()
        if one.alive
        and one.pid not in known
        and (shared := procfs.uids(one.pid) & set(users))
        and not _keeper(one, min(shared), table)
    )
