"""AgentCore runtimes and gateways: nobody can invoke them, and their policies come back as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import agentcore_gateway, agentcore_runtime
from breakglass_aws.tiers import UNVERIFIED
from providers.aws.tests.rig_agentcore import invoke, make_runtime
from providers.aws.tests.rig_aws import Rig, close, proposal, undo


def _policies(rig: Rig) -> dict[str, str]:
    return dict(rig.sandbox.control("state")["agentcore_policies"])


def _allow(arn: str, sid: str = "Own") -> str:
    """Return a policy in a spelling that no program of ours would write."""
    return (
        f'{{ "Version":"2012-10-17",  "Statement": {{"Sid":"{sid}","Effect":"Allow","Principal":"*",'
        f'"Action":"bedrock-agentcore:InvokeAgentRuntime","Resource":"{arn}"}}}}'
    )


def test_a_runtime_and_all_its_endpoints_refuse_everybody_and_come_back(rig: Rig) -> None:
    """A policy that was absent is absent again; one that was there has the same bytes."""
    runtime = make_runtime(rig)
    control = rig.boto("bedrock-agentcore-control")
    control.create_agent_runtime_endpoint(agentRuntimeId=runtime.rpartition("/")[2], name="prod")
    control.put_resource_policy(resourceArn=runtime, policy=_allow(runtime))
    before = _policies(rig)
    provider = rig.provider(agent_runtimes=[runtime])
    found = proposal(provider, agentcore_runtime.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert UNVERIFIED in found.target.label
    assert set(state.objects) == {
        runtime,
        f"{runtime}/runtime-endpoint/DEFAULT",
        f"{runtime}/runtime-endpoint/prod",
    }
    with pytest.raises(ClientError, match="AccessDenied"):
        invoke(rig, runtime, keys=rig_caller(rig))
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert _policies(rig) == before
    invoke(rig, runtime, keys=rig_caller(rig))


def rig_caller(rig: Rig) -> dict[str, Any]:
    """Return keys of a user who may do everything."""
    iam = rig.boto("iam")
    if "caller" not in {one["UserName"] for one in iam.list_users()["Users"]}:
        iam.create_user(UserName="caller")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
        iam.put_user_policy(UserName="caller", PolicyName="all", PolicyDocument=document)
    made = iam.create_access_key(UserName="caller")["AccessKey"]
    return {"AccessKeyId": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]}


def test_an_endpoint_that_appears_during_the_stop_is_closed_too(rig: Rig) -> None:
    """The container is the runtime with all that it has when the step runs."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime])
    found = proposal(provider, agentcore_runtime.SPEC.name)
    action = provider.actions[found.action]
    close(action, found.target)
    rig.boto("bedrock-agentcore-control").create_agent_runtime_endpoint(
        agentRuntimeId=runtime.rpartition("/")[2], name="back-door"
    )

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict is Verdict.NOT_CONTAINED
    assert "back-door" in judged.reason
    _, state = close(action, found.target)
    assert f"{runtime}/runtime-endpoint/back-door" in state.objects


def test_a_policy_that_others_changed_during_the_stop_is_left_alone(rig: Rig) -> None:
    """An undo must not open a door that somebody built behind the Deny."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime])
    found = proposal(provider, agentcore_runtime.SPEC.name)
    action = provider.actions[found.action]
    prior, state = close(action, found.target)
    document = json.loads(str(state.objects[runtime]))
    document["Statement"].append(json.loads(_allow(runtime, "Mine"))["Statement"])
    control = rig.boto("bedrock-agentcore-control")
    control.put_resource_policy(resourceArn=runtime, policy=json.dumps(document))

    outcome = undo(action, found.target, prior)

    assert outcome.objects[runtime] is Outcome.DRIFTED
    assert outcome.objects[f"{runtime}/runtime-endpoint/DEFAULT"] is Outcome.RESTORED


def test_a_deny_that_was_weakened_is_put_back_whole(rig: Rig) -> None:
    """A Deny with a condition that never holds is no Deny."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime])
    found = proposal(provider, agentcore_runtime.SPEC.name)
    action = provider.actions[found.action]
    _, state = close(action, found.target)
    document = json.loads(str(state.objects[runtime]))
    document["Statement"][0]["Condition"] = {"StringEquals": {"aws:PrincipalAccount": ["000000000000"]}}
    rig.boto("bedrock-agentcore-control").put_resource_policy(
        resourceArn=runtime, policy=json.dumps(document)
    )

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    _, state = close(action, found.target)
    assert len(json.loads(str(state.objects[runtime]))["Statement"]) == 1


def test_a_gateway_refuses_everybody_and_third_parties_are_doors(rig: Rig) -> None:
    """What was handed out before stays valid there: nobody here can take it back."""
    control = rig.boto("bedrock-agentcore-control")
    gateway = control.create_gateway(
        name="tools",
        roleArn="arn:aws:iam::123456789012:role/gateway",
        protocolType="MCP",
        authorizerType="AWS_IAM",
    )["gatewayArn"]
    for n in range(11):
        control.create_api_key_credential_provider(name=f"key-{n}", apiKey="k")
    control.create_oauth2_credential_provider(
        name="git",
        credentialProviderVendor="GithubOauth2",
        oauth2ProviderConfigInput={"githubOauth2ProviderConfig": {"clientId": "c", "clientSecret": "s"}},
    )
    provider = rig.provider(agent_gateways=[gateway])
    found = proposal(provider, agentcore_gateway.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    doors = {one.door.name for one in provider.discover().doors}
    assert "tokens of git (GithubOauth2)" in doors
    assert {f"the API key of key-{n}" for n in range(11)} <= doors
    assert "bedrock-agentcore:InvokeGateway" in _policies(rig)[gateway]
    assert undo(action, found.target, prior).objects == {gateway: Outcome.RESTORED}
    assert _policies(rig) == {}


def test_a_runtime_or_gateway_that_is_not_there_is_not_touched(rig: Rig) -> None:
    """A name in the inventory that stands for nothing is said."""
    arn = "arn:aws:bedrock-agentcore:eu-west-1:123456789012:"
    provider = rig.provider(
        agent_runtimes=[f"{arn}runtime/gone-0123456789"], agent_gateways=[f"{arn}gateway/gone"]
    )

    discovery = provider.discover()

    assert {f"AgentCore runtime {arn}runtime/gone-0123456789", f"AgentCore gateway {arn}gateway/gone"} <= {
        one.resource for one in discovery.not_touched
    }


def test_a_runtime_that_is_deleted_is_contained_and_drifted_at_the_restore(rig: Rig) -> None:
    """Gone is contained; a restore makes nothing again."""
    runtime = make_runtime(rig)
    provider = rig.provider(agent_runtimes=[runtime])
    found = proposal(provider, agentcore_runtime.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("bedrock-agentcore-control").delete_agent_runtime(agentRuntimeId=runtime.rpartition("/")[2])

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.CONTAINED
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.DRIFTED}
