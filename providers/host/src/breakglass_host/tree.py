"""Names an agent's processes: by a cgroup, a user, a process and its pid namespace, exactly as signed."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json, JsonObject
from breakglass.errors import MalformedInput, UsageError
from breakglass.model.resource import Resource
from breakglass_host import procfs
from breakglass_host.procfs import Process

KIND = "process-tree"


@dataclass(frozen=True, slots=True)
class Tree:
    """What the agent's processes are found by. Only what is the agent's *alone* stands in a signed one."""

    name: str
    """``unit:x.service``, ``cgroup:/x``, ``user:1001`` or ``pid-file:/path``: how the inventory names it."""
    cgroup: str = ""
    uid: int | None = None
    pid: int | None = None
    start: int = 0
    boot: str = ""
    pidns: int = 0
    hold: str = ""
    """The root-owned cgroup that the tree is gathered in; empty where cgroup v2 cannot be used."""
    units: tuple[str, ...] = ()
    """Services of systemd that are the agent's, so that their processes are no neighbour's."""

    @property
    def is_unit(self) -> bool:
        """Return True where systemd makes the cgroup, removes it at the end, and makes it anew at a start."""
        return self.name.startswith("unit:")

    @property
    def root(self) -> Process | None:
        """Return the process that the tree grew from, while that very process is alive in this boot."""
        if self.pid is None or self.boot != procfs.boot_id():
            return None
        now = procfs.process(self.pid)
        return now if now is not None and now.start == self.start and now.alive else None

    def params(self) -> dict[str, Json]:
        """Return what is signed."""
        return {
            "tree": self.name,
            "cgroup": self.cgroup,
            "uid": self.uid,
            "pid": self.pid,
            "start": self.start,
            "boot": self.boot,
            "pidns": self.pidns,
            "hold": self.hold,
            "units": [*self.units],
        }


def of(resource: Resource) -> Tree:
    """Read the tree from a signed target.

    Raises:
        MalformedInput: the parameters are not those of a process tree.
    """
    return from_params(resource.params, resource.id)


def from_params(params: Mapping[str, Json], where: str) -> Tree:
    """Read the tree from signed parameters.

    Raises:
        MalformedInput: a parameter is missing or of another type.
    """

    def text(key: str) -> str:
        value = params.get(key)
        if not isinstance(value, str):
            raise MalformedInput(f"parameter {key!r} is not a string", where=where)
        return value

    def number(key: str) -> int | None:
        value = params.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise MalformedInput(f"parameter {key!r} is not a number", where=where)
        return value

    tree = Tree(
        text("tree"),
        text("cgroup"),
        number("uid"),
        number("pid"),
        number("start") or 0,
        text("boot"),
        number("pidns") or 0,
        text("hold"),
        tuple(str(one) for one in _list(params.get("units"))),
    )
    for path in (tree.cgroup, tree.hold):
        if path and complaint(path):
            raise MalformedInput(f"{path!r} {complaint(path)}", where=where)
    return tree


def _list(value: Json) -> list[Json]:
    return list(value) if isinstance(value, list | tuple) else []


def complaint(path: str) -> str:
    """Say what is wrong with the v2 path of a cgroup; empty: nothing."""
    if re.fullmatch(r"/[\x21-\x7e]{1,1000}", path) is None or '"' in path or path.endswith("/"):
        return "is not a v2 path like /agents/bot"
    if any(part in ("", ".", "..") for part in path.split("/")[1:]):
        return "is not a plain path below the v2 root"
    return ""


def setting(settings: JsonObject, key: str) -> str:
    """Return a text setting; empty when it is not set."""
    value = settings.get(key)
    return value if isinstance(value, str) else ""


def uid_of(user: str) -> int:
    """Return the uid of an account name or of digits.

    Raises:
        UsageError: no such account on this machine.
    """
    if re.fullmatch(r"\d{1,10}", user):
        return int(user)
    import pwd

    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise UsageError(f"no account {user!r} on this machine", where="user") from error


def named(settings: JsonObject) -> Tree:
    """Return the tree as the inventory names it, with the pid file read; nothing is checked yet.

    The cgroup of a unit is systemd's to say (`membership.resolve`).
    """
    unit, cgroup, user, pid_file = (setting(settings, key) for key in ("unit", "cgroup", "user", "pid_file"))
    name = (
        f"unit:{unit}"
        if unit
        else f"cgroup:{cgroup}"
        if cgroup
        else f"user:{user}"
        if user
        else f"pid-file:{pid_file}"
    )
    root = _root(pid_file) if pid_file else None
    return Tree(
        name,
        cgroup,
        uid_of(user) if user else None,
        root.pid if root else None,
        root.start if root else 0,
        procfs.boot_id() if root else "",
        _own_pid_namespace(root) if root else 0,
        units=tuple(str(one) for one in (unit, *_list(settings.get("units"))) if one),
    )


def hold_path(name: str, incident: str) -> str:
    """Return the cgroup in which a tree is gathered: one for each incident and tree."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "-", incident)
    return f"/breakglass-{safe}-{short(name)}"


def short(name: str) -> str:
    """Return eight characters that stand for a tree's name."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _root(pid_file: str) -> Process | None:
    """Read a pid file, which the agent may have written itself, or put a link in its place.

    Only a live process counts, and of a file that is not root's only one of that file's owner.
    """
    try:
        if any(
            part.is_symlink() and part.lstat().st_uid for part in (Path(pid_file), *Path(pid_file).parents)
        ):
            return None
        with Path(pid_file).open("rb") as file:
            text, owner = file.read(32).strip(), os.fstat(file.fileno()).st_uid
    except OSError:
        return None
    if not re.fullmatch(rb"[1-9]\d{0,9}", text):
        return None
    found = procfs.process(int(text))
    if found is None or not found.alive:
        return None
    return found if owner in {0, os.geteuid()} | procfs.uids(found.pid) else None


def _own_pid_namespace(root: Process) -> int:
    """Return the pid namespace that `root` is the first process of; 0 when it is the first of none.

    All of such a namespace descends from its first process or is adopted by it, and ends with it
    (pid_namespaces(7)).
    """
    inode = procfs.namespace(root.pid, "pid")
    numbers = (procfs.status(root.pid) or {}).get("NSpid", "").split()
    is_first = len(numbers) > 1 and numbers[-1] == "1"
    return inode if is_first and inode not in (0, procfs.namespace(os.getpid(), "pid")) else 0
