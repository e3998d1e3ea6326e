"""Remembers what an evidence step has collected in a run, and tells complete from partial."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider.connection import EvidenceSink
from breakglass.provider.port import Outcome, Reversal

_SHOWN = 10


@dataclass(slots=True)
class _One:
    items: dict[str, dict[str, Json]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=lambda: ["the collection did not end"])
    partial: str = ""
    ended: bool = False


class Collected:
    """What one action collected in this run, by target; a run that resumes collects again."""

    def __init__(self, evidence: EvidenceSink) -> None:
        """Write to an incident."""
        self._evidence = evidence
        self._found: dict[str, _One] = {}
        self._gate = threading.Lock()

    def put(self, resource: Resource, name: str, source: str, chunks: Iterable[bytes]) -> dict[str, Json]:
        """Write an item, durable on return, unless this run has written it; return what is known of it.

        Raises:
            ProviderError: the disk refused.
        """
        one = self._of(resource)
        if name not in one.items:
            item = self._evidence.put(name, source, chunks)
            facts: dict[str, Json] = {"path": item.path, "sha256": item.sha256, "size": item.size}
            with self._gate:
                one.items[name] = {**facts, "source": source}
        return one.items[name]

    def ended(self, resource: Resource) -> bool:
        """Return whether this run has collected already.

        Raises:
            Denied: something was left out then; trying again would leave out the same.
        """
        one = self._found.get(resource.id)
        return one is not None and one.ended and _said(one)

    def end(self, resource: Resource, left_out: Sequence[str], partial: Sequence[str]) -> None:
        """Say what could not be read although it is there, and what its bounds did not reach.

        Raises:
            Denied: something was left out; trying again would leave out the same.
        """
        one = self._of(resource)
        one.left_out, one.partial, one.ended = [*left_out], few(partial), True
        _said(one)

    def state(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        one = self._found.get(resource.id)
        if one is None:
            return State({"collection": {"ended": False}})
        collection: dict[str, Json] = {"ended": one.ended, "partial": one.partial}
        with self._gate:
            objects: dict[str, Json] = {**one.items, "collection": collection}
        return State(objects, complete=not one.left_out, note=few(one.left_out))

    def _of(self, resource: Resource) -> _One:
        with self._gate:
            return self._found.setdefault(resource.id, _One())


def judged(state: State, *, kept: str = "") -> Judgement:
    """Contained: all that there was to read has been read, and is durable; `kept`: where else it lies."""
    collection = state.objects.get("collection")
    if not isinstance(collection, Mapping) or not collection.get("ended"):
        return Judgement(Verdict.UNKNOWN, "not collected yet", Grade.NONE)
    if not state.complete:
        return Judgement(Verdict.UNKNOWN, f"left out: {state.note}", Grade.NONE)
    items = [one for one in state.objects.values() if isinstance(one, Mapping) and "sha256" in one]
    size = sum(int(str(one["size"])) for one in items)
    words = f"{len(items)} pieces of evidence, {size} bytes, with digests{kept}"
    missed = collection.get("partial")
    return Judgement(Verdict.CONTAINED, f"{words}; partial: {missed}" if missed else words)


def nothing_to_revert(before: State) -> Reversal:
    """Say that reading changed nothing."""
    return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "nothing was changed; the evidence stays")


def few(words: Sequence[str]) -> str:
    """Join the first ones, and say how many more there are."""
    kept = "; ".join(one[:300] for one in words[:_SHOWN])
    return f"{kept}; and {len(words) - _SHOWN} more" if len(words) > _SHOWN else kept


def _said(one: _One) -> bool:
    if one.left_out:
        raise Denied(f"left out: {few(one.left_out[:5])}"[:500])
    return True
