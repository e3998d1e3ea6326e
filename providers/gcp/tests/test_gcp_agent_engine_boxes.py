"""Sandbox environments of Agent Engine are paused; and who fights back against the steps of an engine."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions import agent_engine_boxes, agent_engine_callers, agent_engine_idle
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo
from providers.gcp.tests.test_gcp_agent_engine import CANCEL, ask, caller, engine, grant, name_of, worked

PAUSE = agent_engine_boxes.SPEC.name
BLOCK, IDLE = agent_engine_callers.SPEC.name, agent_engine_idle.SPEC.name


def box(rig: Rig, entry: str) -> str:
    """Make a sandbox environment; return its name."""
    path = f"v1/{name_of(rig, entry)}/sandboxEnvironments"
    made: dict[str, Any] = rig.admin.rest("aiplatform", "POST", path, body={}, location=LOCATION)
    return str(made["name"].partition("/operations/")[0])


def turn(rig: Rig, name: str, verb: str) -> None:
    """Pause or resume one, and wait for it."""
    rig.admin.rest("aiplatform", "POST", f"v1/{name}:{verb}", body={}, location=LOCATION)
    wanted = {"pause": "STATE_PAUSED", "resume": "STATE_RUNNING"}[verb]
    while rig.control("state")["aiplatform_work"][name] != wanted:
        rig.control("platform", {"ticks": 1})


def test_those_that_run_are_paused_and_run_again_and_those_paused_before_do_not(rig: Rig) -> None:
    """What is in them stays."""
    entry = engine(rig)
    names = [box(rig, entry) for _ in range(3)]
    turn(rig, names[2], "pause")
    before = rig.control("state")["aiplatform_work"]
    assert worked(rig, "box", f"x/{names[0].rpartition('/')[2]}")
    provider = rig.provider(agent_engines=[entry])
    target = proposal(provider, PAUSE).target

    prior, _ = close(provider.actions[PAUSE], target)

    assert not worked(rig, "box", f"x/{names[0].rpartition('/')[2]}")
    outcomes = undo(provider.actions[PAUSE], target, prior).objects
    assert [outcomes[name] for name in names] == [Outcome.RESTORED, Outcome.RESTORED, Outcome.ALREADY]
    assert rig.control("state")["aiplatform_work"] == before


def test_one_that_is_resumed_or_made_between_rounds_is_paused_too(rig: Rig) -> None:
    """The step is closed over whatever the engine has when it runs."""
    entry = engine(rig)
    name = box(rig, entry)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, PAUSE).target, provider.actions[PAUSE]
    close(action, target)
    turn(rig, name, "resume")
    box(rig, entry)

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    prior, _ = close(action, target)

    assert len(prior) == 2


def test_one_that_cannot_be_paused_stops_no_other(rig: Rig) -> None:
    """The step stays open, and says why."""
    entry = engine(rig)
    for _ in range(2):
        box(rig, entry)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, PAUSE).target, provider.actions[PAUSE]
    rig.control("faults", {"faults": [{"method": "*.pause", "code": "PERMISSION_DENIED", "times": 1}]})

    with pytest.raises(Denied):
        action.apply(target, action.observe(target), "t")

    states = sorted(rig.control("state")["aiplatform_work"].values())
    assert states == ["STATE_PAUSED", "STATE_RUNNING"]
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED


def test_a_caller_that_grants_himself_again_is_removed_again(rig: Rig) -> None:
    """He may set the policy until his own rights end."""
    entry = engine(rig)
    token = caller(rig, entry)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, BLOCK).target, provider.actions[BLOCK]
    close(action, target)
    grant(rig, entry, f"serviceAccount:{rig.email('caller')}")
    ask(rig, entry, "query", token=token)

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)

    with pytest.raises(Denied):
        ask(rig, entry, "query", token=token)


def test_a_policy_that_somebody_else_writes_is_read_again_and_at_last_told(rig: Rig) -> None:
    """Five times; then the engine comes again."""
    entry = engine(rig)
    caller(rig, entry)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, BLOCK).target, provider.actions[BLOCK]
    fault = {"method": "*reasoningEngines.setIamPolicy", "code": "ABORTED", "times": 8}
    rig.control("faults", {"faults": [fault]})

    with pytest.raises(ProviderError, match="somebody else"):
        action.apply(target, action.observe(target), "t")
    close(action, target)  # three more conflicts, then it is written


def test_a_change_that_never_ends_is_not_begun_twice_and_not_contained(rig: Rig) -> None:
    """What counts is what is read back."""
    entry = engine(rig)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, IDLE).target, provider.actions[IDLE]
    rig.control("faults", {"faults": [{"method": "*reasoningEngines.patch", "operation": "never"}]})
    action.apply(target, action.observe(target), "t")
    calls = len([one for one in rig.control("calls") if one["method"].endswith("reasoningEngines.patch")])

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    assert calls == 1


def test_an_engine_that_is_made_busy_again_is_set_idle_again(rig: Rig) -> None:
    """The agent may update its own engine until its rights end."""
    entry = engine(rig)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, IDLE).target, provider.actions[IDLE]
    close(action, target)
    body = {"spec": {"deploymentSpec": {"minInstances": 5}}}
    query = {"updateMask": "spec.deployment_spec.min_instances"}
    path = f"v1/{name_of(rig, entry)}"
    rig.admin.rest("aiplatform", "PATCH", path, query=query, body=body, location=LOCATION)
    while action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED:
        rig.control("platform", {"ticks": 1})

    close(action, target)

    assert rig.control("state")["aiplatform"][name_of(rig, entry)]["engine"]["spec"]["deploymentSpec"] == {
        "minInstances": 0
    }


def test_a_query_that_is_asked_between_rounds_is_cancelled_too(rig: Rig) -> None:
    """What is listed when the step runs counts, not what was listed when it was planned."""
    entry = engine(rig)
    provider = rig.provider(agent_engines=[entry])
    target, action = proposal(provider, CANCEL).target, provider.actions[CANCEL]
    close(action, target)
    ask(rig, entry, "asyncQuery")

    prior, _ = close(action, target)

    assert len(prior) == 1
    assert not worked(rig, "engine", entry)


def test_who_may_query_by_the_projects_policy_and_whom_it_acts_as_are_doors(rig: Rig) -> None:
    """Neither is closed by a step on the engine: that must not look closed."""
    stray = rig.account("stray", roles=["roles/aiplatform.user"])
    identity = rig.account("bot", roles=["roles/aiplatform.user"])
    shared, own = engine(rig), engine(rig, serviceAccount=identity)
    agent = engine(rig, identityType="AGENT_IDENTITY")
    entries: list[Json] = [shared, own, agent]

    found = rig.provider(agent_engines=entries).discover().doors
    known = rig.provider(agent_engines=entries, service_accounts=[identity]).discover().doors

    doors = {one.door.name: one.door for one in found}
    for entry in entries:
        assert stray in doors[f"callers of Agent Engine {entry}"].reason
        assert doors[f"callers of Agent Engine {entry}"].verdict is Verdict.UNKNOWN
    assert "all engines of" in doors[f"identity of Agent Engine {shared}"].reason
    assert identity in doors[f"identity of Agent Engine {own}"].reason
    assert f"identity of Agent Engine {agent}" not in doors
    names = {one.door.name for one in known}
    assert f"identity of Agent Engine {own}" not in names
    assert identity not in {one.door.name: one.door for one in known}[f"callers of Agent Engine {own}"].reason
