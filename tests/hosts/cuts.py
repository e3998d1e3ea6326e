"""Where and how a connection is cut: at a random instant, or right at one call."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import dataclass, field
from enum import StrEnum

from breakglass_host import procfs
from breakglass_host.machine import Machine
from tests.hosts.cutting import Ground
from tests.hosts.eye import FROM_THERE, TO_THERE, Decide, Sight
from tests.hosts.wire import Kind

_ARRIVES_S = 0.1
"""So long a message may take to a machine that is a container here."""
_RUNNER = b"s=open(os.dup(0)"
"""What stands in the command line of a runner (login), and of no process that it starts."""


@dataclass(slots=True)
class Cut:
    """One cut: drawn before, filled in when it comes to pass."""

    kind: Kind
    chance: random.Random
    at_message: int = 0
    """It is made at this message; 0: at a time."""
    after_s: float = 0.0
    lose: bool = True
    """The message is lost, too; else the cut follows it."""
    made_s: float = 0.0
    hit: list[str] = field(default_factory=list)
    back_s: float = 0.0
    """So long after the cut a new runner answered; 0: none was needed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _timer: threading.Timer | None = None

    def __str__(self) -> str:
        """Say what is cut, and when."""
        when = f"message {self.at_message}" if self.at_message else f"{self.after_s:.3f} s"
        return f"{self.kind} at {when}{' (lost)' if self.lose else ''}, hit {self.hit}"

    def begin(self, on: Ground) -> None:
        """Start to count the time."""
        if not self.at_message:
            self._timer = threading.Timer(self.after_s, self.make, [on])
            self._timer.start()

    def decide(self, on: Ground) -> Decide:
        """Return what the eye asks about each message."""

        def at(sight: Sight) -> bool:
            if sight.number != self.at_message:
                return True
            if self.lose:
                self.make(on)
                return False
            threading.Timer(self.chance.uniform(0.0, 0.02), self.make, [on]).start()
            return True

        return at

    def make(self, on: Ground) -> None:
        """Cut, once."""
        with self._lock:
            if self.made_s:
                return
            self.hit = on.eye.waiting()
            self.made_s = time.monotonic()
        # Until it was connected once there is little patience: nobody has signed, or nothing was undone yet.
        on.wire.cut(self.kind if on.eye.ups else Kind.CLOSED, self.chance)

    def over(self, on: Ground) -> None:
        """Find out how long it took until a new runner answered."""
        if self._timer is not None:
            self._timer.cancel()
        later = [at_s - self.made_s for _, at_s in on.eye.ups if self.made_s and at_s > self.made_s]
        self.back_s = min(later, default=0.0)


class Point(StrEnum):
    """Where between a request and its answer."""

    NOT_SENT = "before the request leaves"
    NOT_RUN = "after it arrived, before it runs"
    NOT_TOLD = "after it ran, before the answer arrives"


@dataclass(slots=True)
class AtCall:
    """One cut at the first call of a verb on an action; an action of no name: the first on each action."""

    point: Point
    verb: str
    action: str = ""
    most: int = 100
    """So many cuts at most."""
    done: set[str] = field(default_factory=set)
    stopped: list[procfs.Process] = field(default_factory=list)
    """Runners that were stopped when the request reached them, until the next one has done something."""
    link: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, on: Ground) -> None:
        """Do nothing: calls are counted, not seconds."""

    def over(self, on: Ground) -> None:  # noqa: ARG002 - the signature of Cutting
        """Let go of what is still stopped."""
        self._let_go()

    def decide(self, on: Ground) -> Decide:
        """Return what the eye asks about each message."""

        def at(sight: Sight) -> bool:
            with self._lock:
                if sight.verb != self.verb:
                    return True
                way = FROM_THERE if self.point is Point.NOT_TOLD else TO_THERE
                if sight.way == FROM_THERE and sight.link > self.link:
                    self._let_go()
                is_due = len(self.done) < self.most and self.action in ("", sight.action)
                if sight.way != way or sight.action in self.done or not is_due:
                    return True
                self.done.add(sight.action)
                self.link = sight.link
                if self.point is Point.NOT_RUN:
                    self.stopped = halt(on.machine)
                    threading.Timer(_ARRIVES_S, on.wire.cut, [Kind.CLOSED, random.Random()]).start()
                    return True
                on.wire.cut(Kind.CLOSED, random.Random())
                return False

        return at

    def _let_go(self) -> None:
        for one in self.stopped:
            procfs.send(one, signal.SIGCONT)
        self.stopped = []


def halt(machine: Machine) -> list[procfs.Process]:
    """Stop every runner on a machine where it is, without its noticing."""
    inside = procfs.namespace(machine.leader, "pid")
    found = [
        one
        for one in procfs.scan().values()
        if procfs.namespace(one.pid, "pid") == inside
        and _RUNNER in (procfs.read(f"/proc/{one.pid}/cmdline") or b"")
        and b"/bin/sh" not in (procfs.read(f"/proc/{one.pid}/cmdline") or b"")
    ]
    for one in found:
        procfs.send(one, signal.SIGSTOP)
    return found
