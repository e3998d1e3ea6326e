"""Runs journalctl and reads what it prints: from both ends of a journal, within bounds of size and time.

Whoever can log can flood. So the first entries since the incident began are read forwards, and where those
are not all, the newest are read backwards: what lies between is named by the cursors on both sides of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from breakglass.errors import MalformedInput, ProviderError, Unsupported
from breakglass_host.journald.export_format import Entry, Field, entries
from breakglass_host.journald.field_redaction import work

_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_ENVIRONMENT = {"PATH": _PATH, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
_MOST_SAID = 4096
SYNC_S = 3.0
_END_S = 2.0
_AS_EXPORT = ("--output=export", "--all", "--no-pager", "--quiet")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read from one end."""

    entries: int = 10_000
    size: int = 16 * 1024 * 1024
    distinct: int = 2 * 1024 * 1024
    """Bytes of fields that differ from those before: each is searched for secrets, which takes time."""


@dataclass(slots=True)
class Answer:
    """What one run of journalctl gave."""

    entries: int = 0
    size: int = 0
    distinct: int = 0
    ended: bool = False
    """All that journalctl had was read."""
    late: bool = False
    failed: str = ""


@dataclass(slots=True)
class Journalctl:
    """The program, with the matches of one scope."""

    matches: Sequence[str]
    since_s: int
    left_s: Callable[[], float]
    """How much time is left, in seconds."""
    said: list[bytes] = field(default_factory=list)
    """What the program wrote to its error output."""

    def sync(self) -> str:
        """Have journald write down what it was sent; say what went wrong, or nothing.

        Only root may ask (journalctl(1), ``--sync``).
        """
        if os.geteuid() != 0:
            return "not root: the newest entries, and other users', may be missing"
        patience_s = max(0.1, min(SYNC_S, self.left_s()))
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program and argument
                [program(), "--sync"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=_ENVIRONMENT,
                timeout=patience_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"journald does not answer within {patience_s:.0f} s: the newest entries may be missing"
        except OSError as error:
            return f"journalctl --sync: {error.strerror}"
        self.said.append(done.stderr[:_MOST_SAID])
        return "" if done.returncode == 0 else f"journalctl --sync: exit status {done.returncode}"

    def begins(self) -> int | None:
        """Return when the oldest entry that journald still has came, in microseconds; None: unknown."""
        answer = Answer()
        whole = Journalctl((), 0, self.left_s, self.said)
        first = next(whole.read(Bounds(entries=1), answer), None)
        return first.realtime if first is not None else None

    def read(self, bounds: Bounds, answer: Answer, *, backwards: bool = False) -> Iterator[Entry]:
        """Yield entries within the bounds, oldest or newest first; `answer` says how it ended."""
        order = ["--reverse"] if backwards else []
        command = [program(), *_AS_EXPORT, f"--since=@{self.since_s}", *order, *self.matches]
        with _running(command, self.left_s(), self.said) as process:
            seen: set[Field] = set()
            try:
                for entry, size in entries(_output(process), largest=bounds.size):
                    weight = sum(work(one) for one in entry.fields if one not in seen)
                    is_full = answer.size + size > bounds.size or answer.distinct + weight > bounds.distinct
                    if answer.entries >= bounds.entries or is_full:
                        return
                    seen.update(entry.fields)
                    answer.distinct += weight
                    answer.entries += 1
                    answer.size += size
                    yield entry
                    if self.left_s() <= 0:
                        answer.late = True
                        return
                answer.ended = process.wait(_END_S) == 0
                answer.failed = "" if answer.ended else f"exit status {process.returncode}"
            except (MalformedInput, subprocess.TimeoutExpired) as error:
                answer.failed = str(error)
            if self.left_s() <= 0 and not answer.ended:
                answer.late, answer.failed = True, ""


def program() -> str:
    """Return the path of journalctl.

    Raises:
        Unsupported: it is not installed.
    """
    found = shutil.which("journalctl", path=_PATH)
    if found is None:
        raise Unsupported("journalctl is not installed", where="journal")
    return found


@contextlib.contextmanager
def _running(command: Sequence[str], left_s: float, said: list[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block ends, at most so long: a read of its output ends then too."""
    errors = os.memfd_create("journalctl", os.MFD_CLOEXEC)
    try:
        with subprocess.Popen(  # noqa: S603 - a fixed program, no shell, matches that cannot be options
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=_ENVIRONMENT
        ) as process:
            timer = threading.Timer(max(0.1, left_s), process.kill)
            timer.daemon = True
            timer.start()
            try:
                yield process
            finally:
                timer.cancel()
                process.kill()
        said.append(os.pread(errors, _MOST_SAID, 0))
    except OSError as error:
        raise ProviderError(f"journalctl: {error.strerror}", where="journal") from error
    finally:
        os.close(errors)


def _output(process: subprocess.Popen[bytes]) -> BinaryIO:
    if process.stdout is None:
        raise ProviderError("journalctl runs without an output", where="journal")
    return cast("BinaryIO", process.stdout)
