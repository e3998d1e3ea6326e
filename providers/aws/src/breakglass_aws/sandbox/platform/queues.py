"""Queues in moto: found by ARN, and filled by services of AWS."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.platform.service_access import lets_in


def queue_of(account: str, arn: str) -> Any:  # noqa: ANN401 - moto's
    """Return moto's queue of an ARN; None where there is none."""
    from moto.sqs.models import sqs_backends

    parts = arn.split(":")
    if account not in sqs_backends or parts[3] not in sqs_backends[account]:
        return None
    return sqs_backends[account][parts[3]].queues.get(parts[-1])


def send(arn: str, body: str, service: str, source_arn: str, group: str | None = None) -> bool:
    """Put a message in as a service, if the queue's policy lets it; say whether it did."""
    from moto.sqs.models import sqs_backends

    parts = arn.split(":")
    queue = queue_of(parts[4], arn)
    if queue is None or not lets_in(policy_of(queue), service, "sqs:SendMessage", source_arn):
        return False
    sqs_backends[parts[4]][parts[3]].send_message(queue_name=parts[-1], message_body=body, group_id=group)
    return True


def policy_of(queue: Any) -> str | None:  # noqa: ANN401 - moto's
    """Return a queue's policy as text."""
    policy = queue.policy
    return str(policy) if policy else None
