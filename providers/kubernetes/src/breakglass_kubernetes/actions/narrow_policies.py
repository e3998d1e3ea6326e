"""``kubernetes.network.narrow_policies``: policies that still let the agent's pods through are narrowed.

One that can select nobody else loses its rules; one that selects others as well no longer selects the
agent's, and only once another policy denies these: a pod that no policy selects may do everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes import owners, peers
from breakglass_kubernetes.actions import egress_put_back as back
from breakglass_kubernetes.actions import narrowing
from breakglass_kubernetes.actions.deny_egress import BLAST, READS
from breakglass_kubernetes.actions.egress_denial import same
from breakglass_kubernetes.actions.egress_wanted import wanted
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.kinds import NETWORK_POLICIES, PODS
from breakglass_kubernetes.objects import Body, bodies, name_of, namespace_of, part, text, uid_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.peers import Labels, Peers
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.selector import Requirement

_LISTED = 5
Rule = list[Requirement]
SPEC = ActionSpec(
    name="kubernetes.network.narrow_policies",
    capability=Capability.CUT_EGRESS,
    summary=(
        "empties NetworkPolicies that let only the agent's pods through, and takes the agent's pods out of"
        " the selector of those that let others through as well"
    ),
    permissions=tuple(
        sorted(
            (
                *(one for one in READS if one != "list namespaces"),
                "list networkpolicies.networking.k8s.io",
                "patch pods",
                "update networkpolicies.networking.k8s.io",
            )
        )
    ),
    blast_radius=BLAST,
    reversibility=Reversibility.FULL,
    undo="gives each policy its recorded spec and owners back, where it still is as the stop left it",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.network.narrow_policies policies that let support-bot through",
    sources=(
        Source(
            "settle",
            Authority.UNVERIFIED,
            'Kubernetes documentation, "Network Policies": it "will be handled eventually", without a time',
        ),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            'Kubernetes documentation, "Network Policies": policies "do not conflict; they are additive"; no'
            " sandbox of ours filters a packet",
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_egress_narrow.py"),
    ),
    undo_permissions=(
        "get networkpolicies.networking.k8s.io",
        "get pods",
        "patch pods",
        "update networkpolicies.networking.k8s.io",
    ),
)


class NarrowPolicies:
    """All NetworkPolicies in the agent's namespaces that let a pod of its through."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read the pods of both sides, and what lets the agent's through. Raises ProviderError."""
        scope, mark = Scope.of(resource), _mark(resource)
        found = peers.look(self._cluster, scope)
        own = {(one.namespace, one.name) for one in wanted(scope, mark, found).policies}
        policies = self._cluster.list_in(NETWORK_POLICIES, scope.look_in)
        denying: dict[str, list[Rule]] = {}
        for body in policies:
            if narrowing.denies(part(body, "spec")):
                rule = peers.requirements(part(body, "spec", "podSelector"))
                denying.setdefault(namespace_of(body), []).append(rule)
        objects: dict[str, Json] = {}
        for body in policies:
            namespace = namespace_of(body)
            # Ours are kept as they must be by the step that made them.
            if (namespace, name_of(body)) in own or not narrowing.lets_through(part(body, "spec")):
                continue
            objects |= _seen(scope, mark, found, body, denying.get(namespace, []))
        return State(objects)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether no policy lets a pod of the agent's through."""
        still = [key for key, one in state.objects.items() if isinstance(one, Mapping) and "spec" in one]
        if still:
            more = f" and {len(still) - _LISTED} more" if len(still) > _LISTED else ""
            words = ", ".join(still[:_LISTED]) + more
            return Judgement(Verdict.NOT_CONTAINED, f"still lets a pod of the agent's through: {words}")
        said = text(resource.params, "cni")
        return Judgement(Verdict.CONTAINED, f"no policy lets the agent's pods through; {said}"[:900])

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Mark pods where that is needed, then narrow each policy. Raises ProviderError: some failed."""
        policies = [one for one in before.objects.values() if isinstance(one, Mapping) and "spec" in one]
        ready = [one for one in policies if one["ready"] is True]
        try:
            back.mark_pods(self._cluster, before.objects, _mark(resource))
        finally:
            # A pod without its mark stays selected: nothing is lost by narrowing all the same.
            self._cluster.each(ready, self._narrow)
        if len(ready) < len(policies):
            raise Transient("waits until a policy denies the agent's pods", where=self._cluster.where)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew, one by one
        """Give each policy its spec and owners back, where it is as the stop left it."""
        outcomes: dict[str, Outcome] = {}
        mark = _mark(resource)

        def attempt(key: str) -> None:
            was = before.objects[key]
            if isinstance(was, Mapping):
                undo = self._undo if "spec" in was else lambda one: back.unmark(self._cluster, one, mark)
                outcomes[key] = back.retry(lambda: undo(was))

        self._cluster.each([*before.objects], attempt)
        return Reversal(outcomes, "a policy that somebody changed after the stop is left alone")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: whether packets are dropped can only be seen inside of the agent's pod."""
        return None

    def _narrow(self, one: Mapping[str, Json]) -> None:
        about = {**part(one, "metadata"), **part(one, "guard")}
        body = {
            "apiVersion": NETWORK_POLICIES.api_version,
            "kind": NETWORK_POLICIES.kind,
            "metadata": about,
            "spec": one["narrowed"],
        }
        self._cluster.replace(NETWORK_POLICIES, body)

    def _undo(self, was: Mapping[str, Json]) -> Outcome:
        about = part(was, "guard")
        now = self._cluster.maybe(NETWORK_POLICIES, text(about, "namespace"), text(about, "name"))
        if now is None or uid_of(now) != was["uid"]:
            return Outcome.DRIFTED
        spec = part(now, "spec")
        if same(spec, part(was, "spec")):
            return back.finish(self._cluster, NETWORK_POLICIES, now, was)
        if not narrowing.is_narrowed(part(was, "spec"), spec) or not _still_ours(now, part(was, "spec")):
            return Outcome.DRIFTED
        return back.put_back(self._cluster, NETWORK_POLICIES, now, was, spec_only=True)


