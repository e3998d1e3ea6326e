"""Functions of the sandbox: invoked, throttled, fed by queues."""

from __future__ import annotations

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import (
    CHANNEL,
    behave,
    code,
    count,
    deny,
    queue,
    refused,
    settle,
    until,
    worker,
)


def test_an_invoked_function_acts_with_a_session_of_its_role(rig: Rig) -> None:
    """The call is in the record under the role's session, and counts."""
    worker(rig)

    rig.boto("lambda").invoke(FunctionName="worker")

    assert count(rig, CHANNEL) == 1
    calls = [one for one in rig.sandbox.control("calls") if one["operation"] == "ListBuckets"]
    assert [one["principal"] for one in calls] == ["arn:aws:sts::123456789012:assumed-role/worker/worker"]


def test_concurrency_0_refuses_invocations_and_shows(rig: Rig) -> None:
    """Callers get 429; GetFunction shows 0, and nothing when it is deleted."""
    worker(rig)
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
    worker(rig)
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
    worker(rig)
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
    worker(rig)
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
    worker(rig)
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
    worker(rig)
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
    worker(rig)
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
