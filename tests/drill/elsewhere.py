"""Runs a program as if this machine lacked something: ``python -m tests.drill.elsewhere WHAT... -- COMMAND``.

WHAT is ``no-nft``, ``no-nspawn``, ``no-cgroups``, ``no-clouds`` or ``no-other-python`` (in a mount namespace
of its own, needs root), ``uid=N`` (as that user, who may read this interpreter and this repository), or
``no-namespaces`` (in a user namespace that allows no further ones, as a kernel does whose administrator
forbids them).
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import sys
from pathlib import Path

from breakglass_host.visible import make_visible

ROOT = Path(__file__).parents[2]
_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_BIND, _PRIVATE = 4096, 16384 | 1 << 18
_DETACH = 2
_SET_DUMPABLE = 4
_libc = ctypes.CDLL(None, use_errno=True)


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    if function(*arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def own_mounts() -> None:
    """Go where mounts are nobody else's."""
    _call(_libc.unshare, _NEWNS)
    _call(_libc.mount, b"none", b"/", None, _PRIVATE, None)


def cover(path: Path) -> None:
    """Put nothing in the place of a program."""
    _call(_libc.mount, b"/dev/null", str(path.resolve()).encode(), None, _BIND, None)


def without(program: str) -> None:
    """Have no program of this name."""
    for folder in (*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin", "/usr/bin", "/bin"):
        with contextlib.suppress(OSError):
            if Path(folder, program).stat().st_size:
                cover(Path(folder, program))


def without_nft() -> None:
    """Have no nft."""
    without("nft")


def without_nspawn() -> None:
    """Have nothing that starts a machine."""
    without("systemd-nspawn")


def without_cgroups() -> None:
    """Have no cgroup v2 at all."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            _call(_libc.umount2, place.encode(), _DETACH)


def without_other_python() -> None:
    """Have no interpreter but this one."""
    for name in ("/usr/bin/python3", "/usr/local/bin/python3"):
        found = Path(name)
        if found.exists() and found.resolve() != Path(sys.executable).resolve():
            cover(found)


def without_clouds() -> None:
    """Have no provider of a cloud or a cluster."""
    for name in ("breakglass_aws", "breakglass_gcp", "breakglass_kubernetes"):
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        cover(Path(found.origin))


def become(uid: int) -> None:
    """Go on as somebody else."""
    make_visible([sys.base_prefix, sys.prefix, str(ROOT)], uid)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _call(_libc.prctl, _SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self would belong to root


def without_namespaces() -> None:
    """Allow no further user namespace to oneself; the way there is one, without any right outside."""
    uid, gid = os.getuid(), os.getgid()
    _call(_libc.unshare, _NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    Path("/proc/sys/user/max_user_namespaces").write_text("0", encoding="ascii")


CHANGES = {
    "no-nft": without_nft,
    "no-nspawn": without_nspawn,
    "no-cgroups": without_cgroups,
    "no-clouds": without_clouds,
    "no-other-python": without_other_python,
}


def main() -> None:
    """Take things away, and become the command."""
    here, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    if any(what in CHANGES for what in here):
        own_mounts()
    for what in here:
        if what in CHANGES:
            CHANGES[what]()
    for what in here:
        if what.startswith("uid="):
            become(int(what.partition("=")[2]))
    if "no-namespaces" in here:
        without_namespaces()
    program = shutil.which(command[0])
    assert program is not None
    os.execv(program, command)  # noqa: S606 - no shell: the command is a list


if __name__ == "__main__":
    main()
