"""Lists objects: page by page, in as few calls as the namespaces allow, and once for all who ask at a time.

Many steps of a stop look at the same kinds, and wait for their turn at the rate limit. Who asks while the
same listing still waits for its turn gets that one: it begins after each of them asked, so it is as new as
their own would be. One that has been sent is joined by nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from breakglass.errors import Denied, ProviderError, Transient
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body
from breakglass_kubernetes.refusals import TooLong, failure_of

PAGE = 500
_MAX_PAGES = 1_000
"""Half a million objects; an API of somebody else's making may go on for ever."""
Query = dict[str, str]


class Ask(Protocol):
    """Makes one call; says so when it is sent."""

    def __call__(
        self, method: str, path: str, *, query: Mapping[str, str], sent: Callable[[], None] | None = None
    ) -> Body:
        """Return the object that comes back. Raises ProviderError."""
        ...


@dataclass(slots=True)
class _Flight:
    """A listing that waits for its turn, and those who wait for it."""

    done: threading.Event = field(default_factory=threading.Event)
    found: list[Body] | None = None


class _Wide(Exception):
    """The whole cluster has more pages than there are namespaces."""


class Listings:
    """The listings of one cluster."""

    def __init__(self, ask: Ask, where: str) -> None:
        """Make no call yet."""
        self._ask = ask
        self._where = where
        self._gate = threading.Lock()
        self._waiting: dict[tuple[str, str, str, int], _Flight] = {}
        self._apart: set[str] = set()
        """Kinds that are listed namespace by namespace."""

    def every(
        self, kind: Kind, namespace: str = "", *, labels: str = "", fields: str = "", calls: int = 0
    ) -> list[Body]:
        """Return every object of a kind, all pages; see `Cluster.every`. `calls`: more is too many."""
        key = (kind.path(namespace), labels, fields, calls)
        with self._gate:
            flight = self._waiting.get(key)
            leads = flight is None
            if flight is None:
                flight = self._waiting[key] = _Flight()

        def read(sent: Callable[[], None] | None) -> list[Body]:
            query = {"limit": str(PAGE)}
            query |= {"labelSelector": labels} if labels else {}
            query |= {"fieldSelector": fields} if fields else {}
            return self._pages(kind, namespace, query, calls, sent)

        if leads:
            try:
                flight.found = read(lambda: self._close(key, flight))
            finally:
                self._close(key, flight)
                flight.done.set()
            return list(flight.found)
        flight.done.wait()
        # What failed for somebody else is asked for itself: errors are not shared.
        return read(None) if flight.found is None else list(flight.found)

    def list_in(self, kind: Kind, namespaces: Sequence[str], *, fields: str = "") -> list[Body]:
        """Return every object of a kind in these namespaces.

        One listing of the whole cluster where that takes fewer calls, and the executor may read it.
        """
        several = len(namespaces) > 1
        if several and kind.name not in self._apart:
            wanted = frozenset(namespaces)
            try:
                found = self.every(kind, fields=fields, calls=len(namespaces))
            except (_Wide, Denied):
                self._apart.add(kind.name)
            else:
                return [body for body in found if body.get("metadata", {}).get("namespace") in wanted]
        return [body for namespace in namespaces for body in self.every(kind, namespace, fields=fields)]

    def _close(self, key: tuple[str, str, str, int], flight: _Flight) -> None:
        with self._gate:
            if self._waiting.get(key) is flight:
                del self._waiting[key]

    def _pages(
        self, kind: Kind, namespace: str, query: Query, calls: int, sent: Callable[[], None] | None
    ) -> list[Body]:
        found: list[Body] = []
        for _ in range(_MAX_PAGES):
            try:
                page = self._ask("GET", kind.path(namespace), query=query, sent=sent)
            except TooLong:
                # Whoever makes objects there may make them very large.
                if query["limit"] == "1":
                    raise
                query["limit"] = str(max(1, int(query["limit"]) // 10))
                continue
            except Transient as error:
                if failure_of(error).reason != "Expired" or "continue" not in query:
                    raise
                # The server forgets a snapshot after minutes (API concepts, "Retrieving large results").
                found, query = [], {name: value for name, value in query.items() if name != "continue"}
                continue
            about = page.get("metadata", {})
            left = about.get("remainingItemCount")
            if calls and isinstance(left, int) and left > calls * PAGE:
                raise _Wide
            found += [
                {"apiVersion": kind.api_version, "kind": kind.kind, **item}
                for item in page.get("items") or ()
                if isinstance(item, Mapping)
            ]
            token = about.get("continue")
            if not token:
                return found
            if str(token) == query.get("continue"):
                break
            query["continue"] = str(token)
        raise ProviderError("the listing does not end", where=f"{self._where} {kind.name}")
