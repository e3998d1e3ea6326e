"""Deployers that may put the agent back: pipelines, stacks and deployments that the inventory names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import cloudformation, codedeploy, codepipeline
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

TEMPLATE = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})
KEEP_QUEUE = json.dumps(
    {"Statement": [{"Effect": "Deny", "Action": "Update:Delete", "Principal": "*", "Resource": "*"}]},
    indent=2,
)


def trust(service: str) -> str:
    """Return the trust policy of a service's role."""
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def pipeline(rig: Rig, name: str = "support-bot") -> None:
    """Make one of three stages."""
    iam = rig.boto("iam")
    iam.create_role(RoleName="pipeline", AssumeRolePolicyDocument=trust("codepipeline"))
    kinds = {"Source": ("Source", "S3"), "Test": ("Test", "CodeBuild"), "Deploy": ("Deploy", "CodeDeploy")}
    stages = [
        {
            "name": stage,
            "actions": [
                {
                    "name": stage,
                    "actionTypeId": {"category": kind, "owner": "AWS", "provider": provider, "version": "1"},
                }
            ],
        }
        for stage, (kind, provider) in kinds.items()
    ]
    rig.boto("codepipeline").create_pipeline(
        pipeline={
            "name": name,
            "roleArn": "arn:aws:iam::123456789012:role/pipeline",
            "artifactStore": {"type": "S3", "location": "artifacts"},
            "stages": stages,
        }
    )


def enabled(rig: Rig, name: str = "support-bot") -> dict[str, bool]:
    """Return each stage's inbound transition."""
    state = rig.boto("codepipeline").get_pipeline_state(name=name)
    return {
        one["stageName"]: one["inboundTransitionState"]["enabled"]
        for one in state["stageStates"]
        if "inboundTransitionState" in one
    }


def disable(rig: Rig, stage: str, reason: str) -> None:
    """Disable a transition as somebody else."""
    rig.boto("codepipeline").disable_stage_transition(
        pipelineName="support-bot", stageName=stage, transitionType="Inbound", reason=reason
    )


def test_one_stage_is_closed_and_opened_again(rig: Rig) -> None:
    """The stage that the inventory names, and no other; the plan's door for it is closed."""
    pipeline(rig)
    provider = rig.provider(deployers=["codepipeline:support-bot/Deploy"])
    found = proposal(provider, codepipeline.SPEC.name)
    action = provider.actions[found.action]
    assert found.revokes == ("deployer:codepipeline/support-bot/Deploy",)
    before = rig.sandbox.control("state")["pipeline_transitions"]

    prior, _ = close(action, found.target)

    assert enabled(rig) == {"Test": True, "Deploy": False}
    assert undo(action, found.target, prior).objects == {"Deploy": Outcome.RESTORED}
    assert enabled(rig) == {"Test": True, "Deploy": True}
    assert rig.sandbox.control("state")["pipeline_transitions"] == before


def test_without_a_stage_every_transition_is_closed_and_those_closed_before_stay_so(rig: Rig) -> None:
    """What somebody disabled for a reason of their own is not enabled by the restore."""
    pipeline(rig)
    disable(rig, "Test", "waiting for QA")
    provider = rig.provider(deployers=["codepipeline:support-bot"])
    found = proposal(provider, codepipeline.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert enabled(rig) == {"Test": False, "Deploy": False}
    assert undo(action, found.target, prior).objects == {"Test": Outcome.ALREADY, "Deploy": Outcome.RESTORED}
    assert enabled(rig) == {"Test": False, "Deploy": True}


def test_a_transition_that_somebody_disabled_anew_stays_disabled(rig: Rig) -> None:
    """The reason tells whose it is."""
    pipeline(rig)
    provider = rig.provider(deployers=["codepipeline:support-bot/Deploy"])
    found = proposal(provider, codepipeline.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    disable(rig, "Deploy", "change freeze")

    assert undo(action, found.target, prior).objects == {"Deploy": Outcome.DRIFTED}
    assert not enabled(rig)["Deploy"]


def test_a_release_inside_of_the_stage_keeps_the_step_open(rig: Rig) -> None:
    """A closed door does not stop who is inside."""
    pipeline(rig)
    rig.sandbox.control("settings", {"pipeline_running": {"support-bot/Deploy": "exec-1"}})
    provider = rig.provider(deployers=["codepipeline:support-bot/Deploy"])
    found = proposal(provider, codepipeline.SPEC.name)
    action = provider.actions[found.action]

    action.apply(found.target, action.observe(found.target), "t")

    judged = action.judge(found.target, action.observe(found.target))
    assert (judged.verdict, judged.reason) == (Verdict.NOT_CONTAINED, "a release is still inside of Deploy")
    rig.sandbox.control("settings", {"pipeline_running": {}})
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.CONTAINED


def stack(rig: Rig, policy: str | None = None) -> str:
    """Make one, with this stack policy; return its id."""
    cfn = rig.boto("cloudformation")
    more: dict[str, Any] = {"StackPolicyBody": policy} if policy else {}
    made: str = cfn.create_stack(StackName="bot-stack", TemplateBody=TEMPLATE, **more)["StackId"]
    return made


def policy_of(rig: Rig, stack_id: str) -> str | None:
    """Return the policy's text."""
    text: str | None = rig.boto("cloudformation").get_stack_policy(StackName=stack_id).get("StackPolicyBody")
    return text or None


def test_a_stack_denies_updates_and_gets_its_own_policy_back_byte_for_byte(rig: Rig) -> None:
    """The text, not what it means."""
    stack_id = stack(rig)
    rig.boto("cloudformation").set_stack_policy(StackName=stack_id, StackPolicyBody=KEEP_QUEUE)
    provider = rig.provider(deployers=["cloudformation:bot-stack"])
    found = proposal(provider, cloudformation.SPEC.name)
    action = provider.actions[found.action]
    assert found.revokes == ()

    prior, _ = close(action, found.target)

    assert policy_of(rig, stack_id) == cloudformation.DENY
    assert undo(action, found.target, prior).objects == {stack_id: Outcome.RESTORED}
    assert policy_of(rig, stack_id) == KEEP_QUEUE


def test_an_update_may_override_the_policy_so_the_deployer_stays_an_open_door(rig: Rig) -> None:
    """StackPolicyDuringUpdateBody: nobody may read "contained" where a deployer needs one parameter more."""
    stack(rig)
    provider = rig.provider(deployers=["cloudformation:bot-stack"])

    (door,) = [one.door for one in provider.discover().doors if "bot-stack" in one.door.name]

    assert door.verdict is Verdict.UNKNOWN
    assert door.closed_by == ()
    assert "override" in door.reason


def test_where_there_was_no_policy_the_restore_says_that_one_stays(rig: Rig) -> None:
    """A stack policy cannot be removed; one that allows all is what comes nearest."""
    stack_id = stack(rig)
    provider = rig.provider(deployers=["cloudformation:bot-stack"])
    found = proposal(provider, cloudformation.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    reversal = undo(action, found.target, prior)

    assert policy_of(rig, stack_id) == cloudformation.ALLOW
    assert "allows all" in reversal.reason
    assert undo(action, found.target, prior).objects == {stack_id: Outcome.ALREADY}


def test_a_policy_that_somebody_changed_since_is_left_alone(rig: Rig) -> None:
    """Compare and set."""
    stack_id = stack(rig)
    provider = rig.provider(deployers=["cloudformation:bot-stack"])
    found = proposal(provider, cloudformation.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("cloudformation").set_stack_policy(StackName=stack_id, StackPolicyBody=KEEP_QUEUE)

    assert undo(action, found.target, prior).objects == {stack_id: Outcome.DRIFTED}
    assert policy_of(rig, stack_id) == KEEP_QUEUE


def test_a_stack_that_is_made_anew_is_frozen_too_and_is_not_the_old_one(rig: Rig) -> None:
    """A name is not an identity."""
    stack_id = stack(rig)
    provider = rig.provider(deployers=["cloudformation:bot-stack"])
    found = proposal(provider, cloudformation.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("cloudformation").delete_stack(StackName="bot-stack")
    anew = stack(rig)
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED

    more, _ = close(action, found.target)

    assert policy_of(rig, anew) == cloudformation.DENY
    outcomes = undo(action, found.target, {**more, **prior}).objects
    assert outcomes == {stack_id: Outcome.DRIFTED, anew: Outcome.RESTORED}


def deployment(rig: Rig) -> str:
    """Start one; return its id."""
    client = rig.boto("codedeploy")
    if "bot" not in client.list_applications()["applications"]:
        rig.boto("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=trust("codedeploy"))
        client.create_application(applicationName="bot", computePlatform="Server")
        client.create_deployment_group(
            applicationName="bot",
            deploymentGroupName="prod",
            serviceRoleArn="arn:aws:iam::123456789012:role/deploy",
        )
    location = {"bucket": "releases", "key": "bot.zip", "bundleType": "zip"}
    made: str = client.create_deployment(
        applicationName="bot",
        deploymentGroupName="prod",
        revision={"revisionType": "S3", "s3Location": location},
    )["deploymentId"]
    return made


def test_deployments_under_way_are_stopped_and_the_door_stays_named(rig: Rig) -> None:
    """Nothing keeps new ones out, so nothing is claimed to."""
    first, second = deployment(rig), deployment(rig)
    provider = rig.provider(deployers=["codedeploy:bot/prod"])
    found = proposal(provider, codedeploy.SPEC.name)
    action = provider.actions[found.action]
    assert found.revokes == ()
    assert "deployer codedeploy bot/prod" in {one.door.name for one in provider.discover().doors}

    prior, _ = close(action, found.target)

    client = rig.boto("codedeploy")
    for one in (first, second):
        assert client.get_deployment(deploymentId=one)["deploymentInfo"]["status"] == "Stopped"
    assert undo(action, found.target, prior).objects == {first: Outcome.ENDED, second: Outcome.ENDED}


def test_a_deployment_that_begins_during_the_stop_is_stopped_too(rig: Rig) -> None:
    """What the group holds is read every time."""
    deployment(rig)
    provider = rig.provider(deployers=["codedeploy:bot/prod"])
    found = proposal(provider, codedeploy.SPEC.name)
    action = provider.actions[found.action]
    close(action, found.target)
    deployment(rig)

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.NOT_CONTAINED
    close(action, found.target)


@pytest.mark.parametrize(
    "entry",
    [
        "codepipeline:no-such",
        "cloudformation:no-such",
        "codedeploy:no-such/prod",
        "codedeploy:no-group",
    ],
)
def test_a_deployer_that_is_not_there_is_said_to_be_so(rig: Rig, entry: str) -> None:
    """No step is made for it, and its door stays open."""
    found = rig.provider(deployers=[entry]).discover()

    assert [one.key for one in found.proposals if "no-" in one.key] == []
    assert f"deployer {entry}" in {one.resource for one in found.not_touched}


def test_a_stage_that_is_not_there_is_said_to_be_so(rig: Rig) -> None:
    """A typing error in an inventory must not look like a closed door."""
    pipeline(rig)

    found = rig.provider(deployers=["codepipeline:support-bot/Source"]).discover()

    assert "deployer codepipeline:support-bot/Source" in {one.resource for one in found.not_touched}
