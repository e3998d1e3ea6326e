"""Opens a connection: starts ssh, sends the program, and waits for its word, within a time."""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import time
from dataclasses import dataclass

from breakglass.errors import BreakglassError
from breakglass_host.remote import login, refusals, ssh
from breakglass_host.remote.bundle import Bundle
from breakglass_host.remote.link import Link
from breakglass_host.remote.login import Listening, Word
from breakglass_host.remote.serving import Serving
from breakglass_host.remote.ssh import Target

_READ = 1 << 16
_KEPT = 8 * 1024
_LAST_WORDS_S = 1.0


def open_link(target: Target, program: Bundle, serving: Serving, *, within_s: float) -> Link:
    """Return a connection whose runner is up.

    Raises:
        Denied: the host key is not the pinned one, or the login or sudo is refused.
        Unsupported: there is no Python there that can run it.
        Unreachable: it does not answer, or not in time.
    """
    marker = secrets.token_hex(16)
    with ssh.started(target, login.command(without_sudo=target.without_sudo)) as process:
        entry = _Entry(target, process, login.opening(marker, program), Listening(marker))
        try:
            first = entry.await_word(within_s)
        except BaseException:
            ssh.end(process, patience_s=0.0)
            raise
        return Link(process, str(target.address), serving, first=first, said=entry.said)


@dataclass(slots=True)
class _Entry:
    """What is said until the runner is up."""

    target: Target
    process: subprocess.Popen[bytes]
    to_send: bytes
    listening: Listening
    said: str = ""

    def await_word(self, within_s: float) -> bytes:
        """Send and listen until the word comes; return what came after it. Raises why there is none."""
        assert self.process.stdin and self.process.stdout and self.process.stderr  # noqa: S101, PT018 - `ssh` made all three
        into, out, err = (
            one.fileno() for one in (self.process.stdin, self.process.stdout, self.process.stderr)
        )
        os.set_blocking(into, False)
        os.set_blocking(err, False)
        waiting, until_s = select.poll(), time.monotonic() + within_s
        for fd, what in ((into, select.POLLOUT), (out, select.POLLIN), (err, select.POLLIN)):
            waiting.register(fd, what)
        left = memoryview(self.to_send)
        while (left_s := until_s - time.monotonic()) > 0:
            ready = {fd for fd, _ in waiting.poll(left_s * 1000)}
            if into in ready:
                left = _write(into, left)
                if not left:
                    waiting.unregister(into)
            if err in ready and not self._hear(err):
                waiting.unregister(err)
            if out in ready:
                data = os.read(out, _READ)
                if found := self.listening.feed(data):
                    return self._up(*found)
                if not data:
                    raise self._no_word()
                if self.listening.is_flooded:
                    raise refusals.of_noise(self.target.address)
        # ssh gives up by itself where it cannot log in: longer than that, it is the login that hangs.
        raise refusals.of_silence(
            self.target.address, within_s, self.said, logged_in=within_s > ssh.CONNECT_S
        )

    def _up(self, word: Word, rest: bytes) -> bytes:
        if word.word == "up":
            return rest
        self._wait()
        raise refusals.of_word(word, self.target.address, self.said)

    def _no_word(self) -> BreakglassError:
        self._wait()
        said = self.said if self.said.strip() else self.listening.noise
        target = self.target
        return refusals.of_ssh(said, target.address, target.key, exit_code=self.process.returncode)

    def _wait(self) -> None:
        """Let the client end, and hear its last words."""
        assert self.process.stderr  # noqa: S101 - `ssh` made it
        end_s = time.monotonic() + _LAST_WORDS_S
        waiting = select.poll()
        waiting.register(self.process.stderr.fileno(), select.POLLIN)
        while (left_s := end_s - time.monotonic()) > 0:
            if waiting.poll(left_s * 1000) and not self._hear(self.process.stderr.fileno()):
                break
        try:
            self.process.wait(max(0.1, end_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            return

    def _hear(self, fd: int) -> bool:
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return True
        self.said = (self.said + data.decode("utf-8", "replace"))[-_KEPT:]
        return bool(data)


def _write(fd: int, left: memoryview) -> memoryview:
    try:
        return left[os.write(fd, left) :]
    except BlockingIOError:
        return left
    except OSError:
        return left[len(left) :]  # it ended: what it said tells why
