"""Queues: closed for the agent's principals alone, with all their messages, and open again as they were."""

from __future__ import annotations

import json
from functools import partial

import pytest

from breakglass.provider import Outcome
from breakglass_aws.actions import sqs
from breakglass_aws.sandbox.process import ACCOUNT
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import allow, code, document, queue, role
from providers.aws.tests.rig_triggers import verdict

OWN = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Sid": "theirs",
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
        },
    },
    indent=1,
)


def attributes(rig: Rig, url: str) -> dict[str, str]:
    """Return all attributes of a queue but the moment of its last change."""
    read = rig.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {key: value for key, value in read.items() if key != "LastModifiedTimestamp"}


@pytest.mark.parametrize("name", ["work", "work.fifo"])
@pytest.mark.parametrize("policy", [OWN, None])
def test_a_queue_is_closed_for_the_agent_and_comes_back_byte_for_byte(
    rig: Rig, name: str, policy: str | None
) -> None:
    """Policy (or its absence) and retention; messages stay; others work on meanwhile."""
    more = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    url, _ = queue(rig, name, **more, **({"Policy": policy} if policy else {}))
    for one in ("bot-role", "other-role"):
        role(rig, one, "lambda.amazonaws.com")
        allow(rig, one, "sqs:*")
    agent, other = (
        rig.boto("sqs", rig.sandbox.control("mint", {"role": one, "session": "s"}))
        for one in ("bot-role", "other-role")
    )
    before = attributes(rig, url)
    provider = rig.provider(queues=[name], roles=["bot-role"])
    found = proposal(provider, sqs.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert attributes(rig, url)["MessageRetentionPeriod"] == sqs.LONGEST_RETENTION
    for call in (agent.receive_message, agent.purge_queue, agent.get_queue_attributes):
        assert "AccessDenied" in code(partial(call, QueueUrl=url))
    assert code(lambda: other.receive_message(QueueUrl=url)) == ""
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert attributes(rig, url) == before
    assert code(lambda: agent.receive_message(QueueUrl=url)) == ""


def test_what_others_changed_or_made_again_is_left_alone(rig: Rig) -> None:
    """A retention of somebody else's; a queue of the same name made later."""
    url, _ = queue(rig, "work")
    provider = rig.provider(queues=["work"], roles=["bot-role"])
    found = proposal(provider, sqs.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    rig.boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})

    assert verdict(action, found.target) == "not_contained"
    outcomes = undo(action, found.target, prior).objects
    assert outcomes == {"policy": Outcome.RESTORED, "retention": Outcome.DRIFTED}
    close(action, found.target)
    rig.boto("sqs").delete_queue(QueueUrl=url)
    assert verdict(action, found.target) == "contained"
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.DRIFTED}


def test_a_deny_that_somebody_takes_out_is_put_back(rig: Rig) -> None:
    """And an answer without effect is not believed."""
    url, _ = queue(rig, "work")
    provider = rig.provider(queues=["work"], roles=["bot-role"])
    found = proposal(provider, sqs.SPEC.name)
    action = provider.actions[found.action]
    close(action, found.target)
    rig.boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": ""})
    fault = {"service": "sqs", "operation": "SetQueueAttributes", "answer": "no-effect", "times": 1}
    rig.sandbox.control("faults", {"faults": [fault]})
    action.apply(found.target, action.observe(found.target), "token")

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)


def test_a_queue_that_anybody_may_use_stays_an_open_door(rig: Rig) -> None:
    """A request without credentials has no principal that a Deny could name; nor has a full policy room."""
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    queue(rig, "public", Policy=document(anybody))
    mine = [{**anybody, "Sid": f"s{n}", "Principal": {"AWS": ACCOUNT}} for n in range(20)]
    queue(rig, "full", Policy=document(*mine))

    said = rig.provider(queues=["public", "full", "ghost"], roles=["bot-role"]).discover()

    assert {"queue public", "queue full"} <= {one.door.name for one in said.doors}
    assert "queue ghost" in {one.resource for one in said.not_touched}
    assert [one.key for one in said.proposals if one.action == sqs.SPEC.name] == ["pause_queue:public"]


def test_without_a_principal_there_is_nothing_to_deny(rig: Rig) -> None:
    """It is said."""
    queue(rig, "work")

    assert "queue work" in {one.resource for one in rig.provider(queues=["work"]).discover().not_touched}
