"""What the tests of the network cuts share: policies, and an agent between its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass.provider import Action
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import NETWORK_POLICIES
from providers.kubernetes.tests.rig_k8s import Rig, proposal

DENY = "kubernetes.network.deny_egress"
NARROW = "kubernetes.network.narrow_policies"
EVERYWHERE: dict[str, Any] = {"policyTypes": ["Egress"], "egress": [{}]}


def allow(rig: Rig, name: str, selector: Mapping[str, Any], **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make a policy that lets out what it selects."""
    body = {
        "metadata": {"labels": {"made": "by-hand"}, "annotations": {"why": "the tests"}},
        "spec": {"podSelector": dict(selector), **(spec or EVERYWHERE)},
    }
    return rig.make(NETWORK_POLICIES, name, body)


def step(provider: KubernetesProvider, action: str) -> tuple[Action, Resource]:
    """Return an action with the target that discovery proposes for it."""
    return provider.actions[action], proposal(provider, action).target


def account(rig: Rig, name: str = "bot") -> None:
    """Make a service account."""
    path = f"/api/v1/namespaces/{rig.namespace}/serviceaccounts"
    rig.plane.call("POST", path, {"metadata": {"name": name}})


def as_bot(rig: Rig) -> dict[str, Any]:
    """Return a reach that knows the agent's pods by their account alone."""
    named = [f"{rig.namespace}/bot"]
    return {"service_accounts": named, "accept_blast_radius": named}


def policies(rig: Rig) -> dict[str, dict[str, Any]]:
    """Return the policies of the test's namespace by name."""
    found = rig.plane.call("GET", NETWORK_POLICIES.path(rig.namespace))
    return {one["metadata"]["name"]: one for one in found["items"]}


def told(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return all of an object that a restore has to give back, its owners included."""
    about = one["metadata"]
    owners = sorted((entry["manager"], str(entry["fieldsV1"])) for entry in about["managedFields"])
    kept = {key: about.get(key) for key in ("uid", "labels", "annotations", "finalizers", "ownerReferences")}
    return {"spec": one["spec"], "owners": owners, **kept}


def change(rig: Rig, name: str, patch: Mapping[str, Any]) -> None:
    """Change a policy as somebody who is not the executor."""
    path = NETWORK_POLICIES.path(rig.namespace, name)
    rig.plane.call("PATCH", path, patch, content_type="application/merge-patch+json")


def no_keys(state: Mapping[str, Json]) -> list[str]:
    """Return the policies of a state by their last name."""
    return [key.rpartition("/")[2] for key in state if key.startswith("networkpolicies")]
