"""Policies only add up: those that let the agent's pods through are narrowed, and put back byte for byte.

Real control plane: stored, validated, defaulted, owned. Nothing here shows a packet that is dropped.
"""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass_kubernetes.kinds import NETWORK_POLICIES, PODS
from breakglass_kubernetes.peers import MARK
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.least_k8s import least
from providers.kubernetes.tests.rig_egress import (
    DENY,
    EVERYWHERE,
    NARROW,
    account,
    allow,
    as_bot,
    change,
    no_keys,
    policies,
    step,
    told,
)
from providers.kubernetes.tests.rig_k8s import Rig, close, undo

BOT = {"matchLabels": {"app": "bot"}}
DNS = {
    "policyTypes": ["Egress"],
    "egress": [
        {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": 53}]}
    ],
}


def test_a_policy_of_the_agents_alone_loses_its_rules_and_gets_them_back(rig: Rig) -> None:
    """Empty it: what it selects stays isolated; restore spec, labels, annotations and owners."""
    rig.pod()
    original = allow(rig, "out", BOT, **DNS)
    action, target = step(rig.provider(), NARROW)

    prior, _ = close(action, target)

    narrowed = policies(rig)["out"]["spec"]
    assert narrowed == {"podSelector": BOT, "policyTypes": ["Egress"]}
    assert {"restored"} == {*undo(action, target, prior).objects.values()}
    assert told(policies(rig)["out"]) == told(original)


def test_a_policy_for_everybody_no_longer_selects_the_agent(rig: Rig) -> None:
    """Add an expression that the neighbours meet and the agent does not; restore it byte for byte."""
    rig.pod()
    rig.pod("neighbour", labels={"app": "web"})
    original = allow(rig, "everybody", {})
    provider = rig.provider()
    close(*step(provider, DENY))
    action, target = step(provider, NARROW)

    prior, _ = close(action, target)

    now = policies(rig)["everybody"]
    expression = {"key": "app", "operator": "NotIn", "values": ["bot"]}
    assert now["spec"]["podSelector"] == {"matchExpressions": [expression]}
    assert now["spec"]["egress"] == [{}]
    assert {"restored"} == {*undo(action, target, prior).objects.values()}
    assert told(policies(rig)["everybody"]) == told(original)


def test_no_pod_is_taken_out_of_a_policy_before_another_one_denies_it(rig: Rig) -> None:
    """Wait: a pod that no policy selects may do everything."""
    rig.pod()
    original = allow(rig, "everybody", {}, **DNS)
    action, target = step(rig.provider(), NARROW)

    with pytest.raises(Transient, match="waits until a policy denies"):
        action.apply(target, action.observe(target), "token")

    assert told(policies(rig)["everybody"]) == told(original)


def test_a_pod_that_looks_like_its_neighbour_is_marked_and_then_excluded(rig: Rig) -> None:
    """Exclude by our own label where no other tells them apart; the neighbour stays selected."""
    account(rig)
    rig.pod("mine", serviceAccountName="bot")
    rig.pod("neighbour")
    original = allow(rig, "both", BOT)
    provider = rig.provider(**as_bot(rig))
    denial, where = step(provider, DENY)
    action, target = step(provider, NARROW)
    marks, _ = close(denial, where)

    prior, _ = close(action, target)

    mark = rig.get(PODS, "mine")["metadata"]["labels"][MARK]
    expression = {"key": MARK, "operator": "NotIn", "values": [mark]}
    assert policies(rig)["both"]["spec"]["podSelector"] == {**BOT, "matchExpressions": [expression]}
    undo(action, target, prior)
    undo(denial, where, marks)
    assert told(policies(rig)["both"]) == told(original)
    assert [*policies(rig)] == ["both"]


def test_a_policy_that_selects_only_neighbours_is_not_touched(rig: Rig) -> None:
    """Leave what the agent is not selected by, and what allows nothing."""
    rig.pod()
    rig.pod("neighbour", labels={"app": "web"})
    allow(rig, "web", {"matchLabels": {"app": "web"}})
    allow(rig, "nothing", {}, policyTypes=["Egress"])
    before = {name: told(one) for name, one in policies(rig).items()}
    action, target = step(rig.provider(), NARROW)

    prior, _ = close(action, target)

    assert prior == {}
    assert {name: told(one) for name, one in policies(rig).items()} == before


def test_a_policy_that_lets_orders_in_is_emptied_as_well(rig: Rig) -> None:
    """Close ingress, too: a tunnel that the agent serves is reached by it."""
    rig.pod()
    allow(rig, "in", BOT, policyTypes=["Ingress"], ingress=[{}])
    action, target = step(rig.provider(), NARROW)

    close(action, target)

    assert policies(rig)["in"]["spec"] == {"podSelector": BOT, "policyTypes": ["Ingress"]}


def test_types_that_the_server_fills_in_are_read_as_it_does(rig: Rig) -> None:
    """Find egress in a policy that was written without policyTypes."""
    rig.pod()
    original = allow(rig, "untyped", BOT, egress=[{}])
    action, target = step(rig.provider(), NARROW)

    prior, _ = close(action, target)
    undo(action, target, prior)

    assert original["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert told(policies(rig)["untyped"]) == told(original)


def test_what_a_deployer_holds_by_server_side_apply_it_holds_again_after_the_restore(rig: Rig) -> None:
    """Let the deployer apply without force and without a conflict once it is restored."""
    rig.pod()
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "gitops"},
        "spec": {"podSelector": {}, **DNS},
    }
    original = apply(rig, body)
    provider = rig.provider()
    close(*step(provider, DENY))
    action, target = step(provider, NARROW)
    prior, _ = close(action, target)
    with pytest.raises(ApiError) as refused:
        apply(rig, body)

    undo(action, target, prior)

    assert refused.value.status == 409
    assert told(policies(rig)["gitops"]) == told(original)
    assert told(apply(rig, body)) == told(original)


