"""A restore that is cut off, repeated, or late, on a real API server: each is finished, none is claimed."""

from __future__ import annotations

import time
from typing import Any

from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import pods, service_accounts, token_secrets
from breakglass_kubernetes.cluster import MANAGER
from breakglass_kubernetes.kinds import NAMESPACES, NETWORK_POLICIES, PODS, SECRETS, SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import managers_of
from providers.kubernetes.tests.rig_egress import DENY, NARROW, allow, policies, step, told
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

ACCOUNTS, TOKENS = service_accounts.SPEC.name, token_secrets.SPEC.name
BOT = {"matchLabels": {"app": "bot"}}


def test_an_account_that_was_made_again_before_a_crash_is_given_back_to_its_owners(rig: Rig) -> None:
    """The next executor finds it equal, and ours: its owner's next apply must not be in conflict with us."""
    rig.make(SERVICE_ACCOUNTS, "bot", {"metadata": {"labels": {"team": "a"}}})
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    target = proposal(provider, ACCOUNTS).target
    prior, _ = close(provider.actions[ACCOUNTS], target)
    made = {"apiVersion": "v1", "kind": "ServiceAccount"}
    about = {"name": "bot", "namespace": rig.namespace, "labels": {"team": "a"}}
    provider.cluster.create(SERVICE_ACCOUNTS, rig.namespace, {**made, "metadata": about})  # and then it died

    outcomes = undo(rig.provider(service_accounts=[f"{rig.namespace}/bot"]).actions[ACCOUNTS], target, prior)

    assert [Outcome.RESTORED] == [*outcomes.objects.values()]
    assert MANAGER not in managers_of(rig.get(SERVICE_ACCOUNTS, "bot"))


def test_a_token_secret_that_was_made_again_before_a_crash_is_ours_to_finish(rig: Rig) -> None:
    """It is no drift: nobody else made it."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    notes = {"kubernetes.io/service-account.name": "bot"}
    rig.make(SECRETS, "t", {"type": token_secrets.TYPE, "metadata": {"annotations": notes}})
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    target = proposal(provider, TOKENS).target
    prior, _ = close(provider.actions[TOKENS], target)
    about = {"name": "t", "namespace": rig.namespace, "annotations": notes}
    body = {"apiVersion": "v1", "kind": "Secret", "type": token_secrets.TYPE, "metadata": about}
    provider.cluster.create(SECRETS, rig.namespace, body)  # and then it died

    first = undo(rig.provider(service_accounts=[f"{rig.namespace}/bot"]).actions[TOKENS], target, prior)
    again = undo(provider.actions[TOKENS], target, prior)

    assert [Outcome.RESTORED] == [*first.objects.values()]
    assert [Outcome.ALREADY] == [*again.objects.values()]
    assert MANAGER not in managers_of(rig.get(SECRETS, "t"))


def test_an_account_whose_namespace_is_gone_is_not_left_out_of_the_report(rig: Rig) -> None:
    """One account comes back, the other cannot: a restore that names only the first would claim both."""
    other = rig.new_namespace(f"{rig.namespace}-gone")
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.make(SERVICE_ACCOUNTS, "bot", {}, namespace=other)
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot", f"{other}/bot"])
    target = proposal(provider, ACCOUNTS).target
    prior, _ = close(provider.actions[ACCOUNTS], target)
    rig.plane.call("DELETE", NAMESPACES.path("", other))
    until_gone(rig, other)

    outcomes = undo(provider.actions[ACCOUNTS], target, prior).objects

    assert Outcome.RESTORED is outcomes[f"serviceaccounts/{rig.namespace}/bot"]
    assert Outcome.DRIFTED is outcomes[f"serviceaccounts/{other}/bot"]


def test_a_policy_whose_rules_are_back_but_still_ours_is_given_back_to_its_owners(rig: Rig) -> None:
    """The crash came between the two writes of a restore: equal is not enough."""
    rig.pod()
    rig.pod("neighbour", labels={"app": "web"})
    original = allow(rig, "everybody", {})
    provider = rig.provider()
    close(*step(provider, DENY))
    action, target = step(provider, NARROW)
    prior, _ = close(action, target)
    now = policies(rig)["everybody"]
    provider.cluster.replace(NETWORK_POLICIES, {**now, "spec": original["spec"]})  # and then it died

    outcomes = undo(rig.provider().actions[action.spec.name], target, prior)

    assert {Outcome.RESTORED} == {*outcomes.objects.values()}
    assert told(policies(rig)["everybody"]) == told(original)


def test_a_pod_that_the_stop_could_not_end_needs_nothing_at_restore(rig: Rig) -> None:
    """Admission, or an error, kept it: a restore that waits for its end would never be over."""
    rig.pod()
    provider = rig.provider()
    target = proposal(provider, pods.SPEC.name).target
    action = provider.actions[pods.SPEC.name]
    seen = action.observe(target)

    outcomes = action.revert(target, State(seen.objects), action.observe(target)).objects

    assert [Outcome.ALREADY] == [*outcomes.values()]


def test_a_pod_that_is_made_again_belongs_to_whoever_made_it_first(rig: Rig) -> None:
    """Its deployer may change its labels by its next apply without a conflict, as before the stop."""
    body = pod_of("deployer-pod", "1")
    path = PODS.path(rig.namespace, "deployer-pod")
    apply(rig, path, body)
    provider = rig.provider()
    target = proposal(provider, pods.SPEC.name).target
    prior, _ = close(provider.actions[pods.SPEC.name], target)

    outcomes = undo(provider.actions[pods.SPEC.name], target, prior).objects
    again = undo(provider.actions[pods.SPEC.name], target, prior).objects
    apply(rig, path, pod_of("deployer-pod", "2"))

    assert [Outcome.RESTORED] == [*outcomes.values()]
    assert [Outcome.ALREADY] == [*again.values()]
    assert MANAGER not in managers_of(rig.get(PODS, "deployer-pod"))
    assert "2" == rig.get(PODS, "deployer-pod")["metadata"]["labels"]["release"]


def pod_of(name: str, release: str) -> dict[str, Any]:
    """Return the manifest of a deployer."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "bot", "release": release}},
        "spec": {"containers": [{"name": "main", "image": "example.invalid/bot:1"}]},
    }


def apply(rig: Rig, path: str, body: dict[str, Any]) -> None:
    """Apply without force, as a deployer does: a conflict raises ApiError."""
    query = {"fieldManager": "deployer"}
    rig.plane.call("PATCH", path, body, content_type="application/apply-patch+yaml", query=query)


def until_gone(rig: Rig, namespace: str) -> None:
    """Wait until a namespace has ended."""
    end = time.monotonic() + 30
    while any(
        one["metadata"]["name"] == namespace for one in rig.plane.call("GET", NAMESPACES.path())["items"]
    ):
        assert time.monotonic() < end
        time.sleep(0.2)
