"""CloudTrail: one scan tells what the agent did, without its secrets, and says what it did not reach."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass_aws.actions.cloudtrail_events import SPEC
from breakglass_aws.connect import AwsProvider
from breakglass_aws.sandbox.process import REGION
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

BUCKET = "acme-evidence"
ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Action": "sts:AssumeRole",
        }
    ],
}


def agent(rig: Rig, name: str = "bot") -> Mapping[str, Any]:
    """Make a user that may do everything, and return a key of it."""
    iam = rig.boto("iam")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(ALL))
    key: Mapping[str, Any] = iam.create_access_key(UserName=name)["AccessKey"]
    return key


def collect(provider: AwsProvider) -> State:
    """Carry the step out as the engine does."""
    found = proposal(provider, SPEC.name)
    return close(provider.actions[SPEC.name], found.target)[1]


def events(rig: Rig, state: State) -> list[dict[str, Any]]:
    """Return the collected records."""
    lines: list[str] = []
    for name, item in state.objects.items():
        if isinstance(item, dict) and name.endswith(".jsonl"):
            lines += (_folder(rig) / str(item["path"])).read_text().splitlines()
    return [json.loads(line) for line in lines]


def about(rig: Rig, state: State) -> dict[str, Any]:
    """Return what the collection says of itself."""
    items = [one for name, one in state.objects.items() if name.endswith("cloudtrail.json")]
    assert len(items) == 1
    assert isinstance(items[0], dict)
    found: dict[str, Any] = json.loads((_folder(rig) / str(items[0]["path"])).read_text())
    return found


def _folder(rig: Rig) -> Path:
    return rig.folder / "incident-0"


def test_what_the_agent_called_is_there_and_what_others_called_is_not(rig: Rig) -> None:
    """One scan; the calls of IAM come from the region where they are on record."""
    keys, other = agent(rig), agent(rig, "innocent")
    rig.boto("iam", keys).create_user(UserName="backdoor")
    rig.boto("sqs", keys).create_queue(QueueName="exfil")
    rig.boto("sqs", other).create_queue(QueueName="work")

    state = collect(rig.provider(users=["bot"]))

    names = {(one["eventName"], one["awsRegion"]) for one in events(rig, state)}
    assert ("CreateUser", "us-east-1") in names
    assert ("CreateQueue", REGION) in names
    assert not [one for one in events(rig, state) if one["userIdentity"].get("userName") == "innocent"]


def test_a_key_and_a_session_that_the_agent_made_are_followed(rig: Rig) -> None:
    """What it calls as somebody else that it made is still the agent's doing."""
    keys = agent(rig)
    iam = rig.boto("iam", keys)
    iam.create_user(UserName="backdoor")
    iam.put_user_policy(UserName="backdoor", PolicyName="all", PolicyDocument=json.dumps(ALL))
    minted = iam.create_access_key(UserName="backdoor")["AccessKey"]
    rig.boto("sqs", minted).create_queue(QueueName="by-backdoor")
    iam.create_role(RoleName="shared", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.put_role_policy(RoleName="shared", PolicyName="all", PolicyDocument=json.dumps(ALL))
    arn = "arn:aws:iam::123456789012:role/shared"
    session = rig.boto("sts", keys).assume_role(RoleArn=arn, RoleSessionName="seen")["Credentials"]
    rig.boto("sqs", session).create_queue(QueueName="by-session")

    state = collect(rig.provider(users=["bot"]))

    made = {
        one["requestParameters"]["queueName"]
        for one in events(rig, state)
        if one["eventName"] == "CreateQueue"
    }
    assert made == {"by-backdoor", "by-session"}


def test_no_secret_is_kept_and_every_key_id_is(rig: Rig) -> None:
    """A session token is taken out; an access key id is what an investigation looks for."""
    keys = agent(rig)
    session = rig.boto("sts", keys).get_session_token()["Credentials"]
    rig.boto("sqs", session).create_queue(
        QueueName="q", Attributes={"Policy": '{"password": "hunter2-hunter2"}'}
    )

    state = collect(rig.provider(users=["bot"]))

    text = json.dumps(events(rig, state))
    assert session["SessionToken"] not in text
    assert "hunter2-hunter2" not in text
    assert session["AccessKeyId"] in text
    assert keys["AccessKeyId"] in text
    assert about(rig, state)["redacted"]


def test_who_touched_the_agents_resources_is_there_too(rig: Rig) -> None:
    """Somebody else's call on a queue of the agent's belongs to the picture."""
    other = agent(rig, "innocent")
    rig.boto("sqs").create_queue(QueueName="orders")
    url = rig.boto("sqs").get_queue_url(QueueName="orders")["QueueUrl"]
    rig.boto("sqs", other).set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "5"})

    state = collect(rig.provider(queues=["orders"]))

    assert "SetQueueAttributes" in {one["eventName"] for one in events(rig, state)}


