"""Calls a container engine's own program, which may hang, and whose words are hostile until parsed.

The engine's part is never the only one: what it does not answer is still read from the kernel.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

from breakglass.errors import Denied, ProviderError, Transient, Unsupported
from breakglass_host import safepath

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ASK_S = 5.0
ACT_S = 8.0
LARGEST = 8 * 1024 * 1024
ID = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
_ENTRY = re.compile(r"(?P<engine>[a-z]+):(?P<name>.*)", re.DOTALL)
ENGINES = ("podman", "docker")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program printed, each stream at most as long as was asked for."""

    code: int
    out: bytes
    err: bytes
    cut: bool = False
    """More was to come: the rest was not read."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine, by its name: podman without a daemon, docker with one. Both are root's here."""

    name: str

    @property
    def program(self) -> str | None:
        """Return where it lies; None: not installed."""
        return shutil.which(self.name, path=PATH)

    def run(self, *arguments: str, timeout_s: float = ASK_S, largest: int = LARGEST) -> Answer:
        """Call it, with nothing of the caller's environment: a context or a host of theirs is not used.

        Raises:
            Unsupported: it is not installed.
            Transient: it gave no answer in time; what it did is not known.
        """
        program = self.program
        if program is None:
            raise Unsupported(f"{self.name} is not installed")
        with subprocess.Popen(  # noqa: S603 - a fixed program; names from outside are checked ids
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"LC_ALL": "C", "PATH": PATH, "HOME": "/"},
            cwd="/",
            start_new_session=True,
        ) as running:
            try:
                return _collect(running, time.monotonic() + timeout_s, largest)
            except TimeoutError:
                raise Transient(f"{self.name} {arguments[0]} gave no answer in {timeout_s:g} s") from None
            finally:
                with contextlib.suppress(ProcessLookupError):
                    if running.poll() is None:
                        os.killpg(running.pid, signal.SIGKILL)

    def order(self, *arguments: str, timeout_s: float = ACT_S) -> bytes:
        """Call it and return what it printed.

        Raises:
            Denied: it may not be asked.
            ProviderError: it refused, in its own words.
        """
        answer = self.run(*arguments, timeout_s=timeout_s)
        if answer.code == 0:
            return answer.out
        words = safepath.shown(answer.err.strip() or answer.out.strip())[-300:]
        kind = Denied if "ermission denied" in words else ProviderError
        raise kind(f"{self.name} {arguments[0]}: {words or f'exit status {answer.code}'}")


def _collect(running: subprocess.Popen[bytes], until: float, largest: int) -> Answer:
    """Read both streams to their end; a program that prints without end is cut.

    Raises:
        TimeoutError: the time is over.
    """
    if running.stdout is None or running.stderr is None:
        raise ProviderError("the streams of a program could not be opened")
    found = {running.stdout: bytearray(), running.stderr: bytearray()}
    with selectors.DefaultSelector() as ready:
        for stream in found:
            ready.register(stream, selectors.EVENT_READ)
        while ready.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            for key, _ in ready.select(left):
                stream = running.stdout if key.fileobj is running.stdout else running.stderr
                data = os.read(stream.fileno(), 65_536)
                if not data:
                    ready.unregister(stream)
                found[stream] += data
                if len(found[stream]) > largest:
                    return Answer(0, bytes(found[running.stdout][:largest]), b"", cut=True)
    try:
        code = running.wait(max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return Answer(code, bytes(found[running.stdout]), bytes(found[running.stderr]))


def parse(entry: str) -> tuple[Engine, str]:
    """Read ``podman:NAME`` or ``docker:NAME``; a name is what the engines allow as one, or an id.

    Raises:
        ProviderError: it is neither.
    """
    found = _ENTRY.fullmatch(entry)
    if found is None or found["engine"] not in ENGINES:
        raise ProviderError("expected podman:NAME or docker:NAME; a user's own podman is named by its user")
    if _NAME.fullmatch(found["name"]) is None:
        raise ProviderError("no engine gives such a name to a container")
    return Engine(found["engine"]), found["name"]
