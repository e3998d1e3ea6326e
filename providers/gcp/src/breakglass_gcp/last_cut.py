"""Reads in the audit log when something was cut last: that moment is of Google's own clock.

Neither who stopped nor where matters, and what an executor's clock said then. Entries that enable and disable
are of the Admin Activity log, which is on for every project and which nobody deletes from (Cloud Audit Logs
overview). An entry may come late: so one counts only if no newer one says that it was let in again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from breakglass.clock import Clock, Instant
from breakglass.errors import ProviderError
from breakglass_gcp.audit_events import ACTIVITY, Event, event_of
from breakglass_gcp.google_time import moment_of
from breakglass_gcp.log_queries import quoted
from breakglass_gcp.project import Project

FRESH_S = 10.0
PAGE = 1000
MOST_PAGES = 10
Opens = Callable[[Event], bool | None]
"""Whether an event lets in (True) or cuts (False); None: it is of something else."""


@dataclass(frozen=True, slots=True)
class Cut:
    """What the log tells, by one filter."""

    filter: str
    """Without the name of the log."""
    parts: Sequence[Opens]
    """One for each thing that was cut: all of them must be found."""


def last_cut(project: Project, cut: Cut, *, is_open: bool = False) -> Instant | None:
    """Return when the last of these was cut, as Google tells; None: the log does not tell it.

    `is_open`: somebody has let it in again since, and when it had been cut before that is asked.
    """
    waiting = [*cut.parts]
    last: Instant | None = None
    for event in _kept_reads(project).events(project, cut.filter):
        for opens in tuple(waiting):
            said = opens(event)
            if said is None or (said and is_open):
                continue
            moment = moment_of(event.at)
            if said or moment is None:
                return None
            waiting.remove(opens)
            last = moment if last is None else max(last, moment)
        if not waiting:
            return last
    return None


@dataclass(slots=True)
class _Read:
    began_s: float
    events: list[Event] = field(default_factory=list)
    token: str = ""
    pages: int = 0
    ended: bool = False


class _KeptReads:
    """What was read by each filter, for a moment: a thousand accounts ask the same."""

    def __init__(self, clock: Clock) -> None:
        """Read nothing yet."""
        self._clock = clock
        self._gate = threading.Lock()
        self._reads: dict[str, _Read] = {}

    def events(self, project: Project, filter_: str) -> Iterator[Event]:
        """Yield the events that a filter picks, newest first, as far as the log can be read."""
        with self._gate:
            now_s = self._clock.monotonic_s()
            read = self._reads.get(filter_)
            if read is None or now_s - read.began_s >= FRESH_S:
                read = self._reads[filter_] = _Read(now_s)
        n = 0
        while True:
            with self._gate:
                if n >= len(read.events) and not read.ended:
                    _more(project, filter_, read)
                page = read.events[n:]
                ended = read.ended
            yield from page
            n += len(page)
            if ended and n >= len(read.events):
                return


def _more(project: Project, filter_: str, read: _Read) -> None:
    """Read the next page; one that cannot be read is the end."""
    head = f"logName={quoted(f'{project.name}/logs/{ACTIVITY}')}"
    asked = {
        "resource_names": [project.name],
        "filter": f"{head} AND {filter_}",
        "order_by": "timestamp desc",
        "page_size": PAGE,
        "page_token": read.token,
    }
    try:
        answer = project.call("logs", "list_log_entries", asked)
    except ProviderError:
        read.ended = True
        return
    found = (event_of(entry) for entry in answer.entries)
    read.events += [one for one in found if one is not None]
    read.token = str(answer.next_page_token)
    read.pages += 1
    read.ended = not read.token or read.pages >= MOST_PAGES


_OF: WeakKeyDictionary[Project, _KeptReads] = WeakKeyDictionary()
_MAKING = threading.Lock()


def _kept_reads(project: Project) -> _KeptReads:
    with _MAKING:
        return _OF.setdefault(project, _KeptReads(project.connection.clock))