def _seen(scope: Scope, mark: str, found: Peers, body: Body, denying: list[Rule]) -> dict[str, Json]:
    """Return a policy as an object of a state, and the pods that need our label; empty: none gets through."""
    namespace, spec = namespace_of(body), part(body, "spec")
    asked = peers.requirements(part(spec, "podSelector"))
    named = [rule for _, rule in peers.rules(scope, namespace, mark)]
    chosen = [(one, two) for one, two in found.mine_in(namespace) if peers.meets(asked, two)]
    mine, labels = [one for one, _ in chosen], [two for _, two in chosen]
    # Pods that are still to come are the agent's by the inventory's own rule.
    unborn = [peers.born_with(rule) for rule in named[:1]] if _is_named(scope, namespace) else []
    labels += [one for one in unborn if peers.meets(asked, one)]
    if not labels and namespace not in scope.own:
        return {}
    others = [one for one in found.others_in(namespace) if peers.meets(asked, one)]
    narrowed = narrowing.narrow(spec, named, labels, others, mark)
    pods = [mine[n] for n in narrowed.unmarked if n < len(mine) and mine[n].kind.name == PODS.name]
    ready = not narrowed.excludes or all(_denied(thing, one, denying) for thing, one in chosen)
    about = part(body, "metadata")
    guard: dict[str, Any] = {key: about[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    shown: dict[str, Any] = {
        **back.prior(body),
        "guard": guard,
        "narrowed": dict(narrowed.spec),
        "ready": ready,
    }
    return {NETWORK_POLICIES.key(namespace, name_of(body)): shown, **back.mark_states(pods)}


def _denied(thing: Thing, labels: Labels, denying: list[Rule]) -> bool:
    """Return whether a policy denies a pod everything; what is not born yet, and what none reaches, is."""
    if thing.kind.name != PODS.name or peers.on_host_network(thing):
        return True
    return any(peers.meets(rule, labels) for rule in denying)


def _is_named(scope: Scope, namespace: str) -> bool:
    return namespace in scope.own or (namespace in scope.namespaces and bool(scope.selector))


def _still_ours(now: Body, was: Body) -> bool:
    """Return whether nobody but us wrote the selector since, where we changed it: its last writer owns it."""
    if part(now, "spec", "podSelector") == part(was, "podSelector"):
        return True
    writers = [
        text(one, "manager")
        for one in bodies(now, "metadata", "managedFields")
        if owners.owns(one, ("spec", "podSelector"))
    ]
    return writers == [MANAGER]


def _mark(resource: Resource) -> str:
    return str(resource.params.get("mark", ""))


ACTION_CLASSES = (NarrowPolicies,)
SPECS = (SPEC,)