def test_a_policy_that_somebody_puts_back_or_adds_is_narrowed_in_the_next_round(rig: Rig) -> None:
    """Fight back three times, with an old one and with new ones; the first prior state wins."""
    rig.pod()
    original = allow(rig, "out", BOT)
    provider = rig.provider()
    close(*step(provider, DENY))
    action, target = step(provider, NARROW)
    prior: dict[str, Any] = {}
    for n in range(3):
        prior = {**close(action, target)[0], **prior}
        change(rig, "out", {"spec": {"egress": [{}]}})
        allow(rig, f"again-{n}", {})

        said = action.judge(target, action.observe(target))
        assert said.verdict is Verdict.NOT_CONTAINED
        assert f"again-{n}" in said.reason
    prior = {**close(action, target)[0], **prior}

    undo(action, target, prior)

    restored = policies(rig)
    assert told(restored["out"])["spec"] == told(original)["spec"]
    assert {restored[f"again-{n}"]["spec"]["egress"] == [{}] for n in range(3)} == {True}


def test_what_somebody_changed_after_the_stop_is_left_alone(rig: Rig) -> None:
    """Call it drifted: a new rule, another selector, another object, or none any more."""
    rig.pod()
    for name in ("rule", "selector", "gone", "another"):
        allow(rig, name, {})
    provider = rig.provider()
    close(*step(provider, DENY))
    action, target = step(provider, NARROW)
    prior, _ = close(action, target)
    change(rig, "rule", {"spec": {"egress": [{"ports": [{"port": 1, "protocol": "TCP"}]}]}})
    change(rig, "selector", {"spec": {"podSelector": {"matchLabels": {"new": "one"}}}})
    rig.plane.call("DELETE", NETWORK_POLICIES.path(rig.namespace, "gone"))
    rig.plane.call("DELETE", NETWORK_POLICIES.path(rig.namespace, "another"))
    allow(rig, "another", {})
    before = {name: told(one) for name, one in policies(rig).items()}

    reversal = undo(action, target, prior)

    assert {"drifted"} == {*reversal.objects.values()}
    assert {name: told(one) for name, one in policies(rig).items()} == before


def test_a_second_restore_finds_everything_done_already(rig: Rig) -> None:
    """Write nothing the second time."""
    rig.pod()
    allow(rig, "out", BOT)
    action, target = step(rig.provider(), NARROW)
    prior, _ = close(action, target)
    undo(action, target, prior)
    version = policies(rig)["out"]["metadata"]["resourceVersion"]

    again = action.revert(target, State(prior), State({}))

    assert ["already"] == [*again.objects.values()]
    assert policies(rig)["out"]["metadata"]["resourceVersion"] == version


def test_fifty_policies_are_narrowed_and_each_is_put_back(rig: Rig) -> None:
    """Do them several at once, and mix those of the agent's with those of everybody."""
    rig.deployment()
    rig.pod("neighbour", labels={"app": "web", "tier": "front"})
    for n in range(50):
        selector = BOT if n % 2 else {"matchExpressions": [{"key": "app", "operator": "Exists"}]}
        allow(rig, f"p{n}", selector, **(DNS if n % 3 else EVERYWHERE))
    before = {name: told(one) for name, one in policies(rig).items()}
    provider = rig.provider()
    denial, where = step(provider, DENY)
    made, _ = close(denial, where)
    action, target = step(provider, NARROW)

    prior, _ = close(action, target)

    assert len(no_keys(prior)) == 50
    assert {"restored"} == {*undo(action, target, prior).objects.values()}
    undo(denial, where, made)
    assert {name: told(one) for name, one in policies(rig).items()} == before


def test_an_executor_with_exactly_the_printed_rights_cuts_and_puts_back(rig: Rig) -> None:
    """Need nothing beside what the actions declare."""
    rig.pod()
    rig.pod("neighbour", labels={"app": "web"})
    allow(rig, "out", BOT)
    allow(rig, "everybody", {})
    before = {name: told(one) for name, one in policies(rig).items()}
    provider = least(rig, user=f"least-{rig.namespace}")
    denial, where = step(provider, DENY)
    action, target = step(provider, NARROW)

    made, _ = close(denial, where)
    prior, _ = close(action, target)
    undo(action, target, prior)
    undo(denial, where, made)

    assert {name: told(one) for name, one in policies(rig).items()} == before


def apply(rig: Rig, body: dict[str, Any]) -> dict[str, Any]:
    """Apply as a deployer does, without force."""
    path = NETWORK_POLICIES.path(rig.namespace, body["metadata"]["name"])
    answer: dict[str, Any] = rig.plane.call(
        "PATCH",
        path,
        body,
        content_type="application/apply-patch+yaml",
        query={"fieldManager": "argocd", "force": "false"},
    )
    return answer
