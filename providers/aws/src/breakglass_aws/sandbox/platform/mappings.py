"""Polls queues for the event source mappings of functions."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.platform import functions, lambda_in_moto
from breakglass_aws.sandbox.platform.acting import ACTING
from breakglass_aws.sandbox.platform.calls import CALLER
from breakglass_aws.sandbox.platform.functions import RUNS
from breakglass_aws.sandbox.platform.queues import queue_of
from breakglass_aws.sandbox.platform.sessions import SESSIONS

BATCH = 10
POLLS = frozenset({"Enabled", "Disabling"})
"""A mapping that is being disabled may still take a batch: Disabling is not Disabled."""


def tick(_now: float) -> None:
    """Poll for every mapping of a queue that has something to give."""
    for account, region, backend in functions.existing():
        for mapping in list(backend._event_source_mappings.values()):  # noqa: SLF001 - moto has no list of all
            if lambda_in_moto.state(mapping) not in POLLS:
                continue
            queue = queue_of(account, mapping.event_source_arn)
            if queue is None or not any(message.visible for message in queue.messages):
                continue
            ACTING.submit(
                f"mapping {mapping.uuid}",
                lambda a=account, r=region, m=mapping, q=queue: _poll(a, r, m, q),  # type: ignore[misc]
            )


def _poll(account: str, region: str, mapping: Any, queue: Any) -> None:  # noqa: ANN401 - moto's
    """Receive with the function's role, run the function, delete what it has done.

    Lambda Developer Guide, "Using Lambda with Amazon SQS": the execution role must allow ReceiveMessage,
    DeleteMessage and GetQueueAttributes; what a throttled function does not take stays and was received.
    """
    name, qualifier = functions.split(mapping.function_arn)
    found = functions.find(account, region, name, qualifier)
    if found is None:
        return
    keys = SESSIONS.of(f"poller/{name}", str(found.role), f"poller-{name}")
    if keys is None:
        return
    address = {"QueueUrl": f"{CALLER.endpoint}/{account}/{queue.name}"}
    if CALLER.call(keys, "sqs", "GetQueueAttributes", address).code:
        return
    count = min(BATCH, int(mapping.batch_size or BATCH))
    answer = CALLER.call(keys, "sqs", "ReceiveMessage", {**address, "MaxNumberOfMessages": count})
    messages = answer.body.get("Messages") or []
    if not messages or functions.throttled(account, region, name):
        return
    RUNS.begin(found)
    for message in messages:
        handle = {**address, "ReceiptHandle": message["ReceiptHandle"]}
        CALLER.call(keys, "sqs", "DeleteMessage", handle)
