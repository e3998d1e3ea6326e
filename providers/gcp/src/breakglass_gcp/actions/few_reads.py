"""Reads and writes what Google lets a project read and write five times a minute (IAM documentation, Quotas).

The engine looks at a step often while it settles; here most looks are answered from what was read. A look
is a read of its own before the first change, after each write, and at the end of the settle time: never is
an older read shown for a later one there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

from breakglass.canon import JsonObject
from breakglass.errors import Throttled
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import translate

T = TypeVar("T")
END_OF_SETTLE = 0.9
"""From so much of the settle time on no look is answered from memory."""
FRESH_S = 1.0
LAST_S = 5.0
"""What was read after the settle time is still the last look for so long."""
RECENT_S = 10.0
"""So old may be what a change starts from."""
QUOTA_S = 60.0
"""The quotas are of a minute. Who only asks what was seen waits for no turn in it: a whole look would."""
LANDING_S = 1.0
"""An update is a long-running operation, and asking how it goes counts as reading: it gets this long."""


@dataclass(slots=True)
class _Held:
    seen: JsonObject | None
    read_s: float
    since_s: float
    """When the last change was made, else when it was first looked at."""


class FewReads:
    """What one service of a connection has by name, read as seldom as an honest look allows."""

    def __init__(self, project: Project, service: str, fetch: Callable[[str], JsonObject | None]) -> None:
        """Read nothing yet; `fetch` reads one now, and returns None where there is none."""
        self._project = project
        self._service = service
        self._fetch = fetch
        self._gate = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._refused: dict[str, tuple[float, Throttled]] = {}

    def look(
        self, name: str, settle_s: float, closed: Callable[[JsonObject | None], bool]
    ) -> JsonObject | None:
        """Return it, None where there is none; from memory where that is recent enough.

        `closed` tells whether it is as the stop wants it.

        Raises:
            ProviderError: it cannot be read.
        """
        now_s = self._project.connection.clock.monotonic_s()
        with self._gate:
            held = self._held.get(name)
            if held is not None and not _stale(held, now_s, settle_s, closed=closed(held.seen)):
                return held.seen
        return self.read(name)

    def remembered(self, name: str) -> JsonObject | None:
        """Return it as it was last seen, None where there is none; read where it never was.

        Raises:
            Throttled: a read was refused for its rate within the minute, and is not tried again here.
            ProviderError: it cannot be read.
        """
        now_s = self._project.connection.clock.monotonic_s()
        with self._gate:
            held = self._held.get(name)
            if held is not None and held.read_s >= held.since_s:
                return held.seen
            refused_s, refused = self._refused.get(name, (0.0, None))
        if refused is not None and now_s - refused_s < QUOTA_S:
            raise Throttled(refused.what, where=refused.where) from refused.__cause__
        return self.read(name)

    def read(self, name: str) -> JsonObject | None:
        """Return it as it is now, None where there is none.

        Raises:
            ProviderError: it cannot be read.
        """
        clock = self._project.connection.clock
        began_s = clock.monotonic_s()
        try:
            seen = self._fetch(name)
        except Throttled as error:
            with self._gate:
                self._refused[name] = (clock.monotonic_s(), error)
            raise
        with self._gate:
            held = self._held.get(name)
            self._held[name] = _Held(seen, began_s, held.since_s if held else began_s)
        return seen

    def change(self, name: str, method: str, request: Any) -> None:  # noqa: ANN401 - Google's messages have no types here
        """Make a call that changes what was read under this name, and give its operation a moment.

        Raises:
            Conflict: somebody else wrote it meanwhile.
            ProviderError: refused.
        """
        clock = self._project.connection.clock
        try:
            begun = self._project.call(self._service, method, request)
            if begun.operation.HasField("error"):
                failed = begun.exception()
                raise translate(failed, method, f"{self._service}.{method}") from failed
            if not begun.operation.done:
                clock.sleep(LANDING_S)
        finally:
            # Also a write whose answer was lost may have been made: the next look is a read.
            with self._gate:
                self._held[name] = _Held(None, float("-inf"), clock.monotonic_s())


def _stale(held: _Held, now_s: float, settle_s: float, *, closed: bool) -> bool:
    """Return whether a look must be a read. What is to be written is guarded by its etag."""
    age_s = now_s - held.read_s
    if held.read_s < held.since_s:
        return True
    if not closed:
        return age_s > RECENT_S
    if held.read_s >= held.since_s + settle_s:
        return age_s > LAST_S
    if now_s >= held.since_s + END_OF_SETTLE * settle_s:
        return age_s > min(FRESH_S, settle_s / 20)
    return age_s > max(settle_s / 2, LAST_S)


_OF: WeakKeyDictionary[Project, dict[object, object]] = WeakKeyDictionary()
_MAKING = threading.Lock()


def one_of(project: Project, make: Callable[[Project], T]) -> T:
    """Return what a connection has one of: what planning read, its first look need not read again."""
    with _MAKING:
        held = _OF.setdefault(project, {})
        if make not in held:
            held[make] = make(project)
        return cast("T", held[make])
