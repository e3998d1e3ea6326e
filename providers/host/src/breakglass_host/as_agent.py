"""Tries to reach files as the agent's user: in a thread of our own whose file rights are that user's.

Linux keeps credentials per thread (credentials(7), setfsuid(2)). So no process runs under the agent's uid,
which a freeze would catch or the agent could trace. A thread whose filesystem uid leaves 0 also loses the
capabilities that override file modes (capabilities(7)).
"""

from __future__ import annotations

import os
import platform
import pwd
import threading
from collections.abc import Callable
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass_host import exclusive, membership, tree

_SETGROUPS = {"x86_64": 116, "aarch64": 159}
"""The raw system call: the C library's own changes every thread of the process (nptl(7))."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A user as the kernel checks it for files."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    account: str
    """Its name; empty where it has none on this machine."""

    def params(self) -> dict[str, Json]:
        """Return what is signed with a target."""
        return {"uid": self.uid, "gid": self.gid, "groups": [*self.groups], "account": self.account}


def identity(settings: JsonObject, incident: str) -> Identity | None:
    """Return the agent's user: the one that the inventory names, or the one that all of its processes share.

    None: root, several users, or nobody yet. Acting on the schedules of such a user would hit others.
    """
    wanted = tree.named(settings)
    uid = wanted.uid
    if uid is None:
        found = users(settings, incident)
        uid = found.pop() if len(found) == 1 else None
    if not uid or uid == os.geteuid():
        return None
    try:
        account = pwd.getpwuid(uid)
    except KeyError:
        return Identity(uid, uid, (), "")
    groups = os.getgrouplist(account.pw_name, account.pw_gid)
    return Identity(uid, account.pw_gid, tuple(sorted(set(groups))), account.pw_name)


def users(settings: JsonObject, incident: str) -> set[int]:
    """Return whom the agent's processes run as now; it cannot add to that by starting set-id programs."""
    return exclusive.users_of(membership.members(settings, incident))


def from_params(params: JsonObject) -> Identity | None:
    """Read the user from a signed target; None where it has none or nobody here can take its place."""
    uid, gid, groups = params.get("uid"), params.get("gid"), params.get("groups")
    if not isinstance(uid, int) or not isinstance(gid, int) or not isinstance(groups, list):
        return None
    return Identity(uid, gid, tuple(one for one in groups if isinstance(one, int)), "")


def is_possible(who: Identity | None) -> bool:
    """Return True where this process can take the user's place."""
    return who is not None and who.uid != 0 and os.geteuid() == 0 and platform.machine() in _SETGROUPS


def attempt(who: Identity, action: Callable[[], None]) -> OSError | None:
    """Do `action` with the user's file rights; return what the kernel refused, None: it was let through."""
    answer: list[OSError | None] = []

    def run() -> None:
        try:
            _become(who)
            action()
        except OSError as error:
            answer.append(error)
        else:
            answer.append(None)

    thread = threading.Thread(target=run, name="as-agent", daemon=True)
    thread.start()
    thread.join()
    return answer[0] if answer else OSError("the attempt could not be made")


def _become(who: Identity) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    groups = (ctypes.c_uint32 * max(1, len(who.groups)))(*who.groups)
    failed = libc.syscall(_SETGROUPS[platform.machine()], len(who.groups), groups) != 0
    libc.setfsgid(who.gid)
    libc.setfsuid(who.uid)
    # setfsuid(2) reports no error: asking again with an impossible uid returns the one that is set.
    if failed or libc.setfsuid(-1) != who.uid:
        raise RuntimeError("the thread could not take the agent's place")
