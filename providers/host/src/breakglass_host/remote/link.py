"""One live connection to a runner: calls with numbers, answers in any order, one thread that reads.

It is *cut* when ssh ends, when nothing comes for a while, or when the other side sends what no runner of
ours would: then every call that waits fails, and this connection is never used again.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from breakglass.errors import MalformedInput
from breakglass_host.remote import faults, frames, ssh
from breakglass_host.remote.frames import Message
from breakglass_host.remote.refusals import shown
from breakglass_host.remote.serving import Serving

PING_S = 4.0
SILENCE_S = 15.0
STUCK_S = 20.0
"""So long a write may make no progress."""
_READ = 1 << 18
_KEPT_LINES = 8 * 1024
_LARGE = 512 * 1024
"""A piece of evidence, which is counted for itself, is smaller."""
_LONG_ANSWERS = frozenset(("observe", "revert"))
_LARGEST_OTHER = 1024 * 1024
"""What is found on one machine must leave room in a plan for what others find."""


class Cut(Exception):
    """The connection is gone; what was asked may or may not have been done."""


@dataclass(slots=True)
class _Waiter:
    done: threading.Event = field(default_factory=threading.Event)
    answer: Message | None = None
    largest: int = _LARGEST_OTHER


class Link:
    """Made by `opening`; used by any number of threads."""

    def __init__(
        self, process: subprocess.Popen[bytes], host: str, serving: Serving, *, first: bytes, said: str
    ) -> None:
        """Start to read; `first` came already."""
        assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - `ssh` made all three
        self._process = process
        self._host = host
        self._serving = serving
        self._in, self._out, self._err = (
            stream.fileno() for stream in (process.stdin, process.stdout, process.stderr)
        )
        self._said = deque(said.encode(), _KEPT_LINES)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._waiters: dict[int, _Waiter] = {}
        self._why = ""
        self._is_foul = False
        self._pings = 0
        self._frames = frames.Frames()
        self._reader = threading.Thread(target=self._read, args=(first,), daemon=True, name=f"ssh {host}")
        self._reader.start()

    @property
    def is_cut(self) -> bool:
        """Return whether it is gone."""
        return bool(self._why)

    @property
    def is_foul(self) -> bool:
        """Return whether it was cut for what no runner of ours would send."""
        return self._is_foul

    @property
    def pid(self) -> int:
        """Return the ssh client's process."""
        return self._process.pid

    def hello(self, within_s: float) -> tuple[int, float]:
        """Return the wall clock there in ms, and the round trip in seconds. Raises Cut."""
        started_s = time.monotonic()
        found = self._ask(0, {"k": "hello"}, within_s).get("at_ms")
        if not isinstance(found, int) or not 0 <= found < 2**53:
            self._cut("it does not say what time it is there")
            raise Cut(self._why)
        return found, time.monotonic() - started_s

    def begin(self, of: object) -> None:
        """Say what the connection is for. Raises Cut."""
        self._send({"k": "begin", "of": of})

    def call(self, verb: str, action: str, args: Message) -> object:
        """Make one call and wait for its answer.

        Raises:
            Cut: there is no answer, and there will be none.
            ProviderError: what the call raised there.
        """
        number = next(self._numbers)
        of = {"id": number, "verb": verb, "action": action, "args": args}
        largest = frames.MAX_MESSAGE if verb in _LONG_ANSWERS else _LARGEST_OTHER
        found = self._ask(number, {"k": "call", "of": of}, None, largest)
        if "error" in found:
            try:
                raise faults.from_host(found["error"], self._host)
            except MalformedInput as error:
                self._cut(f"it sends what is not of the protocol: {error.what}")
                raise Cut(self._why) from error
        return found.get("ok")

    def close(self) -> None:
        """Say goodbye, and wait until the client has ended."""
        with contextlib.suppress(Cut):
            self._send({"k": "bye"})
        self._reader.join(2.0)
        self._cut("it was closed")
        self._reader.join(5.0)

    def _ask(
        self, number: int, message: Message, within_s: float | None, largest: int = _LARGEST_OTHER
    ) -> Message:
        waiter = _Waiter(largest=largest)
        with self._lock:
            if self._why:
                raise Cut(self._why)
            self._waiters[number] = waiter
        try:
            self._send(message)
            waiter.done.wait(within_s)
        finally:
            with self._lock:
                self._waiters.pop(number, None)
        if waiter.answer is None:
            raise Cut(self._why or f"no answer within {within_s:.0f} s")
        return waiter.answer

    def _send(self, message: Message) -> None:
        left, until_s = memoryview(frames.pack(message)), time.monotonic() + STUCK_S
        with self._sending:
            while left:
                if self._why:
                    raise Cut(self._why)
                try:
                    left = left[os.write(self._in, left) :]
                    until_s = time.monotonic() + STUCK_S
                except BlockingIOError:
                    if time.monotonic() > until_s:
                        self._cut(f"it took nothing for {STUCK_S:.0f} s")
                    _wait(self._in, select.POLLOUT, 0.5)
                except OSError as error:
                    self._cut(f"ssh ended: {error.strerror}")

    def _cut(self, why: str) -> None:
        """Make everybody who waits fail; the reading thread does the rest."""
        with self._lock:
            self._why = self._why or why
            waiters = tuple(self._waiters.values())
        for waiter in waiters:
            waiter.done.set()
        with contextlib.suppress(OSError):
            self._process.terminate()

    def _read(self, first: bytes) -> None:
        try:
            self._take(first)
            self._loop()
        except MalformedInput as error:
            # An answer may come for somebody who left when the connection was cut: no fault of the host.
            self._is_foul = not self._why
            self._cut(f"it sends what is not of the protocol: {error.what}")
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever
            self._cut(f"{type(error).__name__}: {error}")
        self._serving.drop()
        with self._sending:  # from here on nobody writes: the descriptors may be closed
            ssh.end(self._process, patience_s=0.5)

    def _loop(self) -> None:
        heard_s = pinged_s = time.monotonic()
        both = select.poll()
        both.register(self._out, select.POLLIN)
        both.register(self._err, select.POLLIN)
        while not self._why:
            ready = {fd for fd, _ in both.poll(1000)}
            now_s = time.monotonic()
            if self._err in ready and not self._hear(self._err):
                both.unregister(self._err)
            if self._out in ready:
                data = os.read(self._out, _READ)
                if not data:
                    self._cut(f"ssh ended: {self._last_words()}")
                    return
                heard_s = now_s
                self._take(data)
            if now_s - heard_s > SILENCE_S:
                self._cut(f"nothing was heard for {SILENCE_S:.0f} s")
            if now_s - pinged_s > PING_S:
                pinged_s = now_s
                self._ping()

    def _take(self, data: bytes) -> None:
        for one in self._frames.feed(data):
            if self._why:
                return
            if len(one) > _LARGE:  # before it costs anything
                self._serving.hear(len(one))
            message = frames.unpack(one)
            kind = message.get("k")
            if kind in ("answer", "hello"):
                if len(one) <= _LARGE:
                    self._serving.hear(len(one))
                self._deliver(message, len(one))
            elif kind == "pong" and self._pings > 0:
                self._pings -= 1
            else:
                self._serving.take(message, self._send)

    def _deliver(self, message: Message, size: int) -> None:
        """Give an answer to who asked. Raises MalformedInput: nobody did, or it is too long."""
        number = message.get("id") if message.get("k") == "answer" else 0
        with self._lock:
            waiter = self._waiters.get(number) if isinstance(number, int) else None
            if waiter is None or waiter.answer is not None:
                raise MalformedInput("an answer to what was not asked")
            if size > waiter.largest:
                raise MalformedInput(f"an answer of {size} bytes")
            waiter.answer = message
        waiter.done.set()

    def _ping(self) -> None:
        """Say that we are there, unless something is being said right now."""
        if self._sending.acquire(blocking=False):
            try:
                if _wait(self._in, select.POLLOUT, 0):
                    self._pings += 1
                    with contextlib.suppress(OSError):
                        os.write(
                            self._in, frames.pack({"k": "ping"})
                        )  # far below PIPE_BUF: whole or not at all
            finally:
                self._sending.release()

    def _hear(self, fd: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            data = os.read(fd, _READ)
            self._said.extend(data)
            return bool(data)
        return True

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            while _wait(self._err, select.POLLIN, 0.2) and self._hear(self._err):
                pass
        lines = bytes(self._said).decode("utf-8", "replace").splitlines()
        return shown(lines[-1]) if lines else "the connection was closed"


def _wait(fd: int, what: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(fd, what)
    return bool(waiting.poll(seconds * 1000))
