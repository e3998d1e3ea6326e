"""Decides which account is the agent's: named by the inventory, the agent's alone, and kept on this host."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json, JsonObject
from breakglass.errors import BreakglassError
from breakglass.provider import Connection
from breakglass_host import membership, procfs, tree

_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+$-]{0,255}")
"""What can be signed by reading and given to a program: no blank, no colon, no dash in front."""
_DYNAMIC = range(61184, 65520)
"""Uids that systemd lends to a service while it runs (systemd.exec(5), DynamicUser=): no login has them."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this host."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def params(self) -> dict[str, Json]:
        """Return what is signed with a target."""
        return {"account": self.name, "uid": self.uid, "home": self.home}


def of(connection: Connection) -> tuple[Account | None, str]:
    """Return the agent's account; without one the reason, empty where the tree's own part says it already."""
    settings = connection.reach.settings
    user = tree.setting(settings, "user")
    if not user:
        return None, "the inventory names no user that is the agent's alone"
    if os.geteuid() != 0:
        return None, "only root can lock an account"
    try:
        found = pwd.getpwuid(tree.uid_of(user))
        owned = membership.resolve(settings, connection.incident).tree.uid
    except KeyError:
        return None, f"user {user} has no account on this host"
    except BreakglassError as error:
        return None, error.what
    if owned is None:
        return None, f"user {user} is not the agent's alone"
    if found.pw_uid == 0 or _NAME.fullmatch(found.pw_name) is None:
        return None, f"account {found.pw_name!r} cannot be an agent's"
    groups = tuple(sorted(set(os.getgrouplist(found.pw_name, found.pw_gid))))
    return Account(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir), ""


def by_uid(uid: int) -> Account | None:
    """Return the account of a uid, whoever else may use it; None: it has none here."""
    try:
        found = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(found.pw_name, found.pw_uid, found.pw_gid, (), found.pw_dir)


def lives_in(account: Account) -> str:
    """Say where else than in this host's own files the account is kept; empty: here."""
    if _fields("/etc/passwd", account.name) is not None:
        return ""
    if account.uid in _DYNAMIC:
        return "systemd (DynamicUser)"
    others = [one for one in sources("passwd") if one not in ("files", "compat", "db")]
    return f"a directory ({', '.join(others)})" if others else "no file of this host"


def password_elsewhere(account: Account) -> bool:
    """Return whether the password stands in /etc/passwd itself: PAM then never asks the shadow line."""
    fields = _fields("/etc/passwd", account.name)
    return fields is not None and len(fields) > 1 and fields[1] != b"x"


def homonyms(account: Account) -> tuple[str, ...]:
    """Return the other accounts of the same uid: each has a login of its own."""
    lines = (procfs.read("/etc/passwd") or b"").split(b"\n")
    found = [line.split(b":") for line in lines]
    uid = str(account.uid).encode()
    return tuple(
        fields[0].decode("utf-8", "replace")
        for fields in found
        if fields[2:3] == [uid] and fields[0] != account.name.encode()
    )


def from_params(params: JsonObject) -> tuple[str, int]:
    """Return name and uid from a signed target."""
    name, uid = params.get("account"), params.get("uid")
    if not isinstance(name, str) or not isinstance(uid, int) or _NAME.fullmatch(name) is None:
        raise BreakglassError("the target names no account")
    return name, uid


def _fields(path: str, name: str) -> list[bytes] | None:
    prefix = name.encode() + b":"
    lines = (procfs.read(path) or b"").split(b"\n")
    return next((line.split(b":") for line in lines if line.startswith(prefix)), None)


def sources(database: str) -> list[str]:
    """Return what nsswitch.conf(5) asks for a database."""
    text = Path("/etc/nsswitch.conf")
    for line in text.read_text("utf-8", "replace").splitlines() if text.exists() else []:
        key, _, rest = line.partition("#")[0].partition(":")
        if key.strip() == database:
            return [word for word in rest.split() if not word.startswith("[")]
    return []
