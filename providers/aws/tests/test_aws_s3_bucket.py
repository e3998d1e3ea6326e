"""A bucket's policy: one statement that denies the agent, and the policy's own text back."""

from __future__ import annotations

import json

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Action, Outcome, Proposal
from breakglass_aws.actions import s3_bucket
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

ROLE = "arn:aws:iam::123456789012:role/bot"
THEIRS = """{ "Version" : "2012-10-17",
  "Statement": { "Sid": "Theirs", "Effect": "Allow", "Principal": {"AWS": "123456789012"},
                 "Action": "s3:GetObject", "Resource": "arn:aws:s3:::exports/*" } }"""


def _bucket(rig: Rig, policy: str | None = None) -> None:
    s3 = rig.boto("s3")
    s3.create_bucket(Bucket="exports", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    if policy:
        s3.put_bucket_policy(Bucket="exports", Policy=policy)


def _policy(rig: Rig) -> str | None:
    s3 = rig.boto("s3")
    try:
        return str(s3.get_bucket_policy(Bucket="exports")["Policy"])
    except s3.exceptions.ClientError:
        return None


def _found(rig: Rig) -> tuple[Action, Proposal]:
    provider = rig.provider(buckets=["exports"], roles=["bot"])
    found = proposal(provider, s3_bucket.SPEC.name)
    return provider.actions[found.action], found


@pytest.mark.parametrize("policy", [None, THEIRS])
def test_the_agent_is_denied_and_the_policy_comes_back_as_it_was(rig: Rig, policy: str | None) -> None:
    """Byte for byte, and none where there was none; other statements are untouched meanwhile."""
    _bucket(rig, policy)
    before = _policy(rig)
    action, found = _found(rig)

    prior, _ = close(action, found.target)
    statements = json.loads(_policy(rig) or "")["Statement"]

    assert [one["Sid"] for one in statements] == [*(["Theirs"] if policy else []), "BreakglassDeny"]
    patterns = [ROLE, ROLE.replace("role/", "role/*/")]
    assert statements[-1]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": sorted(patterns)}}
    assert undo(action, found.target, prior).objects == {"policy": Outcome.RESTORED}
    assert before == _policy(rig)
    assert undo(action, found.target, prior).objects == {"policy": Outcome.ALREADY}


def test_a_statement_of_our_name_that_denies_nothing_is_not_contained(rig: Rig) -> None:
    """Somebody could have put it there, or changed ours."""
    _bucket(rig, THEIRS.replace("Theirs", "BreakglassDeny"))
    action, found = _found(rig)

    seen = action.judge(found.target, action.observe(found.target))
    prior, _ = close(action, found.target)
    undo(action, found.target, prior)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert json.loads(_policy(rig) or "") == json.loads(THEIRS.replace("Theirs", "BreakglassDeny"))


def test_statements_that_others_added_since_stay(rig: Rig) -> None:
    """Only ours is taken out."""
    _bucket(rig, THEIRS)
    action, found = _found(rig)
    prior, _ = close(action, found.target)
    document = json.loads(_policy(rig) or "")
    document["Statement"].append({**document["Statement"][0], "Sid": "New"})
    rig.boto("s3").put_bucket_policy(Bucket="exports", Policy=json.dumps(document))

    done = undo(action, found.target, prior)

    assert done.objects == {"policy": Outcome.RESTORED}
    assert [one["Sid"] for one in json.loads(_policy(rig) or "")["Statement"]] == ["Theirs", "New"]


def test_a_policy_at_its_limit_is_a_door(rig: Rig) -> None:
    """S3 allows 20 KB."""
    document = json.loads(THEIRS)
    document["Statement"]["Resource"] = [f"arn:aws:s3:::exports/{'x' * 180}{n}" for n in range(98)]
    _bucket(rig, json.dumps(document))
    found = rig.provider(buckets=["exports"], roles=["bot"]).discover()

    assert [one for one in found.proposals if one.action == s3_bucket.SPEC.name] == []
    assert "bucket exports" in [one.door.name for one in found.doors]


def test_a_bucket_that_is_not_there_or_has_no_agent_is_not_touched(rig: Rig) -> None:
    """Nobody is denied by guess."""
    _bucket(rig)
    found = rig.provider(buckets=["none"], roles=["bot"]).discover()
    nobody = rig.provider(buckets=["exports"]).discover()

    assert "bucket none" in [one.resource for one in found.not_touched]
    assert "bucket exports" in [one.resource for one in nobody.not_touched]
