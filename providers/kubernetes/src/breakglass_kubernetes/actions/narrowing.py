"""Decides how a policy that lets the agent's pods through is narrowed to everybody else's: pure.

Policies only add up: one that allows cannot be overruled, only changed ("Network Policies").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass_kubernetes import peers
from breakglass_kubernetes.objects import Body, items, part
from breakglass_kubernetes.peers import MARK, Labels
from breakglass_kubernetes.selector import Requirement

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


def denies(spec: Body, labels: Labels) -> bool:
    """Return whether a policy isolates these labels in both directions and allows nothing."""
    return (
        types(spec) >= {"Egress", "Ingress"}
        and not lets_through(spec)
        and peers.selects(part(spec, "podSelector"), labels)
    )


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
    ruled = [Requirement(one.key, one.values, wanted=not one.wanted) for rule in rules for one in rule]
    pairs = sorted({pair for labels in mine for pair in peers.lasting(labels).items()})
    single = [Requirement(key, frozenset({value}), wanted=False) for key, value in pairs]
    usable = [one for one in (*ruled, *single) if all(one.holds(labels) for labels in others)]
    chosen: list[Requirement] = []
    left = list(range(len(mine)))
    while left:
        # What the inventory itself says comes first where it excludes as much.
        best = max(usable, key=lambda one: sum(not one.holds(mine[n]) for n in left), default=None)
        met = [n for n in left if best is not None and not best.holds(mine[n])]
        if best is None or not met:
            break
        chosen.append(best)
        left = [n for n in left if n not in met]
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
