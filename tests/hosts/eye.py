"""Stands between an executor and its ssh client, and sees every message of the protocol go by.

A program named ``ssh`` comes first on the executor's PATH; it hands its three descriptors to the test, which
starts the real client and passes on message by message. So a test cuts at the very message that it means.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from breakglass_host.remote.frames import HEADER, Frames, Message, unpack

TO_THERE, FROM_THERE = "to the machine", "from the machine"
Decide = Callable[["Sight"], bool]
"""Is told of a message before it is passed on; False: it never is."""


@dataclass(frozen=True, slots=True)
class Sight:
    """One message on its way."""

    number: int
    """Counted over both directions and all connections since `watch`."""
    link: int
    """Which of the connections, counted from 1."""
    way: str
    message: Message
    verb: str
    """Of the call that it is or answers; else what kind of message it is."""
    action: str


@dataclass(slots=True)
class _Client:
    """One ssh client."""

    number: int
    process: subprocess.Popen[bytes]
    calls: dict[int, tuple[str, str]] = field(default_factory=dict)
    streams: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Eye:
    """Sees the messages of all clients that use one configuration file."""

    _listener: socket.socket
    decide: Decide = lambda _sight: True
    seen: int = 0
    links: int = 0
    ups: list[tuple[int, float]] = field(default_factory=list)
    """When the runner of each connection answered for the first time."""
    clients: list[_Client] = field(default_factory=list)
    deaf: bool = False
    """The machine is not told that an executor died."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, decide: Decide) -> None:
        """Count from the beginning, and ask `decide` about each message."""
        with self._lock:
            self.decide, self.seen, self.links = decide, 0, 0
            self.ups, self.clients = [], []

    def waiting(self) -> list[str]:
        """Name what the executor waits for right now, on the youngest connection."""
        with self._lock:
            if not self.clients:
                return ["connecting"]
            last = self.clients[-1]
            verbs = [verb for verb, _ in last.calls.values()]
            return sorted([*verbs, *("evidence" for _ in last.streams)]) or ["nothing"]

    def serve(self) -> None:
        """Take clients until the listener is closed."""
        while True:
            try:
                asking, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(asking,), daemon=True).start()

    def _take(self, asking: socket.socket) -> None:
        raw, handles, *_ = socket.recv_fds(asking, 1 << 20, 3)
        into, out, err = handles
        process = subprocess.Popen(
            [_REAL, *json.loads(raw)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            bufsize=0,
            start_new_session=True,
        )
        os.close(err)
        asking.sendall(f"{process.pid}\n".encode())
        with self._lock:
            self.links += 1
            client = _Client(self.links, process)
            self.clients.append(client)
        assert process.stdin is not None
        assert process.stdout is not None
        up = threading.Thread(target=self._pass, args=(client, TO_THERE, into, process.stdin.fileno()))
        down = threading.Thread(target=self._pass, args=(client, FROM_THERE, process.stdout.fileno(), out))
        for one in (up, down):
            one.daemon = True
            one.start()
        threading.Thread(target=_end_with, args=(asking, process), daemon=True).start()
        code = process.wait()
        down.join(2.0)
        with contextlib.suppress(OSError):
            asking.sendall(b"%d\n" % (code if code >= 0 else 255))
        asking.close()

    def _pass(self, client: _Client, way: str, source: int, target: int) -> None:
        opening: _Head | _Noise = _Head() if way == TO_THERE else _Noise()
        frames: Frames | None = None
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(source, 1 << 16):
                if frames is None:
                    plain, data, is_over = opening.split(data)
                    _write(target, plain)
                    if not is_over:
                        continue
                    frames = Frames()
                for one in frames.feed(data):
                    sight = self._see(client, way, unpack(one))
                    if self.decide(sight):
                        _write(target, len(one).to_bytes(HEADER, "big") + one)
                    self._forget(client, sight)
        while way == TO_THERE and self.deaf:
            time.sleep(0.05)
        with contextlib.suppress(OSError):
            if way == TO_THERE and client.process.stdin is not None:
                os.close(source)
                client.process.stdin.close()
            elif client.process.stdout is not None:
                os.close(target)
                client.process.stdout.close()

    def _see(self, client: _Client, way: str, message: Message) -> Sight:
        with self._lock:
            self.seen += 1
            number, kind, about = self.seen, str(message.get("k")), ("", "")
            if kind == "call":
                of = message["of"]
                assert isinstance(of, dict)
                about = client.calls[of["id"]] = str(of["verb"]), str(of["action"])
            elif kind == "answer":
                about = client.calls.get(_number(message, "id"), ("", ""))
            elif kind == "ask":
                client.streams.add(_number(message, "ask"))
            elif kind == "hello" and way == FROM_THERE:
                self.ups.append((client.number, time.monotonic()))
        return Sight(number, client.number, way, message, about[0] or kind, about[1])

    def _forget(self, client: _Client, sight: Sight) -> None:
        """Take what was answered off the list, once the answer is on its way."""
        with self._lock:
            if sight.message.get("k") == "answer":
                client.calls.pop(_number(sight.message, "id"), None)
            elif sight.message.get("k") == "told":
                client.streams.discard(_number(sight.message, "ask"))


class _Head:
    """What is sent before the first message: marker, source, program (login.opening)."""

    def __init__(self) -> None:
        self._kept = b""

    def split(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return what belongs to it, what comes after it, and whether it is over."""
        before = len(self._kept)
        self._kept += data
        size = self._size()
        if size is None or len(self._kept) < size:
            return data, b"", False
        return data[: size - before], data[size - before :], True

    def _size(self) -> int | None:
        first = self._kept.find(b"\n") + 1
        second = self._kept.find(b"\n", first) + 1
        if not first or not second:
            return None
        boot = second + int(self._kept[first:second])
        third = self._kept.find(b"\n", boot) + 1
        if len(self._kept) < boot or not third:
            return None
        return third + int(self._kept[boot:third].split()[0])


class _Noise:
    """What is heard before the first message: anything, then a line that ends in `` up``."""

    def __init__(self) -> None:
        self._kept = b""

    def split(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return what belongs to it, what comes after it, and whether it is over."""
        before = len(self._kept)
        self._kept += data
        at = self._kept.find(b" up\n")
        if at < 0:
            return data, b"", False
        return data[: at + 4 - before], data[at + 4 - before :], True


@contextmanager
def eye(folder: Path) -> Iterator[Eye]:
    """Watch the clients whose configuration lies in `folder`."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "eye"))
    listener.listen(64)
    found = Eye(listener)
    threading.Thread(target=found.serve, daemon=True).start()
    try:
        yield found
    finally:
        found.decide, found.deaf = (lambda _sight: True), False
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for client in found.clients:
            if client.process.poll() is None:
                client.process.send_signal(signal.SIGCONT)
                client.process.kill()


def lay_program(folder: Path) -> str:
    """Write the program that stands for ssh; return the PATH that has it first."""
    program = folder / "ssh"
    program.write_text(f"#!{sys.executable} -IS\n{_PROGRAM}")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


_REAL = shutil.which("ssh", path="/usr/bin:/bin:/usr/local/bin") or "ssh"
_PROGRAM = """
import json, os, socket, sys
config = sys.argv[sys.argv.index("-F") + 1]
one = socket.socket(socket.AF_UNIX)
one.connect(os.path.join(os.path.dirname(config), "eye"))
socket.send_fds(one, [json.dumps(sys.argv[1:]).encode()], [0, 1, 2])
said = one.makefile()
said.readline()
for number in (0, 1):
    os.close(number)
os._exit(int(said.readline() or 255))
"""


def _end_with(asking: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """End the client when the program that stands for it was ended."""
    with contextlib.suppress(OSError):
        asking.recv(1)
    if process.poll() is None:
        process.terminate()


def _write(target: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(target, left) :]


def _number(message: Message, key: str) -> int:
    found = message.get(key)
    return found if isinstance(found, int) else -1
