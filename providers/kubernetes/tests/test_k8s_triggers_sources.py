"""Knative, Argo Events and aggregated APIs that drive the agent: taken away, and made again as they were.

By their resources on a real API server; no controller of Knative or Argo runs.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import api_services, argo_events, knative
from breakglass_kubernetes.cluster import APPLY
from breakglass_kubernetes.destinations import SERVICES, Destinations
from breakglass_kubernetes.kinds import API_SERVICES, CUSTOM_RESOURCES, Kind
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.planes_k8s import CUSTOM
from providers.kubernetes.tests.rig_k8s import AGENT, Rig, close, proposal, undo

PLANE = CUSTOM
TRIGGERS = Kind("eventing.knative.dev", "v1", "triggers", "Trigger")
PINGS = Kind("sources.knative.dev", "v1", "pingsources", "PingSource")
KNATIVE_SERVICES = Kind("serving.knative.dev", "v1", "services", "Service")
SENSORS = Kind("argoproj.io", "v1alpha1", "sensors", "Sensor")
EVENT_SOURCES = Kind("argoproj.io", "v1alpha1", "eventsources", "EventSource")


def service(rig: Rig, name: str, app: str) -> None:
    """Make a Service of pods."""
    rig.make(SERVICES, name, {"spec": {"selector": {"app": app}, "ports": [{"port": 80}]}})


def to(name: str) -> dict[str, Any]:
    """Return a Destination."""
    return {"ref": {"apiVersion": "v1", "kind": "Service", "name": name}}


def same(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Return whether two objects are equal but for uid, times and versions."""
    keys = ("labels", "annotations", "finalizers")
    return before["spec"] == now["spec"] and all(
        before["metadata"].get(key) == now["metadata"].get(key) for key in keys
    )


def test_triggers_and_sources_of_the_agent_go_and_come_back_with_their_owners(rig: Rig) -> None:
    """By the Service that they send to, by its address, and by the agent's label; a neighbour's stays."""
    rig.plane.install("knative")
    rig.deployment("bot")
    service(rig, "worker", "bot")
    service(rig, "web", "web")
    applied = {
        "apiVersion": "eventing.knative.dev/v1",
        "kind": "Trigger",
        "metadata": {"name": "orders", "annotations": {"example.com/a": "b"}},
        "spec": {"broker": "default", "subscriber": to("worker")},
    }
    path = TRIGGERS.path(rig.namespace, "orders")
    query = {"fieldManager": "deployer"}
    orders = rig.plane.call("PATCH", path, applied, content_type=APPLY, query=query)
    theirs = rig.make(TRIGGERS, "theirs", {"spec": {"broker": "default", "subscriber": to("web")}})
    sink = {"uri": f"http://worker.{rig.namespace}.svc.cluster.local/run"}
    elsewhere = rig.new_namespace(f"{rig.namespace}-x")
    ping = rig.make(PINGS, "tick", {"spec": {"schedule": "* * * * *", "sink": sink}}, namespace=elsewhere)
    label = {"breakglass.dev/agent": AGENT}
    own = rig.make(
        PINGS, "own", {"metadata": {"labels": label}, "spec": {"schedule": "* * * * *", "sink": to("web")}}
    )
    spec = {"template": {"spec": {"containers": [{"image": "example.invalid/bot:1"}]}}}
    rig.make(KNATIVE_SERVICES, "serve", {"metadata": {"labels": {"app": "bot"}}, "spec": spec})
    provider = rig.provider()
    found = provider.discover()
    assert any("cannot be switched off" in one.reason for one in found.not_touched)
    step, action = proposal(provider, knative.NAME), provider.actions[knative.NAME]
    prior, _ = close(action, step.target)

    assert {"orders", "tick", "own"} == {key.rpartition("/")[2] for key in prior}
    assert theirs == rig.get(TRIGGERS, "theirs")
    with pytest.raises(ApiError, match="not found"):
        rig.get(TRIGGERS, "orders")

    said = undo(action, step.target, prior)

    assert {Outcome.RESTORED} == set(said.objects.values())
    assert same(orders, rig.get(TRIGGERS, "orders"))
    assert same(ping, rig.get(PINGS, "tick", namespace=elsewhere))
    assert same(own, rig.get(PINGS, "own"))
    assert {"deployer"} == managers_of(rig.get(TRIGGERS, "orders"))
    again = rig.plane.call("PATCH", path, applied, content_type=APPLY, query=query)
    assert same(orders, again)


def test_what_somebody_made_again_is_theirs_and_what_is_stuck_in_deletion_is_open(rig: Rig) -> None:
    """A deployer that recreates is seen while stopped; its object is left alone at the restore."""
    rig.plane.install("knative")
    rig.deployment("bot")
    service(rig, "worker", "bot")
    body = {"spec": {"broker": "default", "subscriber": to("worker")}}
    rig.make(TRIGGERS, "orders", body)
    about = {"metadata": {"finalizers": ["example.com/slow"]}}
    rig.make(TRIGGERS, "stuck", {**body, **about})
    provider = rig.provider()
    step, action = proposal(provider, knative.NAME), provider.actions[knative.NAME]
    state = action.observe(step.target)
    action.apply(step.target, state, "")
    said = action.judge(step.target, action.observe(step.target))
    assert said.verdict is Verdict.NOT_CONTAINED
    assert "finalizer" in said.reason
    change = {"metadata": {"finalizers": None}}
    merge = "application/merge-patch+json"
    rig.plane.call("PATCH", TRIGGERS.path(rig.namespace, "stuck"), change, content_type=merge)
    close(action, step.target)
    rig.make(TRIGGERS, "orders", {"spec": {"broker": "other", "subscriber": to("worker")}})
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED

    outcomes = action.revert(step.target, state, state).objects

    assert Outcome.DRIFTED is outcomes[f"triggers.eventing.knative.dev/{rig.namespace}/orders"]
    assert Outcome.RESTORED is outcomes[f"triggers.eventing.knative.dev/{rig.namespace}/stuck"]
    assert "other" == rig.get(TRIGGERS, "orders")["spec"]["broker"]


