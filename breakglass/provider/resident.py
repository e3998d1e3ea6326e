"""A drill's agent as a process of its own beside a cloud's sandbox: it never outlives the drill."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Resident:
    """A program that acts as the agent until it is ended, or until its input ends with whoever started it."""

    _process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, module: str, told: Mapping[str, object], held: Path) -> Resident:
        """Start a module with its configuration, which may hold secrets, in a file of its own."""
        held.touch(0o600)
        held.write_text(json.dumps(told), encoding="utf-8")
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-m", module, str(held)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return cls(process)

    def end(self) -> None:
        """End it; safe to repeat."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def live(act: Callable[[], None], *, pause_s: float) -> None:
    """Act again and again until the input ends; for the program itself."""
    ended = threading.Event()

    def watch() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    while not ended.is_set():
        act()
        time.sleep(pause_s)
