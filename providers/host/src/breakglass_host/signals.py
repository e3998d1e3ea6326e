"""Stops and ends processes by signals, where cgroup v2 or root is missing.

A signal loop cannot outrun a program that forks as fast as it can. Two things can, and are used where they
apply: ``kill(-1)`` as the agent's own user, which the kernel does in one go (kill(2)), and killing the first
process of a pid namespace, which ends the namespace (pid_namespaces(7)).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable

from breakglass.errors import Denied
from breakglass_host import procfs
from breakglass_host.membership import Seen
from breakglass_host.procfs import Process

_STOPPED = frozenset("Tt")
_ALL_OF_A_USER = (
    "import os,sys; os.setgroups([]); os.setresuid(*[int(sys.argv[1])]*3); os.kill(-1, int(sys.argv[2]))"
)


def stopped(one: Process) -> bool:
    """Return True while a signal or a tracer keeps it from running."""
    return one.state in _STOPPED


def send_all(targets: Iterable[Process], number: signal.Signals) -> None:
    """Signal each of them, by pidfd.

    Raises:
        Denied: the kernel does not let us signal one of them; the others were signalled.
    """
    refused = []
    for one in targets:
        try:
            procfs.send(one, number)
        except PermissionError:
            refused.append(one.id)
    if refused:
        raise Denied(f"not allowed to signal {len(refused)} of the agent's processes, first {refused[0]}")


def send_user(uid: int, number: signal.Signals) -> None:
    """Signal every process of a user at once; only where the user is the agent's alone, and we are root."""
    command = [sys.executable, "-I", "-S", "-B", "-c", _ALL_OF_A_USER, str(uid), str(int(number))]
    subprocess.run(command, check=False, capture_output=True, timeout=10)  # noqa: S603 - our own interpreter, two integers


def stop_until_still(look: Callable[[], Seen], *, uid: int | None, within_s: float) -> None:
    """Send SIGSTOP until two scans agree that every member is stopped, or the time is over.

    Raises:
        Denied: the kernel does not let us signal a member.
    """
    until, before, rounds = time.monotonic() + within_s, None, 0
    while True:
        seen = look()
        running = [one for one in seen.members if not stopped(one)]
        if time.monotonic() > until or (not running and not seen.torn and before == seen.members):
            return
        if (seen.torn or rounds > _PATIENCE) and uid is not None and os.geteuid() == 0:
            send_user(uid, signal.SIGSTOP)
        send_all(running, signal.SIGSTOP)
        before, rounds = seen.members, rounds + 1
        if not running:
            time.sleep(0.001)


_PATIENCE = 3
"""So many scans are tried before the whole user is stopped at once."""


def kill_until_gone(
    look: Callable[[], Seen], *, uid: int | None, first: Process | None, within_s: float
) -> None:
    """Send SIGKILL until two scans find nothing, or time is over; `first` of a pid namespace goes first.

    Raises:
        Denied: the kernel does not let us signal a member.
    """
    until, empty = time.monotonic() + within_s, 0
    if first is not None:
        send_all([first], signal.SIGKILL)
    while True:
        seen = look()
        is_left = bool(seen.members) or seen.torn
        empty = 0 if is_left else empty + 1
        if empty > 1 or time.monotonic() > until:
            return
        if is_left and uid is not None and os.geteuid() == 0:
            send_user(uid, signal.SIGKILL)
        send_all(seen.members, signal.SIGKILL)
        time.sleep(0.002)
