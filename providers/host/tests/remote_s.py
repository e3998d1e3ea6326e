"""What the tests of another machine share: a folder for the executor's side, logins, what a machine holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from breakglass.canon import Json
from breakglass.errors import BreakglassError
from breakglass.provider import Connection, Provider
from breakglass_host import CARD
from breakglass_host.machine import Machine
from breakglass_host.remote.host import RemoteHost
from providers.host.tests.rig_b import connection

TIME = (
    "proc|sys|dev|run/systemd|run/user|run/utmp|run/log|run/sudo|run/agetty.reload|run/motd.dynamic"
    "|var/log|var/lib/systemd|var/lib/sudo"
)
"""What changes by itself, or at every login."""
LISTING = (
    f"find / -regextype egrep -regex '/({TIME})' -prune -o"
    " -type d -printf '%p d %m %u\\n' -o -printf '%p %y %m %u %s %T@\\n'"
)


def settings(machine: Machine, **more: Json) -> dict[str, Json]:
    """Return a reach to the machine."""
    own: dict[str, Json] = {
        "host": machine.url,
        "host_key": machine.host_key,
        "ssh_config": str(machine.ssh_config),
        "user": "daemon",
    }
    return own | more


def executor(folder: Path, reach: Mapping[str, Json], incident: str = "inc-1") -> Connection:
    """Return the executor's side of a connection."""
    return connection(folder / incident, dict(reach), incident)


def connected(folder: Path, reach: Mapping[str, Json], incident: str = "inc-1") -> RemoteHost:
    """Connect; the caller closes."""
    made: Provider = CARD.connect(executor(folder, reach, incident))
    assert isinstance(made, RemoteHost)
    return made


def refusal(folder: Path, reach: Mapping[str, Json]) -> BreakglassError:
    """Return why it does not connect."""
    try:
        connected(folder, reach).close()
    except BreakglassError as error:
        return error
    raise AssertionError("it connected")


def add_login(machine: Machine, name: str) -> str:
    """Make an account that the operator's key opens; return its URL."""
    machine.run(
        f"useradd -m -s /bin/bash {name} && mkdir -m 700 ~{name}/.ssh"
        f" && cp ~/.ssh/authorized_keys ~{name}/.ssh/ && chown -R {name}: ~{name}/.ssh"
    )
    return f"ssh://{name}@{machine.name}"


def holds(machine: Machine) -> tuple[set[str], list[str]]:
    """Return the file tree and the processes of a machine, but for what time itself changes."""
    found = machine.run("ps -eo comm= | sort").stdout.split("\n")
    passing = ("ps", "sort", "sh", "sshd", "kworker", "systemd-", "(sd-", "systemd", "nsenter")
    return set(machine.run(LISTING).stdout.splitlines()), [
        one for one in found if not one.startswith(passing)
    ]


def ours_alone() -> set[str]:
    """Return what this process left in the temporary folder, and the clients that it runs."""
    left = {str(path) for path in Path("/tmp").glob(f"breakglass-ssh-{os.getpid()}-*")}  # noqa: S108 - where they would be
    return left | {f"pid {pid}" for pid in _children() if _name(pid) == "ssh"}


def _children() -> list[int]:
    tasks = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
