"""The agent's admission webhooks resist the stop; they are disarmed first, and armed again last."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.provider import Outcome, Proposal
from breakglass_kubernetes.actions import webhooks
from breakglass_kubernetes.actions.webhook_entries import is_back, put_back
from breakglass_kubernetes.credential import Shown
from breakglass_kubernetes.held_fields import hold
from breakglass_kubernetes.kinds import DEPLOYMENTS, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS, Kind
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.own_name import own_name
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.sandbox.process import ApiError
from breakglass_kubernetes.whoami import SELF_REVIEWS, Me, whoami
from providers.kubernetes.tests.rig_k8s import SELECTOR, Rig, close, proposal, undo
from providers.kubernetes.tests.webhook_server import webhook

REPLICAS = ("spec", "replicas")


def arm(rig: Rig, kind: Kind, *entries: dict[str, Any]) -> dict[str, Any]:
    """Make a webhook configuration that is named like the test's namespace."""
    return rig.make(kind, rig.namespace, {"webhooks": list(entries)})


def wait_until_refused(rig: Rig) -> None:
    """Wait until the API server asks the webhook."""
    path, until = DEPLOYMENTS.path(rig.namespace, "bot"), time.monotonic() + 30
    while time.monotonic() < until:
        try:
            change = {"metadata": {"annotations": {"example.com/n": str(time.monotonic())}}}
            rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")
        except ApiError:
            return
        time.sleep(0.05)
    raise AssertionError("the webhook refuses nothing")


def settings(rig: Rig, *names: str) -> dict[str, Any]:
    """Return a reach that names webhook configurations."""
    return {"namespace": rig.namespace, "selector": SELECTOR, "webhooks": list(names)}


def test_a_webhook_that_refuses_every_change_is_disarmed_and_the_stop_wins(rig: Rig, tmp_path: Path) -> None:
    """The change is refused before, passes after, and the webhook is back and refuses at the restore."""
    with webhook(rig.plane, tmp_path) as hook:
        rig.deployment("bot")
        made = arm(rig, VALIDATING_WEBHOOKS, hook.entry("no.example.com", "/refuse", rig.namespace))
        wait_until_refused(rig)
        provider = rig.provider(**settings(rig, f"validating/{rig.namespace}"))
        cluster, bot = provider.cluster, Thing(DEPLOYMENTS, rig.get(DEPLOYMENTS, "bot"))
        with pytest.raises(Denied, match="the agent says no"):
            hold(cluster, DEPLOYMENTS, bot, {REPLICAS: 0})

        step, action = proposal(provider, webhooks.NAME), provider.actions[webhooks.NAME]
        prior, _ = close(action, step.target)
        stop_until_held(rig, cluster, bot)

        assert 0 == rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"]
        said = undo(action, step.target, prior)
        assert [Outcome.RESTORED] == [*said.objects.values()]
        now = rig.get(VALIDATING_WEBHOOKS, rig.namespace)
        assert made["webhooks"] == now["webhooks"]
        assert "breakglass" not in managers_of(now)
        assert managers_of(made) == managers_of(now)
        wait_until_refused(rig)
        assert [Outcome.ALREADY] == [*undo(action, step.target, prior).objects.values()]
        rig.plane.call("DELETE", VALIDATING_WEBHOOKS.path("", rig.namespace))


def stop_until_held(rig: Rig, cluster: Any, bot: Thing) -> None:  # noqa: ANN401 - the provider's cluster
    """Hold replicas at zero, again while a webhook that is not forgotten yet refuses or changes it."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if hold(cluster, DEPLOYMENTS, bot, {REPLICAS: 0})["spec"]["replicas"] == 0:
                return
        except Denied:
            time.sleep(0.05)
    raise AssertionError(f"{bot.key} of {rig.namespace} is not held")


def test_a_webhook_that_turns_replicas_back_to_three_is_disarmed(rig: Rig, tmp_path: Path) -> None:
    """Our own write answers 200 and holds three; after the disarming it holds zero, and stays there."""
    with webhook(rig.plane, tmp_path) as hook:
        rig.deployment("bot")
        arm(rig, MUTATING_WEBHOOKS, hook.entry("three.example.com", "/three", rig.namespace))
        provider = rig.provider(**settings(rig, f"mutating/{rig.namespace}"))
        cluster, bot = provider.cluster, Thing(DEPLOYMENTS, rig.get(DEPLOYMENTS, "bot"))
        until = time.monotonic() + 10
        while hold(cluster, DEPLOYMENTS, bot, {REPLICAS: 0})["spec"]["replicas"] != 3:
            assert time.monotonic() < until
            time.sleep(0.05)

        step, action = proposal(provider, webhooks.NAME), provider.actions[webhooks.NAME]
        close(action, step.target)
        stop_until_held(rig, cluster, bot)

        time.sleep(0.5)
        assert 0 == rig.get(DEPLOYMENTS, "bot")["spec"]["replicas"]
        rig.plane.call("DELETE", MUTATING_WEBHOOKS.path("", rig.namespace))


def test_only_entries_that_lead_to_the_agent_go_and_one_that_it_adds_again_goes_too(
    rig: Rig, tmp_path: Path
) -> None:
    """Found by the service behind an entry; a neighbour's entry of the same object is left where it is."""
    with webhook(rig.plane, tmp_path) as hook:
        rig.deployment("bot")
        ports = [{"port": 443}]
        rig.make(
            Kind("", "v1", "services", "Service"),
            "hook",
            {"spec": {"selector": {"app": "bot"}, "ports": ports}},
        )
        service = {"namespace": rig.namespace, "name": "hook"}
        # The namespace of the selector does not exist: nothing of the test's own is asked about.
        mine = hook.entry("a.example.com", "/refuse", "nowhere", clientConfig={"service": service})
        theirs = hook.entry("b.example.com", "/refuse", "nowhere")
        also = {**mine, "name": "c.example.com"}
        made = arm(rig, VALIDATING_WEBHOOKS, mine, theirs, also)
        provider = rig.provider()
        step, action = proposal(provider, webhooks.NAME), provider.actions[webhooks.NAME]
        prior, _ = close(action, step.target)
        path = VALIDATING_WEBHOOKS.path("", rig.namespace)
        now = rig.plane.call("GET", path)
        assert ["b.example.com"] == [one["name"] for one in now["webhooks"]]

        again = {**now, "webhooks": [*now["webhooks"], {**mine, "name": "again.example.com"}]}
        rig.plane.call("PUT", path, again)
        assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED
        close(action, step.target)
        assert [Outcome.RESTORED] == [*undo(action, step.target, prior).objects.values()]
        assert made["webhooks"] == rig.plane.call("GET", path)["webhooks"]
        rig.plane.call("DELETE", path)


