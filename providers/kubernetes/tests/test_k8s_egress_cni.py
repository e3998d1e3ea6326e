"""Cilium's and Calico's own policies, and what a plan says of a cluster's network plug-in.

Their custom resources are served here and nothing acts on them: what is shown is what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import Transient
from breakglass.model.action import Grade, Verdict
from breakglass_kubernetes.actions.calico_policies import CALICO_POLICIES, words
from breakglass_kubernetes.actions.cilium_policies import CILIUM_POLICIES
from breakglass_kubernetes.kinds import CUSTOM_RESOURCES, DAEMON_SETS
from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.planes_k8s import OWN
from providers.kubernetes.tests.rig_egress import DENY, NARROW, step
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

PLANE = OWN  # it seems to have network plug-ins
CILIUM = "kubernetes.cilium.deny_egress"
CALICO = "kubernetes.calico.deny_egress"
ADMIN = "adminnetworkpolicies.policy.networking.k8s.io"


@pytest.fixture(scope="module", autouse=True)
def served(plane: Sandbox) -> None:
    """Serve the custom resources of both."""
    plane.install("cilium")
    plane.install("calico")


def test_cilium_denies_by_one_object_and_loses_it_again(rig: Rig) -> None:
    """Store a policy that denies all entities in both directions."""
    rig.pod()
    action, target = step(rig.provider(), CILIUM)

    prior, _ = close(action, target)

    (made,) = items(rig, CILIUM_POLICIES.path(rig.namespace))
    assert made["spec"] == {
        "endpointSelector": {"matchLabels": {"app": "bot"}},
        "egressDeny": [{"toEntities": ["all"]}],
        "ingressDeny": [{"fromEntities": ["all"]}],
    }
    assert ["restored"] == [*undo(action, target, prior).objects.values()]
    assert items(rig, CILIUM_POLICIES.path(rig.namespace)) == []


def test_calico_denies_before_any_other_policy_is_asked(rig: Rig) -> None:
    """Store a policy of the lowest order, with the selector in Calico's own language."""
    rig.pod(labels={"app": "bot", "tier": "a"})
    selector = "app=bot,tier in (a,b),zone notin (x),!canary,app"
    action, target = step(rig.provider(namespace=rig.namespace, selector=selector), CALICO)

    prior, _ = close(action, target)

    (made,) = items(rig, CALICO_POLICIES.path(rig.namespace))
    assert made["spec"] == {
        "order": -1_000_000,
        "selector": "app in {'bot'} && tier in {'a', 'b'} && zone not in {'x'} && !has(canary) && has(app)",
        "types": ["Ingress", "Egress"],
        "ingress": [{"action": "Deny"}],
        "egress": [{"action": "Deny"}],
    }
    assert ["restored"] == [*undo(action, target, prior).objects.values()]


def test_an_empty_selector_is_everything_in_calicos_language() -> None:
    """Never write an empty text by accident."""
    assert words({}) == "all()"


def test_a_policy_of_cilium_that_was_weakened_is_put_right(rig: Rig) -> None:
    """See that the deny rules are gone, and write them again."""
    rig.pod()
    action, target = step(rig.provider(), CILIUM)
    close(action, target)
    (made,) = items(rig, CILIUM_POLICIES.path(rig.namespace))
    path = CILIUM_POLICIES.path(rig.namespace, made["metadata"]["name"])
    merge = "application/merge-patch+json"
    rig.plane.call("PATCH", path, {"spec": {"egressDeny": [], "egress": [{}]}}, content_type=merge)

    said = action.judge(target, action.observe(target))
    close(action, target)

    assert (said.verdict, "another content" in said.reason) == (Verdict.NOT_CONTAINED, True)
    assert items(rig, CILIUM_POLICIES.path(rig.namespace))[0]["spec"] == made["spec"]


def test_without_a_known_plug_in_nothing_is_proven_and_the_end_of_the_pods_makes_it_moot(rig: Rig) -> None:
    """Declare no grade and no window, and what closes the step all the same."""
    rig.pod()
    provider = rig.provider()

    for name in (DENY, NARROW, CILIUM, CALICO):
        found = proposal(provider, name)
        assert (found.best_grade, found.window_s, found.moot_by) == (Grade.NONE, None, ("end_pods",))
    assert any("is unknown" in one.reason for one in provider.discover().not_touched)


def test_a_known_plug_in_lets_a_read_back_be_the_proof(rig: Rig) -> None:
    """Take Cilium's DaemonSet in kube-system as a sign; one in the agent's own namespace is none."""
    rig.pod()
    forged = make_daemon_set(rig, rig.namespace, "calico-node")
    assert proposal(rig.provider(), DENY).best_grade is Grade.NONE
    real = make_daemon_set(rig, "kube-system", "cilium")
    try:
        provider = rig.provider()

        assert proposal(provider, DENY).best_grade is None
        assert proposal(provider, CILIUM).best_grade is None
        assert proposal(provider, CALICO).best_grade is Grade.NONE
        assert "seem to be enforced" in str(proposal(provider, DENY).target.params["cni"])
    finally:
        for path in (forged, real):
            rig.plane.call("DELETE", path)


