"""The agent's pods get a policy that allows nothing: what is shown is that it is stored as wanted.

No sandbox of ours filters a packet, so no test here says that one is dropped.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass_kubernetes.kinds import NETWORK_POLICIES, PODS
from breakglass_kubernetes.peers import MARK
from providers.kubernetes.tests.rig_egress import DENY, account, allow, as_bot, change, policies, step, told
from providers.kubernetes.tests.rig_k8s import Rig, close, undo

BOTH = ["Ingress", "Egress"]


def test_the_selector_of_the_inventory_is_denied_everything_and_the_policy_goes_at_restore(rig: Rig) -> None:
    """Create one policy for `app=bot`, both directions, and delete it again."""
    rig.deployment()
    action, target = step(rig.provider(), DENY)

    prior, state = close(action, target)

    (made,) = policies(rig).values()
    assert made["spec"] == {"podSelector": {"matchLabels": {"app": "bot"}}, "policyTypes": BOTH}
    assert made["metadata"]["labels"] == {"breakglass.dev/incident": "inc-test"}
    assert "no known network plug-in is seen" in action.judge(target, state).reason
    assert {"restored"} == {*undo(action, target, prior).objects.values()}
    assert policies(rig) == {}


def test_a_selector_by_sets_becomes_match_expressions(rig: Rig) -> None:
    """Translate every operator of the inventory's selector."""
    rig.pod(labels={"app": "bot", "tier": "a"})
    selector = "app=bot,tier in (a,b),env!=prod,zone notin (x,y),app,!canary"
    action, target = step(rig.provider(namespace=rig.namespace, selector=selector), DENY)

    close(action, target)

    (made,) = policies(rig).values()
    assert made["spec"]["podSelector"] == {
        "matchLabels": {"app": "bot"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["a", "b"]},
            {"key": "env", "operator": "NotIn", "values": ["prod"]},
            {"key": "zone", "operator": "NotIn", "values": ["x", "y"]},
            {"key": "app", "operator": "Exists"},
            {"key": "canary", "operator": "DoesNotExist"},
        ],
    }


def test_a_namespace_of_the_agents_own_is_denied_whole(rig: Rig) -> None:
    """Select every pod of it, also one without labels."""
    rig.pod(labels={"whatever": "x"})
    action, target = step(rig.provider(namespace=rig.namespace, own_namespace=True), DENY)

    close(action, target)

    (made,) = policies(rig).values()
    assert made["spec"] == {"podSelector": {}, "policyTypes": BOTH}


def test_pods_known_by_their_account_are_selected_by_labels_that_no_neighbour_has(rig: Rig) -> None:
    """Choose the labels of the agent's template, and leave the neighbour alone."""
    account(rig)
    rig.pod("mine", labels={"app": "web", "role": "bot"}, serviceAccountName="bot")
    rig.pod("neighbour", labels={"app": "web"})
    action, target = step(rig.provider(**as_bot(rig)), DENY)

    prior, _ = close(action, target)

    (made,) = policies(rig).values()
    assert made["spec"]["podSelector"] == {"matchLabels": {"app": "web", "role": "bot"}}
    assert [key for key in prior if key.startswith("pods/")] == []


def test_a_pod_that_no_label_tells_from_its_neighbour_gets_ours_and_loses_it_again(rig: Rig) -> None:
    """Label the pod itself; the neighbour with the same labels is not selected."""
    account(rig)
    rig.pod("mine", serviceAccountName="bot")
    rig.pod("neighbour")
    before = rig.get(PODS, "mine")
    action, target = step(rig.provider(**as_bot(rig)), DENY)

    prior, _ = close(action, target)

    (made,) = policies(rig).values()
    mark = rig.get(PODS, "mine")["metadata"]["labels"][MARK]
    assert made["spec"]["podSelector"] == {"matchLabels": {MARK: mark}}
    assert MARK not in rig.get(PODS, "neighbour")["metadata"]["labels"]
    assert {"restored"} == {*undo(action, target, prior).objects.values()}
    after = rig.get(PODS, "mine")["metadata"]
    assert after["labels"] == before["metadata"]["labels"]
    assert "breakglass" not in {one["manager"] for one in after["managedFields"]}


