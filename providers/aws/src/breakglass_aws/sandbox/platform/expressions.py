"""Decides when a schedule's expression is due: rate(), cron() and at()."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from breakglass_aws.sandbox.platform.settings import SETTINGS

_RATE = re.compile(r"^rate\((\d+)\s+(minute|hour|day)s?\)$")
_AT = re.compile(r"^at\((\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?)\)$")
_CRON = re.compile(r"^cron\((.+)\)$")
_MINUTES = {"minute": 1, "hour": 60, "day": 1440}
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(slots=True)
class Dues:
    """What was last due for each schedule, by a name that changes with its expression."""

    _next: dict[str, float] = field(default_factory=dict)
    _passed: set[str] = field(default_factory=set)
    _minute: dict[str, str] = field(default_factory=dict)

    def due(self, name: str, expression: str, zone: str, *, enabled: bool, now: float) -> bool:
        """Say whether it fires now; what passes while it is disabled never fires.

        EventBridge Scheduler User Guide, "Schedule types": rate and one-time schedules.
        """
        key = f"{name} {expression} {zone}"
        if (found := _RATE.match(expression)) is not None:
            period = int(found[1]) * _MINUTES[found[2]] * SETTINGS.minute_s
            return self._rate(key, period, enabled=enabled, now=now)
        clock = datetime.now(UTC).astimezone(_zone(zone))
        if (found := _AT.match(expression)) is not None:
            when = datetime.fromisoformat(found[1]).replace(tzinfo=_zone(zone))
            if clock < when or key in self._passed:
                return False
            self._passed.add(key)
            return enabled
        found = _CRON.match(expression)
        minute = clock.strftime("%Y%m%d%H%M")
        if (
            found is None
            or not enabled
            or self._minute.get(key) == minute
            or not cron_matches(found[1], clock)
        ):
            return False
        self._minute[key] = minute
        return True

    def forget(self) -> None:
        """Know no schedule."""
        self._next.clear()
        self._passed.clear()
        self._minute.clear()

    def _rate(self, key: str, period: float, *, enabled: bool, now: float) -> bool:
        if not enabled:
            self._next.pop(key, None)
            return False
        due = self._next.setdefault(key, now + period)
        if now < due:
            return False
        self._next[key] = now + period
        return True


def cron_matches(fields: str, clock: datetime) -> bool:
    """Say whether six fields (minute hour day month weekday year) match a moment; 1 is Sunday."""
    parts = fields.upper().split()
    if len(parts) != 6:  # noqa: PLR2004 - the six fields of the EventBridge User Guide, "Cron expressions"
        return False
    weekday = clock.isoweekday() % 7 + 1
    values = (clock.minute, clock.hour, clock.day, clock.month, weekday, clock.year)
    return all(_field(part, value, n) for n, (part, value) in enumerate(zip(parts, values, strict=True)))


def _field(part: str, value: int, position: int) -> bool:
    return any(_one(piece, value, position) for piece in part.split(","))


def _one(piece: str, value: int, position: int) -> bool:
    piece, _, step = piece.partition("/")
    if piece in ("*", "?"):
        return not step or value % int(step) == 0
    first, _, last = piece.partition("-")
    low = _number(first, position)
    high = _number(last, position) if last else (10_000 if step else low)
    return low <= value <= high and (not step or (value - low) % int(step) == 0)


def _number(text: str, position: int) -> int:
    if text in _MONTHS:
        return _MONTHS.index(text) + 1
    if position == 4 and text in _DAYS:  # noqa: PLR2004 - the weekday's place
        return _DAYS.index(text) + 1
    return int(text) if text.isdigit() else -1


def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name or "UTC")
