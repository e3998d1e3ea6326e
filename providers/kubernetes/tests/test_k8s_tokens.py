"""Tokens of the agent's accounts die with them on a real API server; the accounts come back with others."""

from __future__ import annotations

import time

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_kubernetes import probe
from breakglass_kubernetes.actions import service_accounts, token_secrets
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import SECRETS, SERVICE_ACCOUNTS
from breakglass_kubernetes.signed_maps import mapped
from breakglass_kubernetes.whoami import SELF_REVIEWS
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

ACTION = service_accounts.SPEC.name
BOT = {
    "metadata": {"labels": {"team": "a"}, "annotations": {"note": "b"}},
    "imagePullSecrets": [{"name": "pull"}],
    "automountServiceAccountToken": False,
}


def test_a_token_works_for_ten_seconds_more_and_the_probe_says_so_until_it_does_not(rig: Rig) -> None:
    """Then it is refused to the agent itself; what comes back is equal but for uid and times."""
    before = rig.make(SERVICE_ACCOUNTS, "bot", BOT)
    rig.secrets.held["t"] = rig.token("bot").encode()
    pair = f"{rig.namespace}/bot"
    provider = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"})
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    assert Grade.REFUSED_AS_AGENT is step.best_grade
    good = probe.digest(rig.secrets.held["t"].decode())
    assert probe.judge_token(provider.cluster, pair, good).verdict is Verdict.NOT_CONTAINED

    prior, state = close(action, step.target)
    at_once = action.probe(step.target)
    end = time.monotonic() + 15
    while (said := action.probe(step.target)) is not None and said.verdict is not Verdict.CONTAINED:
        assert time.monotonic() < end, said
        time.sleep(0.5)

    assert {} == state.objects
    assert at_once is not None
    assert Verdict.NOT_CONTAINED is at_once.verdict
    assert said is not None
    assert Grade.REFUSED_AS_AGENT is said.grade

    outcomes = undo(action, step.target, prior).objects
    after = rig.get(SERVICE_ACCOUNTS, "bot")

    assert [Outcome.RESTORED] == list(outcomes.values())
    assert before["metadata"]["uid"] != after["metadata"]["uid"]
    for own in ("uid", "resourceVersion", "creationTimestamp"):
        before["metadata"].pop(own)
        after["metadata"].pop(own)
    assert before == after
    assert Verdict.CONTAINED is probe.judge_token(provider.cluster, pair, good).verdict
    assert [Outcome.DRIFTED] != list(undo(action, step.target, prior).objects.values())


def test_the_default_account_that_the_controller_makes_again_is_another_one(rig: Rig) -> None:
    """It is emptied, marked, and counts as closed; a mark that somebody else writes does not."""
    provider = rig.provider(namespace=rig.namespace, own_namespace=True)
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, state = close(action, step.target)
    now = rig.get(SERVICE_ACCOUNTS, "default")
    mark = now["metadata"]["annotations"][service_accounts.MARK]
    forged = {"metadata": {"annotations": {service_accounts.MARK: mark}}}
    rig.make(SERVICE_ACCOUNTS, "late", forged)
    said = action.judge(step.target, action.observe(step.target))
    close(action, step.target)

    assert now["metadata"]["uid"] != mapped(step.target.params["uids"])[f"{rig.namespace}/default"]
    assert now["automountServiceAccountToken"] is False
    assert [f"serviceaccounts/{rig.namespace}/default"] == list(state.objects)
    assert Verdict.NOT_CONTAINED is said.verdict

    undo(action, step.target, prior)
    back = rig.get(SERVICE_ACCOUNTS, "default")

    assert "annotations" not in back["metadata"]
    assert "automountServiceAccountToken" not in back
    assert "managedFields" not in back["metadata"]


