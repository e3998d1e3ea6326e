"""Names what a cluster asks before the policies of a stop: what allows there is not cut by them."""

from __future__ import annotations

from collections.abc import Iterable

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_kubernetes import peers
from breakglass_kubernetes.actions.calico_policies import CALICO_POLICIES, ORDER
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import NAMESPACES, Kind
from breakglass_kubernetes.objects import Body, bodies, labels_of, name_of, namespace_of, part, text

END_PODS = "end_pods"
"""The step that ends the agent's pods, and every connection of theirs with them."""
ADMIN = (
    "adminnetworkpolicies.policy.networking.k8s.io",
    "clusternetworkpolicies.policy.networking.k8s.io",
)
"""Their rules are asked before any NetworkPolicy (network-policy-api documentation, "AdminNetworkPolicy")."""
CALICO = (CALICO_POLICIES.name, "globalnetworkpolicies.crd.projectcalico.org")
"""Tiers are asked one after another, and in each the lowest order first (Calico documentation, "Tier")."""
LISTED = 5
_ALLOWS = frozenset({"Allow", "Accept"})


def door(name: str, reason: str, remedy: str) -> ProposedDoor:
    """Return a door that the end of the pods closes."""
    made = Door(DoorKind.NO_STEP, name[:500], reason[:900], remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(made, (END_PODS,))


def doors(cluster: Cluster, found: Found) -> list[ProposedDoor]:
    """Return a door for each policy that allows above ours, and for each kind that cannot be read."""
    made: list[ProposedDoor] = []
    for names, look in ((ADMIN, _admin), (CALICO, _calico)):
        for kind in (found.custom[name] for name in names if name in found.custom):
            try:
                made += look(cluster, found, kind)
            except ProviderError as error:
                why = f"cannot be read ({error.what}), and may be asked before the policies of this stop"
                made.append(door(f"{kind.name} of the cluster", why, "look by hand"))
    return made


def _admin(cluster: Cluster, found: Found, kind: Kind) -> Iterable[ProposedDoor]:
    allowing = [one for one in cluster.every(kind) if _allows(one)]
    spaces = _spaces(cluster, found.scope.look_in) if allowing else []
    for one in allowing:
        if hit := [name_of(space) for space in spaces if _is_about(one, space)]:
            why = f"allows in {', '.join(hit[:LISTED])}, and is asked before any NetworkPolicy"
            yield door(f"{kind.name}/{name_of(one)}", why, "end the pods, or change it by hand")


def _calico(cluster: Cluster, found: Found, kind: Kind) -> Iterable[ProposedDoor]:
    policies = cluster.list_in(kind, found.scope.look_in) if kind.namespaced else cluster.every(kind)
    first = [kind.key(namespace_of(one), name_of(one)) for one in policies if _allows(one) and _is_first(one)]
    if not first:
        return []
    more = f" and {len(first) - LISTED} more" if len(first) > LISTED else ""
    why = f"allow, and may be asked first: their tier is another or their order lower than {ORDER}"
    return [door(f"{', '.join(first[:LISTED])}{more}", why, "end the pods, or change them by hand")]


def _is_first(policy: Body) -> bool:
    """Return whether Calico may ask it before ours; which tier comes when is not looked at."""
    if text(policy, "spec", "tier") not in {"", "default"}:
        return True
    order = part(policy, "spec").get("order")
    return isinstance(order, int | float) and order <= ORDER


def _allows(policy: Body) -> bool:
    rules = (*bodies(policy, "spec", "egress"), *bodies(policy, "spec", "ingress"))
    return any(text(rule, "action") in _ALLOWS for rule in rules)


def _spaces(cluster: Cluster, names: Iterable[str]) -> list[Body]:
    """Return the namespaces with their labels, which say whom a policy of the cluster is about."""
    live = {name_of(body): body for body in cluster.every(NAMESPACES)}
    return [live[name] for name in names if name in live]


def _is_about(policy: Body, space: Body) -> bool:
    """Return whether it is about a namespace; pods in it are not told apart: it may be about any of them."""
    subject = part(policy, "spec", "subject")
    selector = (
        part(subject, "namespaces") if "namespaces" in subject else part(subject, "pods", "namespaceSelector")
    )
    return peers.selects(selector, labels_of(space))