def test_more_events_than_a_page_are_all_read(rig: Rig) -> None:
    """A page has 50."""
    keys = agent(rig)
    sqs = rig.boto("sqs", keys)
    for n in range(70):
        sqs.create_queue(QueueName=f"q{n}")

    state = collect(rig.provider(users=["bot"]))

    assert sum(one["eventName"] == "CreateQueue" for one in events(rig, state)) == 70
    read = {one["region"]: one for one in about(rig, state)["read"]}
    assert read[REGION]["pages"] >= 2
    assert read[REGION]["complete"]


def test_evidence_lies_in_the_bucket_with_the_same_digest(rig: Rig) -> None:
    """The same bytes, locked, with the version that proves it."""
    agent(rig)
    where = {"LocationConstraint": REGION}
    s3 = rig.boto("s3")
    s3.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where)

    state = collect(rig.provider(users=["bot"], evidence_bucket=BUCKET, evidence_days="7"))

    items = [one for one in state.objects.values() if isinstance(one, dict) and "sha256" in one]
    assert items
    for item in items:
        there = item["bucket"]
        assert isinstance(there, dict)
        assert there["sha256"] == item["sha256"]
        assert there["key"] == f"inc-test/{item['path']}"
        kept = s3.get_object(Bucket=BUCKET, Key=there["key"], VersionId=there["version_id"])
        assert kept["Body"].read() == (_folder(rig) / str(item["path"])).read_bytes()
        assert kept["ObjectLockMode"] == "COMPLIANCE"


def test_a_bucket_without_lock_makes_plan_and_step_incomplete(rig: Rig) -> None:
    """What can be removed is no evidence: it lies here, and the step is not contained."""
    agent(rig)
    where = {"LocationConstraint": REGION}
    rig.boto("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    provider = rig.provider(users=["bot"], evidence_bucket=BUCKET)
    found = provider.discover()
    assert any("no Object Lock" in one for one in found.incomplete)
    target = proposal(provider, SPEC.name).target
    action = provider.actions[SPEC.name]

    with pytest.raises(Denied, match="left out"):
        action.apply(target, action.observe(target), "t")

    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN
    assert (_folder(rig) / "evidence").is_dir()


def test_a_trail_that_was_stopped_is_said_loudly(rig: Rig) -> None:
    """An agent that stops the record is not contained in silence."""
    agent(rig)
    trail(rig)
    rig.boto("cloudtrail").stop_logging(Name="org-trail")
    provider = rig.provider(users=["bot"])

    assert any("DOES NOT RECORD" in one for one in provider.discover().incomplete)
    target = proposal(provider, SPEC.name).target
    with pytest.raises(Denied, match="DOES NOT RECORD"):
        provider.actions[SPEC.name].apply(target, State({}), "t")


def test_a_trail_without_validation_is_noted(rig: Rig) -> None:
    """Its files could be exchanged and nobody would see it."""
    agent(rig)
    trail(rig)

    notes = {one.resource: one.reason for one in rig.provider(users=["bot"]).discover().not_touched}

    assert "validation" in notes["trail org-trail"]


def trail(rig: Rig) -> None:
    """Make a trail that records, without log file validation."""
    where = {"LocationConstraint": REGION}
    rig.boto("s3").create_bucket(Bucket="trail-bucket", CreateBucketConfiguration=where)
    cloudtrail = rig.boto("cloudtrail")
    cloudtrail.create_trail(Name="org-trail", S3BucketName="trail-bucket")
    cloudtrail.start_logging(Name="org-trail")


def test_what_is_not_delivered_yet_is_said_to_be_so(rig: Rig) -> None:
    """Events come minutes late: an empty answer is no proof of silence."""
    keys = agent(rig)
    rig.boto("sqs", keys).create_queue(QueueName="exfil")
    rig.sandbox.control("settings", {"trail_delay_s": 300})

    provider = rig.provider(users=["bot"])
    state = collect(provider)

    assert not [one for one in events(rig, state) if one["eventName"] == "CreateQueue"]
    reason = provider.actions[SPEC.name].judge(proposal(provider, SPEC.name).target, state).reason
    assert "not be delivered yet" in reason


def test_a_history_that_cannot_be_read_is_left_out_and_unknown(rig: Rig) -> None:
    """An error is no empty history."""
    agent(rig)
    provider = rig.provider(users=["bot"])
    target = proposal(provider, SPEC.name).target
    action = provider.actions[SPEC.name]
    fault = {"service": "cloudtrail", "operation": "LookupEvents", "answer": "throttle"}
    rig.sandbox.control("faults", {"faults": [fault]})

    began = time.monotonic()
    with pytest.raises(Denied, match="not answered in time"):
        action.apply(target, action.observe(target), "t")

    assert time.monotonic() - began < 15
    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN


def test_nothing_is_undone(rig: Rig) -> None:
    """Reading changed nothing."""
    agent(rig)
    provider = rig.provider(users=["bot"])
    found = proposal(provider, SPEC.name)
    prior: dict[str, Json] = close(provider.actions[SPEC.name], found.target)[0]

    assert undo(provider.actions[SPEC.name], found.target, prior).reason.startswith("nothing")
