"""Tells the agent's pods from their neighbours by the only thing that a network policy knows: labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import PODS, WORKLOADS
from breakglass_kubernetes.objects import Body, bodies, items, labels_of, part, pod_spec_of, text
from breakglass_kubernetes.ownership import Thing, held
from breakglass_kubernetes.scope import AGENT_LABEL, Scope, template_labels
from breakglass_kubernetes.selector import Requirement, Selector

Labels = Mapping[str, str]
MARK = "breakglass.dev/stopped"
"""Our own label, for pods of the agent's that no label of theirs tells from their neighbours."""
_PER_POD = frozenset(
    {
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/job-completion-index",
        "controller-uid",
        "job-name",
        MARK,
    }
)
"""Set anew for each pod or revision (Kubernetes documentation, "Well-Known Labels"): no use for the next."""


def labels(thing: Thing) -> Labels:
    """Return the labels of a pod, or those that the pods of a workload are born with."""
    return labels_of(thing.body) if thing.kind.name == PODS.name else template_labels(thing.body)


def lasting(found: Labels) -> dict[str, str]:
    """Return the labels that a pod shares with the next one of the same template."""
    return {key: value for key, value in sorted(found.items()) if key not in _PER_POD}


def on_host_network(thing: Thing) -> bool:
    """Return whether its pods use their node's network: policies do not apply ("Network Policies")."""
    return pod_spec_of(thing.body).get("hostNetwork") is True


@dataclass(frozen=True, slots=True)
class Peers:
    """The agent's pods and templates, and everybody else's labels, by namespace."""

    mine: tuple[Thing, ...]
    own: Mapping[str, Sequence[tuple[Thing, Labels]]]
    others: Mapping[str, Sequence[Labels]]
    """Each set of labels once: a namespace may have thousands of pods of one template."""

    @classmethod
    def of(cls, mine: Iterable[Thing], others: Iterable[Thing]) -> Peers:
        """Sort them."""
        every = tuple(mine)
        own: dict[str, list[tuple[Thing, Labels]]] = {}
        for thing in every:
            own.setdefault(thing.namespace, []).append((thing, labels(thing)))
        theirs: dict[str, dict[frozenset[tuple[str, str]], Labels]] = {}
        for thing in others:
            found = labels(thing)
            theirs.setdefault(thing.namespace, {})[frozenset(found.items())] = found
        return cls(every, own, {namespace: [*found.values()] for namespace, found in theirs.items()})

    def mine_in(self, namespace: str) -> Sequence[tuple[Thing, Labels]]:
        """Return the agent's of one namespace, with their labels."""
        return self.own.get(namespace, ())

    def others_in(self, namespace: str) -> Sequence[Labels]:
        """Return the labels of the neighbours of one namespace."""
        return self.others.get(namespace, ())


def look(cluster: Cluster, scope: Scope) -> Peers:
    """Read both sides of every namespace in which anything of the agent's can be. Raises ProviderError."""
    found = [
        Thing(kind, body)
        for kind in (*WORKLOADS, PODS)
        for body in cluster.list_in(kind, scope.look_in)
        if pod_spec_of(body)
    ]
    mine = held(scope, found).things
    uids = {thing.uid for thing in mine}
    return Peers.of(mine, (thing for thing in found if thing.uid not in uids))


# -- label selectors as objects carry them ----------------------------------------------------------------


def selects(selector: Body, found: Labels) -> bool:
    """Return whether a LabelSelector selects these labels; an empty one selects everything."""
    return meets(requirements(selector), found)


def meets(asked: Iterable[Requirement], found: Labels) -> bool:
    """Return whether labels meet all of it."""
    return all(one.holds(found) for one in asked)


def requirements(selector: Body) -> list[Requirement]:
    """Return the parts of a LabelSelector; all must hold (API reference, "LabelSelector")."""
    found = [
        Requirement(str(key), frozenset({str(value)}), wanted=True)
        for key, value in part(selector, "matchLabels").items()
    ]
    for one in bodies(selector, "matchExpressions"):
        operator = text(one, "operator")
        values = frozenset(str(value) for value in items(one, "values"))
        bare = operator in {"Exists", "DoesNotExist"}
        found.append(
            Requirement(text(one, "key"), None if bare else values, wanted=operator in {"In", "Exists"})
        )
    return found


def expression(one: Requirement) -> dict[str, object]:
    """Return a requirement as one entry of ``matchExpressions``."""
    if one.values is None:
        return {"key": one.key, "operator": "Exists" if one.wanted else "DoesNotExist"}
    return {"key": one.key, "operator": "In" if one.wanted else "NotIn", "values": sorted(one.values)}


def label_selector(found: Iterable[Requirement]) -> dict[str, object]:
    """Return requirements as a LabelSelector."""
    equal: dict[str, object] = {}
    listed: list[object] = []
    for one in found:
        if one.wanted and one.values is not None and len(one.values) == 1 and one.key not in equal:
            equal[one.key] = next(iter(one.values))
        else:
            listed.append(expression(one))
    return ({"matchLabels": equal} if equal else {}) | ({"matchExpressions": listed} if listed else {})


def implies(narrow: Iterable[Requirement], wide: Iterable[Requirement]) -> bool:
    """Return whether whatever meets all of `narrow` meets all of `wide`; False where that is not plain."""
    given = list(narrow)
    return all(any(_stricter(one, asked) for one in given) for asked in wide)


def _stricter(one: Requirement, asked: Requirement) -> bool:
    if one.key != asked.key:
        return False
    if asked.values is None:
        return one.wanted is asked.wanted and (one.values is None or one.wanted)
    if one.values is None:
        return not one.wanted and not asked.wanted
    if asked.wanted:
        return one.wanted and one.values <= asked.values
    return not one.values & asked.values if one.wanted else one.values >= asked.values


def rules(scope: Scope, namespace: str, mark: str) -> list[tuple[str, list[Requirement]]]:
    """Return by which labels a pod of a namespace is the agent's, each rule with a word for its name."""
    if namespace in scope.own:
        return [("all", [])]
    chosen = Selector.parse(scope.selector).requirements if namespace in scope.namespaces else ()
    found = [("selector", list(chosen))] if chosen else []
    found.append(("label", [Requirement(AGENT_LABEL, frozenset({scope.agent}), wanted=True)]))
    found.append(("mark", [Requirement(MARK, frozenset({mark}), wanted=True)]))
    return found


def born_with(found: Iterable[Requirement]) -> Labels:
    """Return the labels of a pod that meets a rule and has nothing else: one that is still to come."""
    return {one.key: min(one.values) if one.values else "" for one in found if one.wanted}
