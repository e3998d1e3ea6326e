"""Bedrock agents: a named alias rejects invocations and accepts them again; the draft is a door."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import bedrock_agents
from breakglass_aws.tiers import UNVERIFIED
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

ROUTING = [{"agentVersion": "3"}]


def _agent(rig: Rig) -> str:
    made = rig.boto("bedrock-agent").create_agent(
        agentName="support", agentResourceRoleArn="arn:aws:iam::123456789012:role/agent"
    )
    return str(made["agent"]["agentId"])


def _alias(rig: Rig, agent: str, name: str, **more: str) -> str:
    made = rig.boto("bedrock-agent").create_agent_alias(
        agentId=agent, agentAliasName=name, routingConfiguration=ROUTING, **more
    )
    return str(made["agentAlias"]["agentAliasId"])


def _invoke(rig: Rig, agent: str, alias: str) -> None:
    answer = rig.boto("bedrock-agent-runtime").invoke_agent(
        agentId=agent, agentAliasId=alias, sessionId="s-1", inputText="go on"
    )
    answer["completion"].close()


def test_an_alias_rejects_invocations_and_comes_back_with_name_description_and_routing(rig: Rig) -> None:
    """An update must resend them; the state before and after is the same."""
    agent = _agent(rig)
    alias = _alias(rig, agent, "live", description="the live one")
    _invoke(rig, agent, alias)
    before = rig.sandbox.control("state")["bedrock_aliases"]
    provider = rig.provider(bedrock_agents=[f"{agent}/{alias}"])
    found = proposal(provider, bedrock_agents.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    with pytest.raises(ClientError, match="rejects"):
        _invoke(rig, agent, alias)
    assert UNVERIFIED in found.target.label
    assert undo(action, found.target, prior).objects == {alias: Outcome.RESTORED}
    assert rig.sandbox.control("state")["bedrock_aliases"] == before
    _invoke(rig, agent, alias)


def test_an_alias_that_is_still_updating_is_not_contained(rig: Rig) -> None:
    """The answer to the update is no proof: it is read until it is PREPARED."""
    agent = _agent(rig)
    alias = _alias(rig, agent, "live")
    provider = rig.provider(bedrock_agents=[f"{agent}/{alias}"])
    found = proposal(provider, bedrock_agents.SPEC.name)
    action = provider.actions[found.action]
    action.apply(found.target, action.observe(found.target), "t")

    first = action.judge(found.target, action.observe(found.target))
    second = action.judge(found.target, action.observe(found.target))

    assert (first.verdict, second.verdict) == (Verdict.NOT_CONTAINED, Verdict.CONTAINED)


def test_an_alias_that_rejected_before_the_stop_is_not_revived(rig: Rig) -> None:
    """Restore never turns on what was off."""
    agent = _agent(rig)
    alias = _alias(rig, agent, "live")
    rig.boto("bedrock-agent").update_agent_alias(
        agentId=agent,
        agentAliasId=alias,
        agentAliasName="live",
        routingConfiguration=ROUTING,
        aliasInvocationState="REJECT_INVOCATIONS",
    )
    provider = rig.provider(bedrock_agents=[f"{agent}/{alias}"])
    found = proposal(provider, bedrock_agents.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    outcome = undo(action, found.target, prior)

    assert outcome.objects == {alias: Outcome.ALREADY}


def test_somebody_who_lets_the_alias_accept_again_is_answered(rig: Rig) -> None:
    """The container is read again in every round."""
    agent = _agent(rig)
    alias = _alias(rig, agent, "live")
    provider = rig.provider(bedrock_agents=[f"{agent}/{alias}"])
    found = proposal(provider, bedrock_agents.SPEC.name)
    action = provider.actions[found.action]
    close(action, found.target)
    rig.boto("bedrock-agent").update_agent_alias(
        agentId=agent,
        agentAliasId=alias,
        agentAliasName="live",
        routingConfiguration=ROUTING,
        aliasInvocationState="ACCEPT_INVOCATIONS",
    )

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    close(action, found.target)


def test_the_draft_and_aliases_that_nobody_named_are_doors_on_every_page(rig: Rig) -> None:
    """Thirteen aliases are two pages; one that is not there is not touched."""
    agent = _agent(rig)
    named = _alias(rig, agent, "live")
    others = {_alias(rig, agent, f"other-{n}") for n in range(12)}
    provider = rig.provider(
        bedrock_agents=[f"{agent}/{named}", f"{agent}/GONEGONEGO", "NOAGENTNOA/ALIASALIAS"]
    )

    discovery = provider.discover()

    doors = {one.door.name for one in discovery.doors}
    assert {f"alias {one} of Bedrock agent {agent}" for one in others} <= doors
    assert f"draft alias TSTALIASID of Bedrock agent {agent}" in doors
    left = {one.resource for one in discovery.not_touched}
    assert {f"alias GONEGONEGO of Bedrock agent {agent}", "Bedrock agent NOAGENTNOA"} <= left


def test_an_alias_that_is_deleted_in_between_is_contained_and_drifted_at_the_restore(rig: Rig) -> None:
    """Gone is contained; nobody makes it again."""
    agent = _agent(rig)
    alias = _alias(rig, agent, "live")
    provider = rig.provider(bedrock_agents=[f"{agent}/{alias}"])
    found = proposal(provider, bedrock_agents.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("bedrock-agent").delete_agent_alias(agentId=agent, agentAliasId=alias)

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.CONTAINED
    assert undo(action, found.target, prior).objects == {alias: Outcome.DRIFTED}
