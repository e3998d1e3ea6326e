"""Proposes the cuts of the agent's network, and says what none of them reaches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_kubernetes import cni, peers
from breakglass_kubernetes.actions import (
    calico_policies,
    cilium_policies,
    deny_egress,
    narrow_policies,
)
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.cni import Enforces, Network
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import NAMESPACES
from breakglass_kubernetes.objects import Body, bodies, labels_of, name_of, part, text
from breakglass_kubernetes.scope import target

DENY, NARROW = "deny_egress", "narrow_policies"
END_PODS = "end_pods"
"""The step that ends the agent's pods, and every connection of theirs with them."""
_DENY_WAIT_S = 5.0
_LISTED = 5
ADMIN_POLICIES = (
    "adminnetworkpolicies.policy.networking.k8s.io",
    "clusternetworkpolicies.policy.networking.k8s.io",
)
"""Their rules are asked before any NetworkPolicy (network-policy-api documentation, "AdminNetworkPolicy")."""


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose the cuts; nothing where the agent has no namespace and nothing runs."""
    scope = found.scope
    if not (found.held.things or scope.own or (scope.namespaces and scope.selector)):
        return Proposed()
    network = cni.look(cluster, scope.look_in)
    hosts = [thing.key for thing in found.held.things if peers.on_host_network(thing)]
    more: dict[str, Json] = {
        "mark": _mark(cluster),
        "incident": re.sub(r"[^A-Za-z0-9]+", "-", cluster.connection.incident).strip("-")[:60].strip("-"),
        "cni": network.words[:700],
        "host_network": bool(hosts),
    }
    doors = [*_hosts(hosts), _flows(), *_admin(cluster, found)]
    said = NotTouched("network plug-in of the cluster", f"{network.words}: said by it, and no proof"[:1500])
    return Proposed(tuple(_steps(cluster, found, network, more)), tuple(doors), (said,))


def _steps(cluster: Cluster, found: Found, network: Network, more: dict[str, Json]) -> Sequence[Proposal]:
    enforced = network.enforces is Enforces.YES
    wait = WaitFor(DENY, _DENY_WAIT_S)
    made = [
        (DENY, deny_egress.SPEC.name, "network of", enforced, ()),
        (NARROW, narrow_policies.SPEC.name, "policies that let through", enforced, (wait,)),
    ]
    if cilium_policies.CILIUM_POLICIES.name in found.custom:
        name = cilium_policies.SPEC.name
        made.append(("cilium_deny", name, "network (Cilium) of", network.has("cilium"), ()))
    if calico_policies.CALICO_POLICIES.name in found.custom:
        name = calico_policies.SPEC.name
        made.append(("calico_deny", name, "network (Calico) of", network.has("calico"), ()))
    agent, uid = found.scope.agent, cluster.settings.cluster_uid
    return [
        Proposal(
            key=key,
            action=action,
            target=target(found.scope, uid, f"{words} {agent}", **more),
            after=after,
            best_grade=None if proven else Grade.NONE,
            # Once all its pods have ended, with proof, nothing of the agent's sends any more.
            moot_by=(END_PODS,),
        )
        for key, action, words, proven, after in made
    ]


def _mark(cluster: Cluster) -> str:
    about = f"{cluster.connection.incident}\0{cluster.connection.agent.name}\0{cluster.settings.cluster_uid}"
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def _door(name: str, reason: str, remedy: str) -> ProposedDoor:
    door = Door(DoorKind.NO_STEP, name[:500], reason[:900], remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(door, (END_PODS,))


def _flows() -> ProposedDoor:
    return _door(
        "connections of the agent's pods that are open already",
        'whether a new policy ends them is up to the network plug-in (Kubernetes documentation, "Network'
        ' Policies"): many leave them open for as long as they are used',
        "end the pods",
    )


def _hosts(hosts: list[str]) -> list[ProposedDoor]:
    if not hosts:
        return []
    more = f" and {len(hosts) - _LISTED} more" if len(hosts) > _LISTED else ""
    return [
        _door(
            f"network of {', '.join(hosts[:_LISTED])}{more}",
            "they use their node's network, which no policy cuts (Kubernetes documentation, \"Network"
            ' Policies")',
            "end the pods",
        )
    ]


def _admin(cluster: Cluster, found: Found) -> list[ProposedDoor]:
    """Name what an administrator allowed above all NetworkPolicies, in the agent's namespaces."""
    doors: list[ProposedDoor] = []
    for kind in (found.custom[name] for name in ADMIN_POLICIES if name in found.custom):
        try:
            policies = cluster.every(kind)
        except ProviderError as error:
            why = f"cannot be read ({error.what}), and would be asked before any NetworkPolicy"
            doors.append(_door(f"{kind.name} of the cluster", why, "look by hand"))
            continue
        allowing = [one for one in policies if _allows(one)]
        spaces = [_namespace(cluster, name) for name in found.scope.look_in] if allowing else []
        for one in allowing:
            if hit := [name_of(space) for space in spaces if _subject(one, space)]:
                why = f"allows in {', '.join(hit[:_LISTED])}, and is asked before any NetworkPolicy"
                doors.append(_door(f"{kind.name}/{name_of(one)}", why, "end the pods, or change it by hand"))
    return doors


def _allows(policy: Body) -> bool:
    rules = (*bodies(policy, "spec", "egress"), *bodies(policy, "spec", "ingress"))
    return any(text(rule, "action") in {"Allow", "Accept"} for rule in rules)


def _namespace(cluster: Cluster, name: str) -> Any:  # noqa: ANN401 - JSON
    found = cluster.maybe(NAMESPACES, "", name)
    return found if found is not None else {"metadata": {"name": name}}


def _subject(policy: Body, space: Body) -> bool:
    """Return whether it is about a namespace; pods in it are not told apart: it may be about any of them."""
    subject = part(policy, "spec", "subject")
    chosen = subject.get("namespaces", part(subject, "pods").get("namespaceSelector", {}))
    return peers.selects(chosen if isinstance(chosen, dict) else {}, labels_of(space))


ACTION_CLASSES = (
    *deny_egress.ACTION_CLASSES,
    *narrow_policies.ACTION_CLASSES,
    *cilium_policies.ACTION_CLASSES,
    *calico_policies.ACTION_CLASSES,
)
SPECS = (*deny_egress.SPECS, *narrow_policies.SPECS, *cilium_policies.SPECS, *calico_policies.SPECS)
