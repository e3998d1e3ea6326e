"""Orders the undo of different parts: identities, then what uses them, then what triggers it; deployers last.

The stop itself waits for nothing: on Google Cloud no running work is ended by the platform with the agent's
own identity. A restore turns the waits of the stop round, so a step that must be undone before another waits
for it in the stop, for no time at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from breakglass.model.action import Capability
from breakglass.provider import Proposal, WaitFor
from breakglass_gcp import parts

NO_TIME_S = 0.0
MOST_WAITS = 400
"""Between two layers; of more, one step of the later layer stands for all of them."""
_LAYERS: tuple[Callable[[Capability], bool], ...] = (
    lambda one: one is Capability.REVOKE_CREDENTIALS,
    lambda one: one in {Capability.CUT_EGRESS, Capability.BLOCK_RELAUNCH},
    lambda one: one is Capability.STOP_WORKLOADS,
    lambda one: one is Capability.PAUSE_QUEUES,
    lambda one: one is Capability.DISABLE_EVENT_SOURCES,
    lambda one: one is Capability.FREEZE_CHANGE,
)
"""In the order of a restore: identities and keys; egress and holds, which guard work; work; queues; triggers;
deployers. Evidence is of no layer: nothing of it is undone before or after anything."""


def in_order(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals with the waits that order their undo."""
    capability = {spec.name: spec.capability for spec in parts.SPECS}
    known = [one for one in proposals if one.action in capability]
    layers = [[one.key for one in known if belongs(capability[one.action])] for belongs in _LAYERS]
    graph = {one.key: [wait.key for wait in one.after] for one in proposals}
    added: dict[str, list[str]] = {}
    for earlier, later in pairwise([layer for layer in layers if layer]):
        for key, other in _pairs(earlier, later):
            if other not in graph[key] and not _reaches(graph, other, key):
                graph[key].append(other)
                added.setdefault(key, []).append(other)
    return tuple(
        replace(one, after=(*one.after, *(WaitFor(key, NO_TIME_S) for key in added[one.key])))
        if one.key in added
        else one
        for one in proposals
    )


def _pairs(earlier: Sequence[str], later: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Return who waits for whom in the stop, so that all of `earlier` is undone before any of `later`."""
    if len(earlier) * len(later) <= MOST_WAITS:
        return [(one, other) for one in earlier for other in later]
    first, *rest = later
    return [*((one, first) for one in earlier), *((first, other) for other in rest)]


def _reaches(graph: Mapping[str, Sequence[str]], start: str, end: str) -> bool:
    """Return whether a step waits for another, near or far: no circle may come of what is added here."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        key = waiting.pop()
        if key == end:
            return True
        if key not in seen:
            seen.add(key)
            waiting.extend(graph.get(key, ()))
    return False
