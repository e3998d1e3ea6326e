"""What wakes functions and fills queues in the sandbox: rules, events and schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import (
    CHANNEL,
    code,
    count,
    deny,
    document,
    queue,
    refused,
    role,
    settle,
    until,
    worker,
)


def _rule_to_worker(rig: Rig, **rule: str) -> None:
    arn = worker(rig)
    events = rig.boto("events")
    made = events.put_rule(Name="wake", **rule)["RuleArn"]
    events.put_targets(Rule="wake", Targets=[{"Id": "1", "Arn": arn}])
    rig.boto("lambda").add_permission(
        FunctionName="worker",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=made,
    )


def _waiting(rig: Rig, url: str) -> int:
    """Return how many messages wait in a queue."""
    names = ["ApproximateNumberOfMessages"]
    held = rig.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(held["ApproximateNumberOfMessages"])


def _event(rig: Rig) -> None:
    entry = {"Source": "app", "DetailType": "job", "Detail": "{}"}
    answer = rig.boto("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0


def test_a_rule_delivers_to_a_function_and_a_disabled_one_nothing(rig: Rig) -> None:
    """What a disabled rule matches is lost."""
    _rule_to_worker(rig, EventPattern='{"source":["app"]}')
    _event(rig)
    until(lambda: count(rig, CHANNEL) == 1, "an event")

    rig.boto("events").disable_rule(Name="wake")
    before = count(rig, CHANNEL)
    _event(rig)
    settle(rig)

    assert count(rig, CHANNEL) == before


def test_a_rule_with_only_a_schedule_gets_no_events(rig: Rig) -> None:
    """Its minute is not over yet, so whatever runs is by the event."""
    _rule_to_worker(rig, ScheduleExpression="rate(1 minute)")
    rig.sandbox.control("platform", {"minute_s": 3600})

    _event(rig)
    settle(rig)

    assert count(rig, CHANNEL) == 0


def test_a_rule_fires_by_its_clock_until_it_is_disabled(rig: Rig) -> None:
    """A minute can be made short; another rule of the same minute tells that it passes."""
    rig.sandbox.control("platform", {"minute_s": 0.5})
    url, arn = queue(rig, "ticks")
    let_in = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    rig.boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(let_in)})
    events = rig.boto("events")
    events.put_rule(Name="tick", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="tick", Targets=[{"Id": "1", "Arn": arn}])
    _rule_to_worker(rig, ScheduleExpression="rate(1 minute)")
    until(lambda: count(rig, CHANNEL) >= 2, "two minutes")

    events.disable_rule(Name="wake")
    settle(rig)

    before, passed = count(rig, CHANNEL), _waiting(rig, url)
    until(lambda: _waiting(rig, url) > passed + 2, "three minutes")
    assert count(rig, CHANNEL) == before


def test_a_managed_rule_cannot_be_disabled(rig: Rig) -> None:
    """Its service owns it."""
    rig.boto("events").put_rule(Name="theirs", ScheduleExpression="rate(1 minute)")
    rig.sandbox.control("platform", {"managed_rule": {"name": "theirs", "by": "states.amazonaws.com"}})

    assert code(lambda: rig.boto("events").disable_rule(Name="theirs")) == "ManagedRuleException"


def _schedule(rig: Rig, expression: str, **more: object) -> dict[str, object]:
    arn = worker(rig)
    caller = role(rig, "waker", "scheduler.amazonaws.com", "lambda:InvokeFunction")
    given = {
        "Name": "wake",
        "ScheduleExpression": expression,
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": arn, "RoleArn": caller},
        **more,
    }
    rig.boto("scheduler").create_schedule(**given)
    return given


def test_a_schedule_fires_as_its_targets_role_until_that_role_is_denied(rig: Rig) -> None:
    """The invocation is a call of the role's."""
    rig.sandbox.control("platform", {"minute_s": 0.3})
    _schedule(rig, "rate(1 minute)")
    until(lambda: count(rig, CHANNEL) >= 2, "two minutes")

    deny(rig, "waker")
    until(lambda: refused(rig, "Invoke", "waker"), "it is refused")
    settle(rig)

    before, known = count(rig, CHANNEL), refused(rig, "Invoke", "waker")
    until(lambda: refused(rig, "Invoke", "waker") > known + 1, "it goes on firing")
    assert count(rig, CHANNEL) == before


def test_updating_a_schedule_resets_what_is_left_out(rig: Rig) -> None:
    """State alone cannot be changed: every field is to be sent again."""
    given = _schedule(rig, "rate(1 minute)", Description="kept?", ActionAfterCompletion="DELETE")
    scheduler = rig.boto("scheduler")

    scheduler.update_schedule(
        **{k: v for k, v in given.items() if k not in ("Description", "ActionAfterCompletion")}
    )
    found = scheduler.get_schedule(Name="wake")

    assert (found.get("Description"), found["State"], found["ActionAfterCompletion"]) == (
        None,
        "ENABLED",
        "NONE",
    )


def test_a_one_time_schedule_that_passes_while_disabled_never_fires(rig: Rig) -> None:
    """Enabled again, it stays silent."""
    soon = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    given = _schedule(rig, f"at({soon:%Y-%m-%dT%H:%M:%S})", State="DISABLED")
    until(lambda: datetime.now(UTC) > soon, "it passes")

    rig.boto("scheduler").update_schedule(**{**given, "State": "ENABLED"})

    settle(rig)
    assert count(rig, CHANNEL) == 0


def test_a_queue_takes_events_only_if_its_policy_lets_the_service_in(rig: Rig) -> None:
    """A Deny on the queue keeps EventBridge out."""
    url, arn = queue(rig, "jobs")
    events, sqs = rig.boto("events"), rig.boto("sqs")
    events.put_rule(Name="feed", EventPattern='{"source":["app"]}')
    events.put_targets(Rule="feed", Targets=[{"Id": "1", "Arn": arn}])
    service = {"Service": "events.amazonaws.com"}
    let_in = {"Effect": "Allow", "Principal": service, "Action": "sqs:SendMessage", "Resource": arn}
    shut = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}

    _event(rig)
    settle(rig)
    assert _waiting(rig, url) == 0
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(let_in)})
    _event(rig)
    until(lambda: _waiting(rig, url) == 1, "an event in the queue")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(let_in, shut)})
    _event(rig)
    settle(rig)

    assert _waiting(rig, url) == 1
