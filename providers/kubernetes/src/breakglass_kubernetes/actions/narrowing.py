"""Decides how a policy that lets the agent's pods through is narrowed to everybody else's: pure.

Policies only add up: one that allows cannot be overruled, only changed ("Network Policies").
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass_kubernetes import peers
from breakglass_kubernetes.objects import Body, items, part
from breakglass_kubernetes.peers import MARK, Labels
from breakglass_kubernetes.selector import Requirement

_MOST_LABELS = 20
"""So many labels a policy is told to leave out; the pods of the rest are marked."""
_DIRECTIONS = (("Egress", "egress"), ("Ingress", "ingress"))


@dataclass(frozen=True, slots=True)
class Narrowed:
    """What becomes of a policy."""

    spec: Mapping[str, Any]
    excludes: bool
    """Whether it selects the agent's pods no more, so that another policy has to deny them."""
    unmarked: tuple[int, ...]
    """Which of the agent's need our label for that, by their place in the list."""


def types(spec: Body) -> frozenset[str]:
    """Return what a policy isolates; an absent list means ingress, and egress where it has such rules."""
    named = frozenset(str(one) for one in items(spec, "policyTypes"))
    return named or frozenset({"Ingress"} | ({"Egress"} if items(spec, "egress") else set()))


def lets_through(spec: Body) -> bool:
    """Return whether a policy allows anything to what it selects, in either direction."""
    found = types(spec)
    return any(name in found and bool(items(spec, field)) for name, field in _DIRECTIONS)


def denies(spec: Body) -> bool:
    """Return whether a policy isolates what it selects in both directions and allows nothing."""
    return types(spec) >= {"Egress", "Ingress"} and not lets_through(spec)


def narrow(
    spec: Body,
    rules: Sequence[Sequence[Requirement]],
    mine: Sequence[Labels],
    others: Sequence[Labels],
    mark: str,
) -> Narrowed:
    """Return the spec without the agent's pods: its rules go where it can select no others.

    `rules`: what makes a pod the agent's, by labels. `mine`, `others`: what the policy selects now.
    """
    selector = part(spec, "podSelector")
    asked = peers.requirements(selector)
    if not others and any(peers.implies(asked, rule) for rule in rules):
        kept = {name: value for name, value in spec.items() if name not in {"egress", "ingress"}}
        emptied = {**kept, "policyTypes": sorted(types(spec))}
        return Narrowed(emptied, excludes=False, unmarked=())
    added, left = _exclusions(rules, mine, others)
    if left:
        added = [*added, Requirement(MARK, frozenset({mark}), wanted=False)]
    listed = [*items(selector, "matchExpressions"), *(peers.expression(one) for one in _joined(added))]
    narrowed = {**selector, "matchExpressions": listed}
    unmarked = tuple(n for n in left if mine[n].get(MARK) != mark)
    return Narrowed({**spec, "podSelector": narrowed}, excludes=True, unmarked=unmarked)


def _exclusions(
    rules: Sequence[Sequence[Requirement]], mine: Sequence[Labels], others: Sequence[Labels]
) -> tuple[list[Requirement], list[int]]:
    """Return requirements that all the others meet and none of mine, and which of mine meet them all."""
    theirs = {pair for labels in others for pair in labels.items()}
    ruled = [Requirement(one.key, one.values, wanted=not one.wanted) for rule in rules for one in rule]
    chosen: list[Requirement] = []
    left = list(range(len(mine)))
    # What the inventory itself says comes first.
    for one in ruled:
        met = [n for n in left if not one.holds(mine[n])]
        if met and all(one.holds(labels) for labels in others):
            chosen.append(one)
            left = [n for n in left if one.holds(mine[n])]
    lasting = {n: peers.lasting(mine[n]) for n in left}
    for _ in range(_MOST_LABELS):
        counts = Counter(pair for n in left for pair in lasting[n].items() if pair not in theirs)
        if not counts:
            break
        key, value = min(counts, key=lambda pair: (-counts[pair], pair))
        chosen.append(Requirement(key, frozenset({value}), wanted=False))
        left = [n for n in left if lasting[n].get(key) != value]
    return chosen, left


def _joined(found: Sequence[Requirement]) -> list[Requirement]:
    """Return exclusions of one key as one."""
    joined: dict[tuple[str, bool, bool], frozenset[str]] = {}
    for one in found:
        key = (one.key, one.wanted, one.values is None)
        # Only NotIn may be joined: two lists of In must both hold.
        if one.wanted and one.values is not None and key in joined:
            joined[key] &= one.values
        else:
            joined[key] = joined.get(key, frozenset()) | (one.values or frozenset())
    return [
        Requirement(key, None if bare else values, wanted=wanted)
        for (key, wanted, bare), values in joined.items()
    ]


def is_narrowed(before: Body, now: Body) -> bool:
    """Return whether `now` is `before` without rules, or with more expressions that exclude, and no more."""
    for name, _ in _DIRECTIONS:
        if name in types(before) and name not in types(now):
            return False
    selector, narrowed = part(before, "podSelector"), part(now, "podSelector")
    same_labels = part(selector, "matchLabels") == part(narrowed, "matchLabels")
    first = list(items(selector, "matchExpressions"))
    kept = first == list(items(narrowed, "matchExpressions"))[: len(first)]
    rules = all(items(now, field) in ((), [], items(before, field)) for _, field in _DIRECTIONS)
    return same_labels and kept and rules
