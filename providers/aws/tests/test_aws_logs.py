"""Log groups: protected from deletion, copied out without secrets, and honest about what was not read."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_aws.actions.log_groups import SPEC
from breakglass_aws.connect import AwsProvider
from breakglass_aws.redact import redactor as redactor_of
from breakglass_aws.sandbox.process import REGION
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

GROUP = "/acme/bot"


def group(rig: Rig, *messages: str, name: str = GROUP) -> None:
    """Make one with one stream of these messages, all of now."""
    logs = rig.boto("logs")
    logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName=name, logStreamName="s")
    now_ms = int(time.time() * 1000) - len(messages)
    events = [{"timestamp": now_ms + n, "message": text} for n, text in enumerate(messages)]
    if events:
        logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=events)


def protected(rig: Rig, name: str = GROUP) -> bool:
    """Return whether the service says so."""
    shown = rig.boto("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return bool(shown[0]["deletionProtectionEnabled"])


def lines(rig: Rig, state: State) -> list[dict[str, Any]]:
    """Return the collected events."""
    found: list[dict[str, Any]] = []
    for name, item in state.objects.items():
        if isinstance(item, dict) and name.endswith(".jsonl"):
            text = (rig.folder / "incident-0" / str(item["path"])).read_text()
            found += [json.loads(line) for line in text.splitlines()]
    return found


def collected(provider: AwsProvider) -> tuple[dict[str, Any], State]:
    """Carry the step out as the engine does."""
    found = proposal(provider, SPEC.name)
    prior, state = close(provider.actions[SPEC.name], found.target)
    return dict(prior), state


def test_a_group_is_copied_and_cannot_be_deleted_until_it_is_restored(rig: Rig) -> None:
    """The protection is lifted where the stop set it."""
    group(rig, "one", "two")
    before = rig.sandbox.control("state")["log_group_protection"]
    provider = rig.provider(log_groups=[GROUP])

    prior, state = collected(provider)

    assert [one["message"] for one in lines(rig, state)] == ["one", "two"]
    assert protected(rig)
    with pytest.raises(Exception, match="deletion protection"):
        rig.boto("logs").delete_log_group(logGroupName=GROUP)
    target = proposal(provider, SPEC.name).target
    assert undo(provider.actions[SPEC.name], target, prior).objects["protection"] is Outcome.RESTORED
    assert rig.sandbox.control("state")["log_group_protection"] == before


def test_a_protection_that_was_there_before_stays(rig: Rig) -> None:
    """It was somebody else's decision."""
    group(rig, "one")
    rig.boto("logs").put_log_group_deletion_protection(
        logGroupIdentifier=GROUP, deletionProtectionEnabled=True
    )
    provider = rig.provider(log_groups=[GROUP])

    prior, _ = collected(provider)

    target = proposal(provider, SPEC.name).target
    assert undo(provider.actions[SPEC.name], target, prior).objects["protection"] is Outcome.ALREADY
    assert protected(rig)


def test_an_agent_that_lifts_the_protection_is_not_contained(rig: Rig) -> None:
    """What is read back counts, not what was answered."""
    group(rig, "one")
    provider = rig.provider(log_groups=[GROUP])
    target = proposal(provider, SPEC.name).target
    action = provider.actions[SPEC.name]
    close(action, target)
    rig.boto("logs").put_log_group_deletion_protection(
        logGroupIdentifier=GROUP, deletionProtectionEnabled=False
    )

    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert protected(rig)


def test_no_secret_is_copied(rig: Rig) -> None:
    """By name, by shape, in a URL and in base64."""
    secrets = ["hunter2-hunter2", "ghp_abcdefghijklmnop1234", "s3cr3tpw", "Zm9vOnBhc3N3b3JkPWh1bnRlcjI0Mg=="]
    group(
        rig,
        f"password={secrets[0]}",
        f"pushed with {secrets[1]}",
        f"postgres://bot:{secrets[2]}@db/prod",
        f"payload {secrets[3]}",
    )

    _, state = collected(rig.provider(log_groups=[GROUP]))

    text = json.dumps(lines(rig, state))
    assert not [one for one in secrets if one in text]
    assert text.count("[REDACTED:") >= len(secrets)


def test_a_functions_own_group_is_found_by_its_name(rig: Rig) -> None:
    """Nobody needs to write it into the inventory; one that is not there is said to be so."""
    group(rig, "START RequestId", name="/aws/lambda/bot")

    found = rig.provider(functions=["bot", "silent"]).discover()

    keys = {one.key for one in found.proposals if one.action == SPEC.name}
    assert keys == {"collect_events:log-group//aws/lambda/bot"}
    assert "log group /aws/lambda/silent" in {one.resource for one in found.not_touched}