def test_sensors_that_call_the_agent_or_run_as_it_are_taken_away(rig: Rig) -> None:
    """By the address of an HTTP trigger and by the account of the Sensor's own pods."""
    rig.plane.install("argo")
    rig.deployment("bot")
    service(rig, "worker", "bot")
    url = {"http": {"url": "http://worker/run", "method": "POST"}, "name": "call"}
    calls = rig.make(SENSORS, "calls", {"spec": {"dependencies": [], "triggers": [{"template": url}]}})
    source = {"template": {"serviceAccountName": "bot"}, "webhook": {}}
    runs = rig.make(EVENT_SOURCES, "runs", {"spec": source})
    away = {"http": {"url": "http://web.other/run"}, "name": "call"}
    theirs = rig.make(SENSORS, "theirs", {"spec": {"dependencies": [], "triggers": [{"template": away}]}})
    provider = rig.provider(
        namespace=rig.namespace, selector="app=bot", service_accounts=[f"{rig.namespace}/bot"]
    )
    step, action = proposal(provider, argo_events.NAME), provider.actions[argo_events.NAME]
    prior, _ = close(action, step.target)

    assert {"calls", "runs"} == {key.rpartition("/")[2] for key in prior}
    assert theirs == rig.get(SENSORS, "theirs")
    assert {Outcome.RESTORED} == set(undo(action, step.target, prior).objects.values())
    assert same(calls, rig.get(SENSORS, "calls"))
    assert same(runs, rig.get(EVENT_SOURCES, "runs"))


def test_an_aggregated_api_of_the_agent_is_not_passed_on_to_it_any_more(rig: Rig) -> None:
    """Found by its service; the server's own APIs stay; equal afterwards."""
    rig.deployment("bot")
    service(rig, "api", "bot")
    group = f"{rig.namespace}.example.com"
    name = f"v1.{group}"
    spec = {
        "group": group,
        "version": "v1",
        "service": {"namespace": rig.namespace, "name": "api"},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 1000,
        "versionPriority": 10,
    }
    made = rig.make(API_SERVICES, name, {"spec": spec})
    provider = rig.provider()
    step, action = proposal(provider, api_services.NAME), provider.actions[api_services.NAME]
    prior, _ = close(action, step.target)
    until = time.monotonic() + 5
    while status(rig, f"/apis/{group}/v1") != 404:
        assert time.monotonic() < until
        time.sleep(0.05)

    assert [f"apiservices.apiregistration.k8s.io/{name}"] == [*prior]
    assert [Outcome.RESTORED] == [*undo(action, step.target, prior).objects.values()]
    assert same(made, rig.get(API_SERVICES, name))
    rig.plane.call("DELETE", API_SERVICES.path("", name))


def status(rig: Rig, path: str) -> int:
    """Return the status that a call is refused with."""
    try:
        rig.plane.call("GET", path)
    except ApiError as error:
        return error.status
    return 200


def test_a_definition_that_vanishes_is_contained_and_has_drifted_at_the_restore(rig: Rig) -> None:
    """Its objects went with it; there is nothing to make them of."""
    rig.plane.install("knative")
    rig.deployment("bot")
    service(rig, "worker", "bot")
    rig.make(PINGS, "tick", {"spec": {"schedule": "* * * * *", "sink": to("worker")}})
    provider = rig.provider()
    step, action = proposal(provider, knative.NAME), provider.actions[knative.NAME]
    prior = action.observe(step.target).objects
    rig.plane.call("DELETE", CUSTOM_RESOURCES.path("", PINGS.name))
    until = time.monotonic() + 30
    while status(rig, PINGS.path(rig.namespace)) != 404 and time.monotonic() < until:
        time.sleep(0.1)
    action.apply(step.target, State(prior), "")
    now = action.observe(step.target)

    assert action.judge(step.target, now).verdict is Verdict.CONTAINED
    said = action.revert(step.target, State(prior), now)
    assert {Outcome.DRIFTED} == set(said.objects.values())


def test_addresses_and_references_are_the_agents_by_name_and_namespace() -> None:
    """A bare name means the same namespace; a name that only begins like it is another's."""
    named = Destinations(
        frozenset({"own"}), frozenset({"own", "bots"}), lambda: frozenset({("Service", "bots", "worker")})
    )

    assert named.address("http://worker.bots.svc.cluster.local:8080/x", "elsewhere")
    assert named.address("worker:80", "bots")
    assert not named.address("http://worker", "elsewhere")
    assert not named.address("http://worker2.bots", "bots")
    assert not named.address("http://[broken", "bots")
    assert named.ref({"kind": "Service", "namespace": "own", "name": "anything"}, "x")
    assert not named.ref({"kind": "Broker", "name": "worker"}, "bots")
