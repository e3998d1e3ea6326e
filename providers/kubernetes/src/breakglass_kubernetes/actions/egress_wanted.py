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
        if any(peers.meets(rule, one) for one in others):
            continue
        left = [(thing, one) for thing, one in rest if not peers.meets(rule, one)]
        # What the inventory names is denied before it exists; the other rules only where a pod meets them.
        if len(left) < len(rest) or word in {"all", "selector"}:
            policies.append(Wanted(namespace, name_of(mark, word), selector))
        rest = left
    told, unmarked = _told(rest, others)
    policies += [Wanted(namespace, name_of(mark, _short(one)), {"matchLabels": dict(one)}) for one in told]
    marking = Wanted(namespace, name_of(mark, "mark"), {"matchLabels": {MARK: mark}})
    if unmarked and marking not in policies:
        policies.append(marking)
    return Denials(tuple(policies), unmarked)


def _told(
    rest: Sequence[tuple[Thing, Labels]], others: Sequence[Labels]
) -> tuple[list[Labels], tuple[Thing, ...]]:
    """Return labels that these have and no neighbour has, and the pods that no labels tell from one."""
    having: dict[tuple[str, str], list[Labels]] = {}
    for labels in others:
        for pair in labels.items():
            having.setdefault(pair, []).append(labels)

    def alone(labels: Labels) -> bool:
        like = min((having.get(pair, []) for pair in labels.items()), key=len, default=[])
        return bool(labels) and not any(labels.items() <= one.items() for one in like)

    lasting = [(thing, peers.lasting(labels)) for thing, labels in rest]
    common = dict(set.intersection(*(set(labels.items()) for _, labels in lasting))) if lasting else {}
    if alone(common):
        return [dict(sorted(common.items()))], ()
    groups = {_short(labels): labels for _, labels in lasting}
    told = {key: groups[key] for key in [key for key in sorted(groups) if alone(groups[key])][:_MOST_GROUPS]}
    left = (thing for thing, labels in lasting if _short(labels) not in told)
    return [*told.values()], tuple(thing for thing in left if thing.kind.name == PODS.name)


def _short(labels: Labels) -> str:
    """Return a short name for labels."""
    return hashlib.sha256(json.dumps(dict(labels), sort_keys=True).encode()).hexdigest()[:10]