def test_a_group_whose_name_begins_like_another_is_another(rig: Rig) -> None:
    """A listing by prefix gives both."""
    group(rig, "of another", name=f"{GROUP}-2")

    found = rig.provider(log_groups=[GROUP]).discover()

    assert not [one for one in found.proposals if one.action == SPEC.name]


def test_pages_are_followed_to_the_end(rig: Rig) -> None:
    """A page has at most 10,000 events."""
    group(rig)
    logs, now_ms = rig.boto("logs"), int(time.time() * 1000)
    for part in range(3):
        events = [{"timestamp": now_ms - 100, "message": f"m{part}-{n}"} for n in range(4000)]
        logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)

    _, state = collected(rig.provider(log_groups=[GROUP]))

    assert len({one["message"] for one in lines(rig, state)}) == 12_000


def test_a_group_that_is_deleted_before_it_was_read_is_not_contained(rig: Rig) -> None:
    """Lost evidence is said, never counted as collected."""
    group(rig, "one")
    provider = rig.provider(log_groups=[GROUP])
    target = proposal(provider, SPEC.name).target
    action = provider.actions[SPEC.name]
    rig.boto("logs").delete_log_group(logGroupName=GROUP)

    with pytest.raises(Denied, match="is gone"):
        action.apply(target, action.observe(target), "t")

    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN


def test_what_cannot_be_read_in_time_is_unknown(rig: Rig) -> None:
    """A service that throttles every call gave no evidence."""
    group(rig, "one")
    provider = rig.provider(log_groups=[GROUP])
    target = proposal(provider, SPEC.name).target
    action = provider.actions[SPEC.name]
    fault = {"service": "logs", "operation": "FilterLogEvents", "answer": "throttle"}
    rig.sandbox.control("faults", {"faults": [fault]})

    with pytest.raises(Denied, match="its time was over"):
        action.apply(target, action.observe(target), "t")

    assert action.judge(target, action.observe(target)).verdict is Verdict.UNKNOWN
    assert protected(rig)


def test_evidence_lies_in_the_bucket_too(rig: Rig) -> None:
    """With its lock."""
    group(rig, "one")
    where = {"LocationConstraint": REGION}
    rig.boto("s3").create_bucket(
        Bucket="acme-evidence", ObjectLockEnabledForBucket=True, CreateBucketConfiguration=where
    )
    provider = rig.provider(log_groups=[GROUP], evidence_bucket="acme-evidence")

    _, state = collected(provider)

    items = [one for one in state.objects.values() if isinstance(one, dict) and "sha256" in one]
    assert len(items) == 2
    for item in items:
        assert isinstance(item["bucket"], dict)
        assert item["bucket"]["mode"] == "COMPLIANCE"
        local = Path(rig.folder / "incident-0" / str(item["path"])).read_bytes()
        key, version = item["bucket"]["key"], item["bucket"]["version_id"]
        there = rig.boto("s3").get_object(Bucket="acme-evidence", Key=key, VersionId=version)
        assert there["Body"].read() == local


def test_a_message_that_looks_like_a_tag_is_only_text(rig: Rig) -> None:
    """The agent writes the logs: nothing that it writes can break the record."""
    odd = '<script>alert(1)</script> \u2028 {"a": [REDACTED:x:y]} \x1b[2J'
    group(rig, odd)

    _, state = collected(rig.provider(log_groups=[GROUP]))

    assert "alert(1)" in lines(rig, state)[0]["message"]


def test_a_redactor_keeps_equal_secrets_equal() -> None:
    """Two places with the same secret can be told to be the same, and none can be guessed."""
    redactor = redactor_of(b"k" * 32)
    one, two = redactor.text("password=abcdef"), redactor.text("token: abcdef")

    assert one.split(":")[-1] == two.split(":")[-1]
    assert "abcdef" not in one + two
    assert redactor.counts == {"named": 2}


def test_no_variable_that_a_program_starts_with_is_kept() -> None:
    """CloudTrail tells whole task definitions and stages, and names say little of what is secret."""
    redactor = redactor_of(b"k" * 32)
    told = {
        "environment": {"variables": {"OPENAI": "hunter-1", "name": "hunter-2", "key": "hunter-3"}},
        "containerDefinitions": [
            {
                "environment": [{"name": "OPENAI", "value": "hunter-4"}],
                "command": ["--password", "hunter-5", "go"],
            }
        ],
        "parameters": [{"parameterKey": "DbPassword", "parameterValue": "hunter-6"}],
        "stageVariables": {"PIN": "hunter-7"},
    }

    kept = json.dumps(redactor.value(told))

    assert "hunter" not in kept
    assert all(name in kept for name in ("OPENAI", "DbPassword", "PIN", "--password", '"go"'))
