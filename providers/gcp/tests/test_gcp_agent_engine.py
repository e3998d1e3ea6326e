"""Agent Engine: no stop exists, so each part is closed by itself, and what stays open is said."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions import agent_engine_callers, agent_engine_idle, agent_engine_queries
from breakglass_gcp.actions.agent_engine import SPECS
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

BLOCK, IDLE = agent_engine_callers.SPEC.name, agent_engine_idle.SPEC.name
CANCEL, OUTLAST = agent_engine_queries.CANCEL.name, agent_engine_queries.OUTLAST.name
USER = "roles/aiplatform.user"


def engine(rig: Rig, **spec: Any) -> str:  # noqa: ANN401 - JSON
    """Make an engine; return its entry in an inventory."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    body = {"displayName": str(spec.pop("name", "bot")), "spec": spec}
    path = f"v1/{parent}/reasoningEngines"
    begun = rig.admin.rest("aiplatform", "POST", path, body=body, location=LOCATION)
    made = begun["name"].partition("/operations/")[0]
    rig.control("platform", {"ticks": 2})
    while made not in str(rig.admin.rest("aiplatform", "GET", path, location=LOCATION)):
        rig.control("platform", {"ticks": 1})
    return f"{LOCATION}/{made.rpartition('/')[2]}"


def name_of(rig: Rig, entry: str) -> str:
    """Return the resource name of an entry."""
    return f"projects/{rig.project}/locations/{LOCATION}/reasoningEngines/{entry.partition('/')[2]}"


def ask(rig: Rig, entry: str, verb: str, body: Json = None, token: str = "") -> dict[str, Any]:
    """Call a method of an engine, as its owner or with a token."""
    calls = rig.calls_as(token) if token else rig.admin
    path = f"v1/{name_of(rig, entry)}:{verb}"
    return calls.rest("aiplatform", "POST", path, body=body or {}, location=LOCATION)


def grant(rig: Rig, entry: str, member: str, role: str = USER) -> None:
    """Let somebody query an engine by its own policy."""
    policy = ask(rig, entry, "getIamPolicy")
    policy.setdefault("bindings", []).append({"role": role, "members": [member]})
    ask(rig, entry, "setIamPolicy", {"policy": policy})


def caller(rig: Rig, entry: str) -> str:
    """Make an account that may query the engine, and nothing else; return a token of it."""
    email = rig.account("caller")
    grant(rig, entry, f"serviceAccount:{email}")
    return rig.token(email)


def worked(rig: Rig, channel: str, entry: str) -> bool:
    """Return whether something of an engine had an effect within three ticks from now."""
    seen = rig.control("effects", {})
    last = max([0, *(one["n"] for one in seen)])
    rig.control("platform", {"ticks": 3})
    name = f"{channel}:{entry.partition('/')[2]}"
    return any(one["channel"] == name for one in rig.control("effects", {"since": last}))


def test_callers_of_the_engine_are_refused_and_come_back_where_they_stood(rig: Rig) -> None:
    """Who may only look at it keeps that."""
    entry = engine(rig)
    token = caller(rig, entry)
    grant(rig, entry, "user:ann@example.com", "roles/aiplatform.admin")
    grant(rig, entry, "user:eve@example.com", "roles/logging.viewer")
    before = rig.control("state")["aiplatform"]
    ask(rig, entry, "query", token=token)
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, BLOCK).target

    prior, _ = close(provider.actions[BLOCK], target)

    with pytest.raises(Denied):
        ask(rig, entry, "query", token=token)
    left = rig.control("state")["aiplatform"][name_of(rig, entry)]["policy"]["bindings"]
    assert [one["role"] for one in left] == ["roles/logging.viewer"]
    assert set(undo(provider.actions[BLOCK], target, prior).objects.values()) == {Outcome.RESTORED}
    assert rig.control("state")["aiplatform"] == before
    ask(rig, entry, "query", token=token)


def test_a_caller_that_was_granted_after_the_plan_is_taken_and_does_not_come_back(rig: Rig) -> None:
    """Nobody signed that it does."""
    entry = engine(rig)
    grant(rig, entry, "user:ann@example.com")
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, BLOCK).target
    grant(rig, entry, "user:mallory@example.com")

    prior, state = close(provider.actions[BLOCK], target)

    assert state.objects == {}
    assert undo(provider.actions[BLOCK], target, prior).objects == {
        f"{USER} user:ann@example.com": Outcome.RESTORED,
        f"{USER} user:mallory@example.com": Outcome.ENDED,
    }


def test_a_custom_role_that_lets_query_counts(rig: Rig) -> None:
    """What counts is what the role holds, not its name."""
    entry = engine(rig)
    role = rig.role("asks", [agent_engine_callers.QUERY])
    grant(rig, entry, "user:ann@example.com", role)
    provider = rig.provider(agent_engines=[entry])

    prior, state = close(provider.actions[BLOCK], proposal(provider, BLOCK).target)

    assert [*prior] == [f"{role} user:ann@example.com"]
    assert state.objects == {}


def test_asynchronous_queries_are_cancelled_and_a_change_of_the_engine_is_not(rig: Rig) -> None:
    """They go on for as long as nobody cancels them."""
    entry = engine(rig)
    for _ in range(3):
        ask(rig, entry, "asyncQuery")
    assert worked(rig, "engine", entry)
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, CANCEL).target

    prior, state = close(provider.actions[CANCEL], target)

    assert len(prior) == 3
    assert state.objects == {}
    assert not worked(rig, "engine", entry)
    assert set(undo(provider.actions[CANCEL], target, prior).objects.values()) == {Outcome.ENDED}