def test_a_copy_that_appears_between_two_rounds_is_marked_in_the_next(rig: Rig) -> None:
    """Judge a new pod of the account open until it has our label, too."""
    account(rig)
    rig.pod("mine", serviceAccountName="bot")
    rig.pod("neighbour")
    action, target = step(rig.provider(**as_bot(rig)), DENY)
    close(action, target)
    rig.pod("copy", serviceAccountName="bot")

    said = action.judge(target, action.observe(target))
    close(action, target)

    assert (said.verdict, "pods/" in said.reason) == (Verdict.NOT_CONTAINED, True)
    assert MARK in rig.get(PODS, "copy")["metadata"]["labels"]


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"egress": [{}]}},
        {"spec": {"podSelector": {"matchLabels": {"app": "nobody"}}}},
        {"spec": {"policyTypes": ["Ingress"]}},
        {"metadata": {"finalizers": ["bot.example.com/mine"]}},
        {
            "metadata": {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "5f4f7e0a-0000-4000-8000-0"}
                ]
            }
        },
    ],
)
def test_a_policy_that_the_agent_changes_is_put_right_in_the_next_round(
    rig: Rig, patch: dict[str, object]
) -> None:
    """Correct rules, selector, types, and what would let somebody else decide when it ends."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    close(action, target)
    (name,) = policies(rig)
    change(rig, name, patch)

    said = action.judge(target, action.observe(target)).verdict
    close(action, target)

    (made,) = policies(rig).values()
    assert said is Verdict.NOT_CONTAINED
    assert made["spec"] == {"podSelector": {"matchLabels": {"app": "bot"}}, "policyTypes": BOTH}
    assert not made["metadata"].get("finalizers")
    assert not made["metadata"].get("ownerReferences")


def test_a_policy_that_is_held_by_a_finalizer_while_it_is_deleted_is_made_anew(rig: Rig) -> None:
    """See one that is on its way out as not there, let it go, and have another."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    close(action, target)
    (name,) = policies(rig)
    change(rig, name, {"metadata": {"finalizers": ["bot.example.com/mine"]}})
    rig.plane.call("DELETE", NETWORK_POLICIES.path(rig.namespace, name))

    said = action.judge(target, action.observe(target))
    close(action, target)

    assert "is being deleted" in said.reason
    assert "deletionTimestamp" not in policies(rig)[name]["metadata"]


def test_what_stood_under_our_name_is_put_back_whole(rig: Rig) -> None:
    """Write over a squatter, guarded, and give spec, labels, annotations and owners back."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    name = f"breakglass-{target.params['mark']}-selector"
    squatter = allow(rig, name, {"matchLabels": {"app": "bot"}})

    prior, _ = close(action, target)
    reversal = undo(action, target, prior)

    assert {"restored"} == {*reversal.objects.values()}
    assert told(policies(rig)[name]) == told(squatter)


def test_a_policy_that_somebody_changed_after_the_stop_is_not_deleted(rig: Rig) -> None:
    """Leave it alone, and say so."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    prior, _ = close(action, target)
    (name,) = policies(rig)
    change(rig, name, {"spec": {"egress": [{}]}})

    reversal = undo(action, target, prior)

    assert ["drifted"] == [*reversal.objects.values()]
    assert name in policies(rig)


def test_a_namespace_that_is_being_deleted_is_open_until_it_is_gone(rig: Rig) -> None:
    """Say that the policy is not there while pods still run, and contained once there is no namespace."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    path = f"/api/v1/namespaces/{rig.namespace}"
    finalizers = {"metadata": {"finalizers": ["test.example.com/hold"]}}
    rig.plane.call("PATCH", path, finalizers, content_type="application/merge-patch+json")
    rig.plane.call("DELETE", path)

    state = action.observe(target)
    with pytest.raises(ProviderError, match="being deleted"):
        action.apply(target, state, "token")

    assert action.judge(target, state).verdict is Verdict.NOT_CONTAINED


def test_a_pod_on_its_nodes_network_is_named_and_closed_by_the_end_of_the_pods(rig: Rig) -> None:
    """Keep a door for it where it is known before the signatures."""
    rig.pod("host", hostNetwork=True)
    provider = rig.provider()

    doors = {one.door.name: one.closed_by for one in provider.discover().doors}

    assert doors[f"network of pods/{rig.namespace}/host"] == ("end_pods",)
    assert doors["connections of the agent's pods that are open already"] == ("end_pods",)


def test_a_pod_on_its_nodes_network_that_appears_later_keeps_the_step_unknown(rig: Rig) -> None:
    """Never call it contained where no door was signed for it."""
    rig.pod()
    action, target = step(rig.provider(), DENY)
    close(action, target)
    rig.pod("host", hostNetwork=True)

    said = action.judge(target, action.observe(target))

    assert said.verdict is Verdict.UNKNOWN
    assert "which no policy cuts" in said.reason


def test_the_executors_own_pod_is_not_cut_with_the_agents(rig: Rig) -> None:
    """Choose narrower labels where the inventory's rule would hold for the executor as well."""
    account(rig, "breakglass")
    rig.pod("mine", labels={"app": "bot", "role": "agent"})
    rig.pod("executor", labels={"app": "bot", "role": "executor"}, account="breakglass")
    action, target = step(rig.provider(namespace=rig.namespace, own_namespace=True), DENY)
    listed: list[Json] = [f"{rig.namespace}/breakglass"]
    target = replace(target, params={**target.params, "executors": listed})

    close(action, target)

    selectors = [one["spec"]["podSelector"] for one in policies(rig).values()]
    assert selectors == [{"matchLabels": {"app": "bot", "role": "agent"}}]