def test_every_other_step_waits_for_the_webhooks(rig: Rig, tmp_path: Path) -> None:
    """A refusal would end another step for good, so none may be asked before; without one none waits."""
    with webhook(rig.plane, tmp_path) as hook:
        rig.deployment("bot")
        arm(rig, MUTATING_WEBHOOKS, hook.entry("three.example.com", "/three", "nowhere"))
        target = proposal(rig.provider(**settings(rig, f"mutating/{rig.namespace}")), webhooks.NAME).target
        rig.plane.call("DELETE", MUTATING_WEBHOOKS.path("", rig.namespace))
    disarm = Proposal(key=webhooks.KEY, action=webhooks.NAME, target=target)
    other = Proposal(key="other", action="kubernetes.apps.scale_to_zero", target=target)

    ordered = webhooks.first([other, disarm])
    assert [webhooks.KEY] == [one.key for one in ordered[0].after]
    assert () == ordered[1].after
    assert (other,) == webhooks.first([other])


def test_a_webhook_for_everything_in_the_cluster_cannot_keep_the_executor_out(
    rig: Rig, tmp_path: Path
) -> None:
    """It refuses even the review by which the server tells who we are; the certificate tells as well."""
    with webhook(rig.plane, tmp_path) as hook:
        rig.deployment("bot")
        entry = hook.entry("all.example.com", "/refuse", "nowhere", scope="*")
        # It spares the sandbox's own controllers and nodes, as the agent of a real cluster has to.
        controllers = (
            "request.userInfo.username.startsWith('system:') || request.userInfo.username == 'admin'"
        )
        entry["matchConditions"] = [{"name": "others", "expression": f"!({controllers})"}]
        arm(rig, VALIDATING_WEBHOOKS, entry)
        review, until = (
            {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
            time.monotonic() + 10,
        )
        while time.monotonic() < until:
            try:
                rig.plane.call("POST", SELF_REVIEWS, review, user="executor")
            except ApiError:
                break
        assert any("selfsubjectreviews" in one for one in hook.asked)
        provider = rig.provider(**settings(rig, f"validating/{rig.namespace}"))
        assert Me("executor", ("system:masters", "system:authenticated")) == whoami(provider.cluster)
        step, action = proposal(provider, webhooks.NAME), provider.actions[webhooks.NAME]
        prior, _ = close(action, step.target)
        assert 1 == len(prior)
        stop_until_held(rig, provider.cluster, Thing(DEPLOYMENTS, rig.get(DEPLOYMENTS, "bot")))
        rig.plane.call("DELETE", VALIDATING_WEBHOOKS.path("", rig.namespace))


def test_a_token_of_an_account_names_it_and_no_other_token_names_anybody() -> None:
    """What only the server's configuration could tell is not guessed."""
    claims = base64.urlsafe_b64encode(b'{"sub":"system:serviceaccount:ops:stop"}').decode().rstrip("=")

    assert "system:serviceaccount:ops:stop" == own_name(Shown(token=f"a.{claims}.c"))[0]
    assert ("", ()) == own_name(Shown("opaque"))
    assert ("", ()) == own_name(Shown("a.bm90IGpzb24.c"))
    assert ("", ()) == own_name(Shown())


def test_entries_come_back_at_their_places_unless_somebody_wrote_one_anew() -> None:
    """What others added or took out meanwhile stays so."""
    before = [{"name": name} for name in "abcd"]
    live = [{"name": "b"}, {"name": "x"}]

    assert [{"name": name} for name in "abcx"] == put_back(live, before, ["a", "c"])
    assert is_back(before, before, ["a", "c"])
    assert put_back([{"name": "a", "failurePolicy": "Ignore"}], before, ["a"]) is None