def test_a_finalizer_of_the_agents_does_not_keep_its_account_alive(rig: Rig) -> None:
    """It is taken off, and comes back with the account."""
    rig.make(SERVICE_ACCOUNTS, "bot", {"metadata": {"finalizers": ["agent.example.com/stay"]}})
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, state = close(action, step.target)
    undo(action, step.target, prior)
    back = rig.get(SERVICE_ACCOUNTS, "bot")
    rig.plane.call(
        "PATCH",
        SERVICE_ACCOUNTS.path(rig.namespace, "bot"),
        {"metadata": {"finalizers": None}},
        content_type="application/merge-patch+json",
    )

    assert {} == state.objects
    assert ["agent.example.com/stay"] == back["metadata"]["finalizers"]
    assert Grade.READ_BACK is step.best_grade


def test_an_account_that_a_deployer_makes_again_is_deleted_once_more_and_then_left_empty(rig: Rig) -> None:
    """The agent could have made it between the signatures and the stop: its uid is not the signed one."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    rig.plane.call("DELETE", SERVICE_ACCOUNTS.path(rig.namespace, "bot"))
    rig.make(SERVICE_ACCOUNTS, "bot", {"metadata": {"labels": {"again": "1"}}})
    again = rig.token("bot")

    said = action.judge(step.target, action.observe(step.target))
    prior, state = close(action, step.target)

    assert Verdict.NOT_CONTAINED is said.verdict
    assert 1 == len(state.objects)
    until_refused(provider.cluster, again)
    undo(action, step.target, prior)
    assert {"again": "1"} == rig.get(SERVICE_ACCOUNTS, "bot")["metadata"]["labels"]


def test_a_garbage_token_is_nobody_although_the_executor_is_an_administrator(rig: Rig) -> None:
    """Nothing of the executor's answers in the agent's place."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    rig.secrets.held["t"] = b"garbage"
    pair = f"{rig.namespace}/bot"
    provider = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"})
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}

    answer = provider.cluster.as_token("garbage", "POST", SELF_REVIEWS, body=body)
    step = proposal(provider, ACTION)

    assert 401 == answer.status
    assert [] == step.target.params["held"]
    assert Grade.READ_BACK is step.best_grade
    assert Verdict.UNKNOWN is probe.judge_token(provider.cluster, pair, "").verdict


def test_token_secrets_go_and_come_back_with_a_new_token(rig: Rig) -> None:
    """The old token is nowhere in what was recorded."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    note = {"annotations": {token_secrets.ACCOUNT: "bot"}, "labels": {"a": "b"}}
    rig.make(SECRETS, "forever", {"metadata": note, "type": token_secrets.TYPE})
    old = until_token(rig, "forever")
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    accounts = proposal(provider, ACTION)
    step = proposal(provider, token_secrets.SPEC.name)
    action = provider.actions[token_secrets.SPEC.name]

    prior, _ = close(action, step.target)
    killed, _ = close(provider.actions[ACTION], accounts.target)
    early = undo(action, step.target, prior)
    undo(provider.actions[ACTION], accounts.target, killed)
    back = undo(action, step.target, prior)
    new = until_token(rig, "forever")

    assert old not in str(prior)
    assert [Outcome.DRIFTED] == list(early.objects.values())
    assert [Outcome.RESTORED] == list(back.objects.values())
    assert old != new
    made = rig.get(SECRETS, "forever")["metadata"]
    assert {"a": "b"} == made["labels"]
    assert "breakglass" not in str(made["managedFields"])


def until_refused(cluster: Cluster, token: str) -> None:
    """Wait until the server knows a token no more: it remembers for ten seconds whom it let in."""
    end = time.monotonic() + 45
    while (status := cluster.as_token(token, "GET", "/api").status) != 401:
        assert time.monotonic() < end, status
        time.sleep(0.5)


def until_token(rig: Rig, name: str) -> str:
    """Wait until the controller manager filled a token Secret; return the token."""
    for _ in range(600):
        if token := rig.get(SECRETS, name).get("data", {}).get("token"):
            return str(token)
        time.sleep(0.1)
    raise AssertionError(f"{name} is not filled")
