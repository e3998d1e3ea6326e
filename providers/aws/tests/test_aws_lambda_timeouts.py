"""A running invocation: waited out where its time can be relied on, a window where it cannot."""

from __future__ import annotations

import json
import time

from breakglass.model.action import Grade
from breakglass.provider import Proposal
from breakglass_aws.actions import lambda_concurrency, lambda_invocations
from providers.aws.tests.rig_aws import Rig, close, proposal

NAME = "worker"
ARN = f"arn:aws:lambda:eu-west-1:123456789012:function:{NAME}"


def agent(rig: Rig, *actions: str, timeout_s: int = 3) -> Proposal:
    """Make the agent, whose role may do these; return the proposal that is about running invocations."""
    iam = rig.boto("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"},
            }
        ],
    }
    role = iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": ["sqs:*", *actions], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName=NAME, PolicyName="work", PolicyDocument=document)
    rig.boto("lambda").create_function(
        FunctionName=NAME,
        Role=role,
        Runtime="python3.12",
        Handler="x.y",
        Code={"ZipFile": b"PK"},
        Timeout=timeout_s,
    )
    provider = rig.provider(functions=[NAME], roles=[NAME])
    return proposal(provider, lambda_invocations.SPEC.name)


def test_a_short_run_that_nobody_can_lengthen_is_waited_out(rig: Rig) -> None:
    """Then the step is proven: at least the longest timeout passes after the last look that differed."""
    found = agent(rig, timeout_s=3)

    assert (found.best_grade, found.window_s) == (Grade.READ_BACK, None)
    assert found.settle_s is not None
    limit_in_force_s = lambda_invocations.SPEC.settle_s * 0.01  # the tests' factor
    waits_s = found.target.params["wait_s"]
    assert isinstance(waits_s, int)
    assert waits_s >= 3
    assert found.settle_s >= waits_s + limit_in_force_s


def test_an_agent_that_may_change_its_function_can_hide_a_long_run(rig: Rig) -> None:
    """Raised, started, lowered again: the timeouts that are read say nothing."""
    found = agent(rig, "lambda:UpdateFunctionConfiguration")

    assert (found.best_grade, found.window_s) == (Grade.NONE, 900)


def test_an_agent_that_may_give_itself_rights_can_hide_a_long_run_too(rig: Rig) -> None:
    """What it may not do now it may have been able to do a minute ago."""
    found = agent(rig, "iam:PutRolePolicy")

    assert (found.best_grade, found.window_s) == (Grade.NONE, 900)


def test_a_function_that_is_deleted_after_planning_is_unknown(rig: Rig) -> None:
    """A run goes on when its function is deleted: it is no proof that none runs."""
    found = agent(rig)
    action = rig.opened[-1].actions[found.action]
    rig.boto("lambda").delete_function(FunctionName=NAME)

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict.value == "unknown"


def test_a_long_run_stays_open_with_its_window(rig: Rig) -> None:
    """Nobody waits fifteen minutes for a stop to return."""
    found = agent(rig, timeout_s=600)

    assert (found.best_grade, found.window_s) == (Grade.NONE, 900)


def test_a_function_that_is_changed_after_planning_is_unknown(rig: Rig) -> None:
    """The signed wait is about the timeouts that were read then."""
    found = agent(rig)
    action = rig.opened[-1].actions[found.action]
    close(rig.opened[-1].actions[lambda_concurrency.SPEC.name], found.target)
    assert action.judge(found.target, action.observe(found.target)).verdict.value == "contained"
    time.sleep(1.1)  # the service tells the time of a change in whole seconds
    rig.boto("lambda").update_function_configuration(FunctionName=NAME, Timeout=900)

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict.value == "unknown"
