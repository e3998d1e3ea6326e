"""Proposes the cuts of the agent's network, and says what none of them reaches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from breakglass.canon import Json
from breakglass.model.action import Grade
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_kubernetes import cni, peers
from breakglass_kubernetes.actions import (
    calico_policies,
    cilium_policies,
    deny_egress,
    egress_above,
    narrow_policies,
)
from breakglass_kubernetes.actions.egress_above import END_PODS, LISTED, door
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.cni import Enforces, Network
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import PODS, WORKLOADS
from breakglass_kubernetes.scope import target

DENY, NARROW = "deny_egress", "narrow_policies"
_DENY_WAIT_S = 5.0


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
    doors = [*_hosts(hosts), _flows(), *egress_above.doors(cluster, found)]
    said = NotTouched("network plug-in of the cluster", f"{network.words}; no proof of ours"[:1500])
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
            target=target(found.knowing(*WORKLOADS, PODS), uid, f"{words} {agent}", **more),
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


def _flows() -> ProposedDoor:
    return door(
        "connections of the agent's pods that are open already",
        'whether a new policy ends them is up to the network plug-in (Kubernetes documentation, "Network'
        ' Policies"): many leave them open for as long as they are used',
        "end the pods",
    )


def _hosts(hosts: list[str]) -> list[ProposedDoor]:
    if not hosts:
        return []
    more = f" and {len(hosts) - LISTED} more" if len(hosts) > LISTED else ""
    return [
        door(
            f"network of {', '.join(hosts[:LISTED])}{more}",
            "they use their node's network, which no policy cuts (Kubernetes documentation, \"Network"
            ' Policies")',
            "end the pods",
        )
    ]


ACTION_CLASSES = (
    *deny_egress.ACTION_CLASSES,
    *narrow_policies.ACTION_CLASSES,
    *cilium_policies.ACTION_CLASSES,
    *calico_policies.ACTION_CLASSES,
)
SPECS = (*deny_egress.SPECS, *narrow_policies.SPECS, *cilium_policies.SPECS, *calico_policies.SPECS)