def test_what_an_administrator_allows_above_all_policies_is_named(rig: Rig) -> None:
    """Name an AdminNetworkPolicy that allows in the agent's namespace, and only that one."""
    rig.pod()
    define(rig, "policy.networking.k8s.io", "v1alpha1", "AdminNetworkPolicy", "adminnetworkpolicies")
    here = {"kubernetes.io/metadata.name": rig.namespace}
    for name, action, labels in (
        ("lets-out", "Allow", here),
        ("denies", "Deny", here),
        ("elsewhere", "Allow", {"kubernetes.io/metadata.name": "other"}),
    ):
        spec = {"subject": {"namespaces": {"matchLabels": labels}}, "egress": [{"action": action, "to": []}]}
        body = {
            "apiVersion": "policy.networking.k8s.io/v1alpha1",
            "kind": "AdminNetworkPolicy",
            "metadata": {"name": name},
            "spec": spec,
        }
        rig.plane.call("POST", "/apis/policy.networking.k8s.io/v1alpha1/adminnetworkpolicies", body)

    doors = {one.door.name: one.closed_by for one in rig.provider().discover().doors}

    assert {name: by for name, by in doors.items() if name.startswith(ADMIN)} == {
        f"{ADMIN}/lets-out": ("end_pods",)
    }


def test_a_calico_policy_of_another_tier_that_allows_is_named(rig: Rig) -> None:
    """Name what may be asked before ours; an ordinary one, and one that only denies, is not."""
    rig.pod()
    for name, spec in (
        ("platform.out", {"tier": "platform", "egress": [{"action": "Allow"}]}),
        ("ordinary", {"order": 10, "egress": [{"action": "Allow"}]}),
        ("lower", {"order": -2_000_000, "egress": [{"action": "Allow"}]}),
        ("denies", {"tier": "platform", "egress": [{"action": "Deny"}]}),
    ):
        rig.make(CALICO_POLICIES, name, {"spec": {"selector": "all()", **spec}})

    doors = {one.door.name: one.closed_by for one in rig.provider().discover().doors}

    kind = f"networkpolicies.crd.projectcalico.org/{rig.namespace}"
    assert doors[f"{kind}/lower, {kind}/platform.out"] == ("end_pods",)


def test_a_custom_resource_that_vanishes_during_the_stop_is_unknown_and_undone_by_nothing(rig: Rig) -> None:
    """Say that the cluster does not serve it any more; the other steps go on."""
    rig.pod()
    provider = rig.provider()
    action, target = step(provider, CALICO)
    denial, where = step(provider, DENY)
    prior, _ = close(action, target)
    rig.plane.call("DELETE", CUSTOM_RESOURCES.path("", "networkpolicies.crd.projectcalico.org"))
    wait_served(rig, CALICO_POLICIES.path(rig.namespace), served=False)

    state = action.observe(target)
    said = action.judge(target, state)
    with pytest.raises(Transient, match="is not served"):
        action.apply(target, state, "token")
    close(denial, where)

    assert (said.verdict, said.grade) == (Verdict.UNKNOWN, Grade.NONE)
    assert ["already"] == [*undo(action, target, prior).objects.values()]


def items(rig: Rig, path: str) -> list[dict[str, Any]]:
    """Return the objects of a listing."""
    found: list[dict[str, Any]] = rig.plane.call("GET", path)["items"]
    return found


def make_daemon_set(rig: Rig, namespace: str, name: str) -> str:
    """Make one that nobody runs; return its path."""
    labels = {"k8s-app": name}
    spec = {"selector": {"matchLabels": labels}, "template": template(labels=labels)}
    rig.make(DAEMON_SETS, name, {"spec": spec}, namespace=namespace)
    return DAEMON_SETS.path(namespace, name)


def define(rig: Rig, group: str, version: str, kind: str, plural: str) -> None:
    """Serve a custom resource of the whole cluster, whatever is in it, and wait until it is there."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served: Mapping[str, Any] = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }
    rig.plane.call("POST", CUSTOM_RESOURCES.path(), body)
    wait_served(rig, f"/apis/{group}/{version}/{plural}", f"/apis/{group}/{version}")


def answers(rig: Rig, path: str) -> bool:
    """Return whether a path is served."""
    try:
        rig.plane.call("GET", path)
    except ApiError as error:
        if error.status in {404, 429, 503}:
            return False
        raise
    return True


def wait_served(rig: Rig, *paths: str, served: bool = True) -> None:
    """Wait until paths are served, or are no more."""
    for _ in range(200):
        if all(answers(rig, path) is served for path in paths):
            return
        SystemClock().sleep(0.1)
    pytest.fail(f"{paths}: not so after 20 s")
