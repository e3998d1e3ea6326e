"""Remembers what a run has collected as evidence, and tells complete from incomplete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import EvidenceItem, EvidenceSink, Outcome, Reversal

BEST_GRADE = Grade.READ_BACK
_LEFT_OUT = "left out"


@dataclass(slots=True)
class _One:
    items: dict[str, EvidenceItem] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=lambda: ["the collection did not end"])
    facts: dict[str, Json] = field(default_factory=dict)
    ended: bool = False


@dataclass(slots=True)
class Evidence:
    """What one action collected in this run, by target; a run that resumes collects again."""

    sink: EvidenceSink
    _found: dict[str, _One] = field(default_factory=dict)

    def put(self, resource: Resource, name: str, source: str, chunks: Iterable[bytes]) -> None:
        """Write an item, unless this run has written it."""
        one = self._found.setdefault(resource.id, _One())
        if name not in one.items:
            one.items[name] = self.sink.put(name, source, chunks)

    def ended(self, resource: Resource) -> bool:
        """Return True where this run has collected already.

        Raises:
            Denied: something was left out then; trying again would leave out the same.
        """
        one = self._found.get(resource.id)
        if one is None or not one.ended:
            return False
        return self._said(one)

    def end(self, resource: Resource, left_out: Iterable[str], facts: Mapping[str, Json]) -> None:
        """Say what had to be left out, and what the state shows of the rest.

        Raises:
            Denied: something was left out; trying again would leave out the same.
        """
        one = self._found.setdefault(resource.id, _One())
        one.left_out, one.facts, one.ended = [*left_out], dict(facts), True
        self._said(one)

    def _said(self, one: _One) -> bool:
        if one.left_out:
            raise Denied(f"{_LEFT_OUT}: {'; '.join(one.left_out[:5])}"[:500])
        return True

    def state(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        one = self._found.get(resource.id)
        if one is None:
            return State({"snapshot": {"taken": False}})
        items: dict[str, Json] = {
            item.path: {"sha256": item.sha256, "size": item.size, "source": item.source}
            for item in one.items.values()
        }
        objects: dict[str, Json] = {**items, **one.facts, "snapshot": {"taken": True}}
        return State(objects, complete=not one.left_out, note="; ".join(one.left_out[:10]))


def judged(state: State, partial: str = "") -> Judgement:
    """Contained: everything that the step names was collected. `partial` says what the bounds left out."""
    taken = state.objects.get("snapshot")
    if not isinstance(taken, dict) or not taken.get("taken"):
        return Judgement(Verdict.UNKNOWN, "not collected yet", Grade.NONE)
    if not state.complete:
        return Judgement(Verdict.UNKNOWN, f"{_LEFT_OUT}: {state.note}", Grade.NONE)
    sizes = [one["size"] for one in state.objects.values() if isinstance(one, dict) and "sha256" in one]
    size = sum(int(str(one)) for one in sizes)
    words = f"{len(sizes)} pieces of evidence, {size} bytes, with digests"
    return Judgement(Verdict.CONTAINED, f"{words}; partial: {partial}" if partial else words)


def nothing_to_revert(resource: Resource) -> Reversal:
    """Say that reading changed nothing."""
    return Reversal({resource.id: Outcome.ALREADY}, "nothing was changed; the evidence stays")
