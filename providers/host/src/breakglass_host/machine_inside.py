"""Enters a machine of tests and drills from outside: its cgroup, and every namespace of its process 1."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence

from breakglass.errors import ProviderError
from breakglass_host import machine_owner, machine_programs, procfs
from breakglass_host.cgroup import Hierarchy

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(leader: int, script: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root, beside the process 1 that `leader` is outside.

    Raises:
        ProviderError: that process is gone.
    """
    places = [f"{one.folder(_place(one, leader))}/cgroup.procs" for one in machine_owner.hierarchies()]
    nsenter = [machine_programs.found("nsenter"), "-t", str(leader), "-a", "--wd"]
    # Files, not pipes: what the script leaves running in the background would keep a pipe open.
    with (
        tempfile.TemporaryFile("w+", errors="replace") as out,
        tempfile.TemporaryFile("w+", errors="replace") as err,
    ):
        done = subprocess.run(  # noqa: S603 - a test's own script, in a container
            joining(places, [*nsenter, "/bin/sh", "-c", script]),
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            timeout=timeout_s,
            env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"},
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, out.read(), err.read())


def joining(places: Sequence[str], command: Sequence[str]) -> list[str]:
    """Return a command that enters cgroups, by their `cgroup.procs`, before it becomes the one given."""
    text = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit 99; shift; done; shift; exec "$@"'
    return ["/bin/sh", "-c", text, "sh", *places, "--", *command]


def _place(hierarchy: Hierarchy, pid: int) -> str:
    """Return where a process is in v2, or in systemd's v1 tree."""
    mark = b"0::" if hierarchy.mount != machine_owner.OLD_TREE else b":name=systemd:"
    for line in (procfs.read(f"/proc/{pid}/cgroup") or b"").splitlines():
        if mark in line:
            return os.fsdecode(line.partition(mark)[2])
    raise ProviderError(f"process {pid} is gone")
