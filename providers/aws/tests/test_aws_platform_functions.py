"""Functions of the sandbox: invoked, throttled, fed by queues, rules and schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import (
    behave,
    code,
    count,
    deny,
    document,
    function,
    queue,
    refused,
    role,
    settle,
    until,
)

CHANNEL = "function/worker"
POLL = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
LIST = "s3:ListAllMyBuckets"


def _worker(rig: Rig) -> str:
    arn = function(rig, "worker", role(rig, "worker", "lambda.amazonaws.com", LIST, *POLL))
    behave(rig, CHANNEL)
    return arn


def test_an_invoked_function_acts_with_a_session_of_its_role(rig: Rig) -> None:
    """The call is in the record under the role's session, and counts."""
    _worker(rig)

    rig.boto("lambda").invoke(FunctionName="worker")

    assert count(rig, CHANNEL) == 1
    calls = [one for one in rig.sandbox.control("calls") if one["operation"] == "ListBuckets"]
    assert [one["principal"] for one in calls] == ["arn:aws:sts::123456789012:assumed-role/worker/worker"]


def test_concurrency_0_refuses_invocations_and_shows(rig: Rig) -> None:
    """Callers get 429; GetFunction shows 0, and nothing when it is deleted."""
    _worker(rig)
    client = rig.boto("lambda")
    client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)

    assert code(lambda: client.invoke(FunctionName="worker")) == "TooManyRequestsException"
    assert client.get_function(FunctionName="worker")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    client.invoke(FunctionName="worker", InvocationType="Event")
    assert count(rig, CHANNEL) == 0

    client.delete_function_concurrency(FunctionName="worker")

    assert "Concurrency" not in client.get_function(FunctionName="worker")
    client.invoke(FunctionName="worker")
    assert count(rig, CHANNEL) == 1


def test_an_unknown_function_is_not_found(rig: Rig) -> None:
    """Not every name runs."""
    assert code(lambda: rig.boto("lambda").invoke(FunctionName="nobody")) == "ResourceNotFoundException"


def test_a_running_invocation_goes_on_after_concurrency_0_until_its_role_is_denied(rig: Rig) -> None:
    """Nothing ends a run; denied, it does no more harm."""
    _worker(rig)
    behave(rig, CHANNEL, lasts_s=60)
    client = rig.boto("lambda")
    client.invoke(FunctionName="worker", InvocationType="Event")
    until(lambda: count(rig, CHANNEL) > 0, "a run")
    client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    before = count(rig, CHANNEL)
    until(lambda: count(rig, CHANNEL) > before + 1, "the run goes on")

    deny(rig, "worker")
    until(lambda: refused(rig, "ListBuckets", "worker"), "the run is refused")

    before = count(rig, CHANNEL)
    known = refused(rig, "ListBuckets", "worker")
    until(lambda: refused(rig, "ListBuckets", "worker") > known + 1, "it goes on trying")
    assert count(rig, CHANNEL) == before


def test_a_queue_feeds_a_function_until_the_mapping_is_disabled_and_drains_after(rig: Rig) -> None:
    """Disabling is shown before Disabled; what came meanwhile is taken when it is enabled again."""
    _worker(rig)
    url, arn = queue(rig, "jobs")
    client, sqs = rig.boto("lambda"), rig.boto("sqs")
    mapping = client.create_event_source_mapping(FunctionName="worker", EventSourceArn=arn)["UUID"]
    sqs.send_message(QueueUrl=url, MessageBody="1")
    until(lambda: count(rig, CHANNEL) == 1, "the first message")

    said = client.update_event_source_mapping(UUID=mapping, Enabled=False)["State"]
    assert said == "Disabling"
    until(lambda: client.get_event_source_mapping(UUID=mapping)["State"] == "Disabled", "Disabled")
    sqs.send_message(QueueUrl=url, MessageBody="2")
    settle(rig)
    assert count(rig, CHANNEL) == 1

    assert client.update_event_source_mapping(UUID=mapping, Enabled=True)["State"] == "Enabling"
    until(lambda: count(rig, CHANNEL) == 2, "the backlog")


def test_a_mapping_of_an_alias_keeps_its_qualifier_and_is_listed_under_it(rig: Rig) -> None:
    """Mappings of aliases are not those of the function."""
    _worker(rig)
    client = rig.boto("lambda")
    version = client.publish_version(FunctionName="worker")["Version"]
    client.create_alias(FunctionName="worker", Name="live", FunctionVersion=version)
    _, arn = queue(rig, "jobs")

    made = client.create_event_source_mapping(FunctionName="worker:live", EventSourceArn=arn)

    assert made["FunctionArn"].endswith(":function:worker:live")
    assert client.list_event_source_mappings(FunctionName="worker")["EventSourceMappings"] == []
    assert len(client.list_event_source_mappings(FunctionName="worker:live")["EventSourceMappings"]) == 1
    rig.boto("sqs").send_message(QueueUrl=queue(rig, "jobs")[0], MessageBody="1")
    until(lambda: count(rig, CHANNEL) == 1, "a message through the alias")


def test_an_enabled_mapping_of_a_throttled_function_burns_messages_into_the_dead_letter_queue(
    rig: Rig,
) -> None:
    """Pollers before throttles: the other order loses the queue's messages."""
    _worker(rig)
    dead_url, dead = queue(rig, "dead")
    redrive = f'{{"deadLetterTargetArn":"{dead}","maxReceiveCount":2}}'
    url, arn = queue(rig, "jobs", VisibilityTimeout="0", RedrivePolicy=redrive)
    client, sqs = rig.boto("lambda"), rig.boto("sqs")
    client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    client.create_event_source_mapping(FunctionName="worker", EventSourceArn=arn)

    sqs.send_message(QueueUrl=url, MessageBody="1")

    until(lambda: sqs.receive_message(QueueUrl=dead_url, VisibilityTimeout=0).get("Messages"), "dead letter")
    assert count(rig, CHANNEL) == 0


def test_a_mapping_polls_with_the_functions_role(rig: Rig) -> None:
    """A denied role takes nothing from the queue."""
    _worker(rig)
    url, arn = queue(rig, "jobs")
    deny(rig, "worker")
    rig.boto("lambda").create_event_source_mapping(FunctionName="worker", EventSourceArn=arn)
    sqs = rig.boto("sqs")

    sqs.send_message(QueueUrl=url, MessageBody="1")
    until(lambda: refused(rig, "GetQueueAttributes", "worker") > 1, "its poller is refused")

    names = ["ApproximateReceiveCount"]
    found = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=names)["Messages"]
    assert [one["Attributes"] for one in found] == [{"ApproximateReceiveCount": "1"}]


def test_a_function_url_answers_429_at_concurrency_0(rig: Rig) -> None:
    """Open to all before, throttled then."""
    _worker(rig)
    client = rig.boto("lambda")
    client.create_function_url_config(FunctionName="worker", AuthType="NONE")
    client.add_permission(
        FunctionName="worker",
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )

    def get() -> int:
        asked = {"call_url": {"function": "worker"}}
        return int(rig.sandbox.control("platform", asked)["call_url"]["status"])

    assert get() == 200
    client.put_function_concurrency(FunctionName="worker", ReservedConcurrentExecutions=0)
    assert get() == 429
    assert count(rig, CHANNEL) == 1


def _rule_to_worker(rig: Rig, **rule: str) -> None:
    arn = _worker(rig)
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
    arn = _worker(rig)
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
