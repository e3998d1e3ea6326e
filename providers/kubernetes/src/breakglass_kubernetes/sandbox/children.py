"""Starts the three programs as children that cannot outlive this process, and ends them in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_END_S = 5.0
_LAST_LINES = 4


@dataclass(slots=True)
class Child:
    """One program that runs."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]

    def ended(self) -> bool:
        """Say whether it has ended."""
        return self.process.poll() is not None

    def said(self) -> str:
        """Return the end of its log, in a line."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-_LAST_LINES:])

    def stop(self, end_s: float = _END_S) -> None:
        """End it, by force if it takes long; safe to repeat."""
        if self.ended():
            return
        # One that was paused takes no signal before it goes on.
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(end_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(name: str, argv: Sequence[str], folder: Path) -> Child:
    """Start a program whose output goes to FOLDER/NAME.log.

    The kernel kills it when the *thread* that started it ends (prctl(2), PR_SET_PDEATHSIG), so only the main
    thread may call this.
    """
    log = folder / f"{name}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603 - our own list
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # No proxy, no trace of the user's own clusters, and no variable that etcd would take for a flag.
            env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)},
            # Ctrl-C at a terminal is for this program, which ends them in order.
            start_new_session=True,
            preexec_fn=_dying_with_parent(),  # noqa: PLW1509 - one system call; there is no other way to ask
        )
    return Child(name, log, process)


def _dying_with_parent() -> Callable[[], None] | None:
    """Return what a child calls before its program starts; None where the kernel cannot do it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask
