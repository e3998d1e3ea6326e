"""Decides which policies deny the agent's pods everything, by labels that no neighbour has: pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass_kubernetes import peers
from breakglass_kubernetes.kinds import PODS
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.peers import MARK, Labels, Peers
from breakglass_kubernetes.scope import Scope

_MOST_GROUPS = 16
"""So many sets of labels are selected one by one in a namespace; the pods of the rest are marked."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One policy that has to be there."""

    namespace: str
    name: str
    selector: Mapping[str, object]
    """A LabelSelector."""


@dataclass(frozen=True, slots=True)
class Denials:
    """All policies that have to be there, and the pods that need our own label for that."""

    policies: tuple[Wanted, ...]
    unmarked: tuple[Thing, ...]


def wanted(scope: Scope, mark: str, found: Peers) -> Denials:
    """Return what denies every pod of the agent's and no other one."""
    policies: list[Wanted] = []
    unmarked: list[Thing] = []
    for namespace in scope.look_in:
        one = _in(scope, mark, namespace, found)
        policies += one.policies
        unmarked += one.unmarked
    return Denials(tuple(policies), tuple(unmarked))


def name_of(mark: str, word: str) -> str:
    """Return the name of a policy of ours; nobody can tell it before the plan was made."""
    return f"breakglass-{mark}-{word}"


def _in(scope: Scope, mark: str, namespace: str, found: Peers) -> Denials:
    rest, others = list(found.mine_in(namespace)), found.others_in(namespace)
    policies: list[Wanted] = []
    for word, rule in peers.rules(scope, namespace, mark):
        selector = peers.label_selector(rule)
        # The executor's own pods are nobody's to cut, even where a rule of the inventory holds for them.
        if any(peers.selects(selector, one) for one in others):
            continue
        left = [(thing, one) for thing, one in rest if not peers.selects(selector, one)]
        # What the inventory names is denied before it exists; the other rules only where a pod meets them.
        if len(left) < len(rest) or word in {"all", "selector"}:
            policies.append(Wanted(namespace, name_of(mark, word), selector))
        rest = left
    groups = _groups(rest)
    told = {
        key: things
        for key, (shared, things) in groups.items()
        if shared and not any(shared.items() <= one.items() for one in others)
    }
    policies += [
        Wanted(namespace, name_of(mark, key), {"matchLabels": groups[key][0]})
        for key in list(told)[:_MOST_GROUPS]
    ]
    selected = {thing.uid for key in list(told)[:_MOST_GROUPS] for thing in told[key]}
    unmarked = tuple(t for t, _ in rest if t.uid not in selected and t.kind.name == PODS.name)
    marking = Wanted(namespace, name_of(mark, "mark"), {"matchLabels": {MARK: mark}})
    if unmarked and marking not in policies:
        policies.append(marking)
    return Denials(tuple(policies), unmarked)


def _groups(rest: Sequence[tuple[Thing, Labels]]) -> dict[str, tuple[dict[str, str], list[Thing]]]:
    """Return pods and templates by the labels that last, each group with a short name for them."""
    groups: dict[str, tuple[dict[str, str], list[Thing]]] = {}
    for thing, found in rest:
        shared = peers.lasting(found)
        key = hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:10]
        groups.setdefault(key, (shared, []))[1].append(thing)
    return dict(sorted(groups.items()))
