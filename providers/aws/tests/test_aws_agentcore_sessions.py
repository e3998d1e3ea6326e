"""Sessions of AgentCore: known ones of a runtime, and every active one of a browser or interpreter."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import agentcore_sessions, agentcore_tools
from providers.aws.tests.rig_agentcore import invoke, make_runtime
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

BROWSER, INTERPRETER = agentcore_tools.SPECS


def test_known_sessions_are_stopped_on_every_endpoint_and_the_step_claims_no_proof(rig: Rig) -> None:
    """Nothing lists the sessions of a runtime: what may live on is said, with its longest life."""
    runtime = make_runtime(rig, lifecycleConfiguration={"idleRuntimeSessionTimeout": 120, "maxLifetime": 600})
    rig.boto("bedrock-agentcore-control").create_agent_runtime_endpoint(
        agentRuntimeId=runtime.rpartition("/")[2], name="prod"
    )
    first, second = invoke(rig, runtime), invoke(rig, runtime, qualifier="prod")
    provider = rig.provider(
        agent_runtimes=[runtime], runtime_sessions=[f"{runtime}#{first}", f"{runtime}#{second}"]
    )
    found = proposal(provider, agentcore_sessions.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert set(rig.sandbox.control("state")["agentcore_runs"].values()) == {"TERMINATED"}
    assert (found.best_grade, found.window_s) == (Grade.NONE, 600)
    judged = action.judge(found.target, state)
    assert judged.grade is Grade.NONE
    assert "600 s" in judged.reason
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ENDED}


def test_a_runtime_without_a_known_session_still_has_its_window(rig: Rig) -> None:
    """Nobody knows its sessions, so the step stays open for the default of eight hours."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime])

    found = proposal(provider, agentcore_sessions.SPEC.name)

    assert (found.best_grade, found.window_s) == (Grade.NONE, 28_800)
    assert [wait.key for wait in found.after] == [f"deny_runtime:{runtime}"]


@pytest.mark.parametrize("kind", ["browser", "code_interpreter"])
def test_every_active_session_of_a_tool_ends_on_all_pages(rig: Rig, kind: str) -> None:
    """Twelve sessions are two pages, which botocore does not follow by itself; an ended one is left alone."""
    data = rig.boto("bedrock-agentcore")
    parameter = "browserIdentifier" if kind == "browser" else "codeInterpreterIdentifier"
    start = getattr(data, f"start_{kind}_session")
    sessions = [start(**{parameter: "research-AbCdEf1234"})["sessionId"] for _ in range(13)]
    getattr(data, f"stop_{kind}_session")(**{parameter: "research-AbCdEf1234"}, sessionId=sessions[0])
    key = "agent_browsers" if kind == "browser" else "agent_code_interpreters"
    named: dict[str, Json] = {key: ["research-AbCdEf1234"]}
    provider = rig.provider(**named)
    found = proposal(provider, (BROWSER if kind == "browser" else INTERPRETER).name)
    action = provider.actions[found.action]
    seen = action.observe(found.target)

    prior, _ = close(action, found.target)

    assert set(seen.objects) == set(sessions[1:])
    assert set(rig.sandbox.control("state")["agentcore_tools"].values()) == {"TERMINATED"}
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ENDED}


def test_a_session_that_is_started_during_the_stop_ends_too(rig: Rig) -> None:
    """The listing is made again in every round."""
    data = rig.boto("bedrock-agentcore")
    data.start_browser_session(browserIdentifier="research-AbCdEf1234")
    provider = rig.provider(agent_browsers=["research-AbCdEf1234"])
    found = proposal(provider, BROWSER.name)
    action = provider.actions[found.action]
    close(action, found.target)
    data.start_browser_session(browserIdentifier="research-AbCdEf1234")

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    close(action, found.target)


def test_the_shared_browser_of_the_account_says_whom_it_hits(rig: Rig) -> None:
    """Its sessions do not tell whose they are; a browser that is not there is not touched."""
    rig.boto("bedrock-agentcore").start_browser_session(browserIdentifier="aws.browser.v1")
    provider = rig.provider(agent_browsers=["aws.browser.v1", "gone-0123456789"])

    discovery = provider.discover()

    step = next(one for one in discovery.proposals if one.action == BROWSER.name)
    assert "shared browser" in step.affects[0]
    assert "AgentCore browser gone-0123456789" in {one.resource for one in discovery.not_touched}


def test_a_run_that_never_asked_knows_nothing_of_the_sessions(rig: Rig) -> None:
    """No answer to a stop is neither contained nor open."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime], runtime_sessions=[f"{runtime}#{invoke(rig, runtime)}"])
    found = proposal(provider, agentcore_sessions.SPEC.name)
    action = provider.actions[found.action]

    judged = action.judge(found.target, action.observe(found.target))

    assert (judged.verdict, judged.grade) == (Verdict.UNKNOWN, Grade.NONE)
