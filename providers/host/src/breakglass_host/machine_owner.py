"""Names what one run of tests or one drill makes for its machines, and clears what a killed run left.

Every folder, network namespace and cgroup carries the id of its machine, and the id names the process that
made it: its pid namespace, pid and start. What belongs to a process that is gone may be cleared.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from breakglass_host import cgroup, machine_programs, procfs
from breakglass_host.cgroup import Hierarchy

FOLDER = Path("/run/breakglass-machines")
NETNS = Path("/run/netns")
OLD_TREE = "/sys/fs/cgroup/systemd"
_CGROUPS = "/breakglass-machines"
_NSPAWN = Path("/run/systemd/nspawn/propagate")
_ID = re.compile(r"bg-(\d+)-(\d+)-(\d+)-[0-9a-f]{6}")
_EMPTY_S = 10.0


def new_id() -> str:
    """Return a name of 64 characters at most that no other machine has, and that names this process."""
    pid = os.getpid()
    me = procfs.process(pid)
    return f"bg-{procfs.namespace(pid, 'pid')}-{pid}-{me.start if me else 0}-{secrets.token_hex(3)}"


def folder(id_: str) -> Path:
    """Return where a machine's files lie."""
    return FOLDER / id_


def cgroup_path(id_: str) -> str:
    """Return the cgroup that a machine runs in, with all that its systemd makes below it."""
    return f"{_CGROUPS}/{id_}"


def hierarchies() -> list[Hierarchy]:
    """Return v2, and systemd's v1 tree where there is one: machines must not share a place in either."""
    found = cgroup.writable()
    old = Path(OLD_TREE)
    named = [Hierarchy(OLD_TREE)] if (old / "cgroup.procs").exists() and os.access(old, os.W_OK) else []
    return ([found] if found else []) + [one for one in named if not found or one.mount != found.mount]


def sweep() -> list[str]:
    """Clear what runs that were killed left behind; return the ids."""
    dead = sorted(id_ for id_ in _known() if _is_orphan(id_))
    for id_ in dead:
        clear(id_)
    return dead


def _known() -> set[str]:
    """Return the ids of all that is there, whoever made it."""
    places = [FOLDER, NETNS, _NSPAWN, *(Path(one.folder(_CGROUPS)) for one in hierarchies())]
    names: set[str] = set()
    for place in places:
        with contextlib.suppress(OSError):
            names |= {path.name for path in place.iterdir()}
    matches = (_ID.match(name) for name in names)
    return {match[0] for match in matches if match}


def _is_orphan(id_: str) -> bool:
    match = _ID.fullmatch(id_)
    if match is None:
        return False
    space, pid, start = map(int, match.groups())
    if space != procfs.namespace(os.getpid(), "pid"):
        return False  # pids of another namespace: nobody here can tell
    owner = procfs.process(pid)
    return owner is None or owner.start != start or not owner.alive


def clear(id_: str) -> None:
    """End and remove all that carries an id; safe to repeat."""
    for hierarchy in hierarchies():
        _end(hierarchy, cgroup_path(id_))
    _unmount(folder(id_))
    shutil.rmtree(folder(id_), ignore_errors=True)
    shutil.rmtree(_NSPAWN / id_, ignore_errors=True)
    with contextlib.suppress(OSError):
        for path in NETNS.glob(f"{id_}-*"):
            machine_programs.call(["ip", "netns", "delete", path.name], check=False)
    with contextlib.suppress(OSError):
        FOLDER.rmdir()


def _end(hierarchy: Hierarchy, path: str) -> None:
    """Kill what is in a cgroup and below it, and remove them all."""
    until = time.monotonic() + _EMPTY_S
    while True:
        if not hierarchy.kill(path):
            _kill_each(hierarchy, path)
        for inner in reversed(hierarchy.below(path)):
            hierarchy.remove(inner)
        if not hierarchy.inode(path) or time.monotonic() > until:
            break
        time.sleep(0.005)
    hierarchy.remove(_CGROUPS)


def _kill_each(hierarchy: Hierarchy, path: str) -> None:
    """Kill where the kernel has no cgroup.kill: before 5.14, and in v1."""
    for pid in hierarchy.pids(path):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)


def _unmount(top: Path) -> None:
    """Unmount all below a folder, the innermost first, and lazily: a killed process may still be dying."""
    lines = Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines()
    mounts = [line.split(" ")[1] for line in lines]
    for mount in reversed([one for one in mounts if Path(one).is_relative_to(top)]):
        machine_programs.call(["umount", "--lazy", "--", mount], check=False)