def test_operations_that_cannot_be_listed_are_unknown_and_not_contained(rig: Rig) -> None:
    """A service that does not list them has not said that there are none."""
    entry = engine(rig)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, CANCEL).target, provider.actions[CANCEL]
    rig.control(
        "faults", {"faults": [{"method": "*reasoningEngines.operations.list", "code": "UNIMPLEMENTED"}]}
    )

    state = action.observe(target)

    assert not state.complete
    assert action.judge(target, state).verdict is Verdict.UNKNOWN


def test_a_query_that_is_being_answered_is_a_window_and_never_proof(rig: Rig) -> None:
    """No method shows or ends one, and it may live an hour."""
    entry = engine(rig)

    found = proposal(rig.provider(agent_engines=[entry], settle_factor="1"), OUTLAST)

    assert (found.best_grade, found.window_s) == (Grade.NONE, 3600)
    assert [wait.key for wait in found.after] == [f"block_callers:engine/{entry}"]


def test_where_its_time_is_short_a_query_is_waited_for_from_when_nobody_may_ask(rig: Rig) -> None:
    """In a drill the hour is as short as the settle times are."""
    provider = rig.provider(agent_engines=[engine(rig)])
    found, action = proposal(provider, OUTLAST), provider.actions[OUTLAST]

    judged = action.judge(found.target, action.observe(found.target))

    assert (found.best_grade, found.window_s, judged.verdict) == (Grade.READ_BACK, None, Verdict.CONTAINED)
    assert found.settle_s is not None
    assert found.settle_s > 4


@pytest.mark.parametrize("least", [None, 1, 3])
def test_no_instance_is_kept_warm_and_the_number_comes_back_as_it_was(rig: Rig, least: int | None) -> None:
    """Nothing set means 1; nothing else of the engine is written."""
    sizes = {"maxInstances": 5} if least is None else {"minInstances": least, "maxInstances": 5}
    entry = engine(rig, name="busy bot", deploymentSpec=sizes)
    before = rig.control("state")["aiplatform"]
    assert worked(rig, "background", entry)
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, IDLE).target

    prior, _ = close(provider.actions[IDLE], target)

    assert not worked(rig, "background", entry)
    assert undo(provider.actions[IDLE], target, prior).objects == {"engine": Outcome.RESTORED}
    assert rig.control("state")["aiplatform"] == before


def test_an_engine_that_was_idle_before_stays_idle(rig: Rig) -> None:
    """It is as it was."""
    entry = engine(rig, deploymentSpec={"minInstances": 0})
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, IDLE).target

    prior, _ = close(provider.actions[IDLE], target)

    assert undo(provider.actions[IDLE], target, prior).objects == {"engine": Outcome.ALREADY}


def test_a_number_that_somebody_set_since_is_left_alone(rig: Rig) -> None:
    """A restore undoes the stop, not others."""
    entry = engine(rig, deploymentSpec={"minInstances": 2})
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, IDLE).target
    prior, _ = close(provider.actions[IDLE], target)
    mask = {"updateMask": "spec.deploymentSpec.minInstances"}
    body = {"spec": {"deploymentSpec": {"minInstances": 7}}}
    path = f"v1/{name_of(rig, entry)}"
    rig.admin.rest("aiplatform", "PATCH", path, query=mask, body=body, location=LOCATION)
    while rig.control("state")["aiplatform"][name_of(rig, entry)]["engine"]["spec"]["deploymentSpec"] == {
        "minInstances": 0
    }:
        rig.control("platform", {"ticks": 1})

    assert undo(provider.actions[IDLE], target, prior).objects == {"engine": Outcome.DRIFTED}


def test_an_engine_that_is_gone_is_contained_and_drifted_at_restore(rig: Rig) -> None:
    """Its owner removed it."""
    entry = engine(rig)
    caller(rig, entry)
    provider = rig.provider(agent_engines=[entry])
    targets = {one.name: proposal(provider, one.name).target for one in SPECS}
    prior = {name: provider.actions[name].observe(target).objects for name, target in targets.items()}
    rig.admin.rest("aiplatform", "DELETE", f"v1/{name_of(rig, entry)}", location=LOCATION)

    for name, target in targets.items():
        _, state = close(provider.actions[name], target)
        assert provider.actions[name].judge(target, state).verdict is Verdict.CONTAINED
    assert undo(provider.actions[IDLE], targets[IDLE], prior[IDLE]).objects == {"engine": Outcome.DRIFTED}
    assert set(undo(provider.actions[BLOCK], targets[BLOCK], prior[BLOCK]).objects.values()) == {
        Outcome.DRIFTED
    }


def test_an_engine_that_is_not_there_is_said_and_one_of_a_dead_region_is_not_planned(rig: Rig) -> None:
    """A region that does not answer has not said that nothing is there."""
    found = rig.provider(agent_engines=[f"{LOCATION}/123"]).discover()
    assert any("there is none" in one.reason for one in found.not_touched)
    rig.control("faults", {"faults": [{"location": "us-central1", "code": "UNAVAILABLE"}]})

    found = rig.provider(agent_engines=["us-central1/123"]).discover()

    assert any("Agent Engine us-central1/123" in one for one in found.incomplete)
