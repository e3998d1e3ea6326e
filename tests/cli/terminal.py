"""A real terminal of 80 columns for one program: a pseudo-terminal that the program's session controls."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """Start a program in a pseudo-terminal; type at it, and wait for what it shows."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        """Open a window of 80 columns and 24 lines."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**environ, "TERM": "xterm"},
        )
        os.close(slave)
        self.raw = ""
        self._from = 0

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the program, whatever happened."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    @property
    def shown(self) -> str:
        """Return all that was shown, without colours and cursor movements."""
        return ESCAPES.sub("", self.raw).replace("\r\n", "\n")

    def expect(self, text: str, timeout_s: float = 120.0) -> str:
        """Wait until `text` is shown after what was expected before, and return what came up to it."""
        until = time.monotonic() + timeout_s
        while text not in self.shown[self._from :]:
            left = until - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not shown; what was:\n{self.shown[self._from :]}")
        end = self.shown.index(text, self._from) + len(text)
        before, self._from = self.shown[self._from : end], end
        return before

    def type(self, text: str) -> None:
        """Type; a newline is the Enter key."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.type("\x03")

    def end(self, timeout_s: float = 240.0) -> int:
        """Wait until the program ends, and return its exit code."""
        until = time.monotonic() + timeout_s
        while self._read(max(0.0, until - time.monotonic())):
            pass
        return self.process.wait(max(0.1, until - time.monotonic()))

    def _read(self, timeout_s: float) -> bool:
        """Take what is there; False when the program closed the terminal or the time is over."""
        ready, _, _ = select.select([self._master], [], [], timeout_s)
        if not ready:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # EIO: nobody holds the other end any more
            return False
        self.raw += data.decode("utf-8", "replace")
        return bool(data)
