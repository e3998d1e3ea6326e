"""Tells what time it is at Google, so that the executor's clock decides about no token.

The moment is the `Date` of an answer (RFC 9110, 6.6.1: a server with a clock sends it, to the second): what
is told is never later than it is at Google.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from breakglass.clock import Clock, Instant
from breakglass.errors import MalformedInput, ProviderError

ABSURD_S = 86_400.0
"""Of two clocks that differ by more nobody can tell which is right."""
_DATE = re.compile(r"[A-Z][a-z]{2}, (\d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2}) GMT", re.ASCII)
"""IMF-fixdate, RFC 9110 5.6.7; the two obsolete forms no server may send."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class GoogleTime:
    """Google's time, as one project's answers tell it."""

    def __init__(self, ask: Callable[[], str], clock: Clock) -> None:
        """Ask nothing yet; `ask` makes a call and returns the `Date` of its answer, empty without one."""
        self._ask, self._clock = ask, clock
        self._gate = threading.Lock()
        self._read: Instant | None = None
        self._read_s = float("-inf")

    def now(self) -> Instant | None:
        """Return a moment that has come at Google; None: no answer tells it, or it is absurd."""
        asked_s = self._clock.monotonic_s()
        with self._gate:
            # Who waited while another thread asked has that answer.
            if self._read_s <= asked_s:
                self._read, self._read_s = self._asked(), self._clock.monotonic_s()
            return self._read

    def _asked(self) -> Instant | None:
        try:
            said = date_of(self._ask())
        except ProviderError:
            return None
        if said is None or abs(said.seconds_since(self._clock.now())) > ABSURD_S:
            return None
        return said


def date_of(header: str) -> Instant | None:
    """Read a `Date` header; None: it is none."""
    found = _DATE.fullmatch(header)
    if found is None:
        return None
    day, month, rest = found[1].split(" ", 2)
    year, _, time = rest.partition(" ")
    try:
        iso = f"{year}-{_MONTHS.index(month) + 1:02d}-{day}T{time}"
        return Instant(round(datetime.fromisoformat(iso).replace(tzinfo=UTC).timestamp()) * 1000)
    except (ValueError, OverflowError):
        return None


def moment_of(said: str) -> Instant | None:
    """Read a moment as Google's JSON has it: UTC, with up to nine digits of a second; None: it is none."""
    whole, _, rest = said.removesuffix("Z").partition(".")
    try:
        return Instant.parse(f"{whole}.{rest[:3].ljust(3, '0')}Z" if rest else f"{whole}Z")
    except MalformedInput:
        return None
