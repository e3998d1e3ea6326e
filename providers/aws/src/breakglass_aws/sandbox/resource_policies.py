"""Finds the policy that stands at a resource, in moto's own stores and where others register theirs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.evaluator import Policy, parse

REGISTERED: dict[str, str] = {}
"""ARN -> document, for services whose policies moto does not hold (AgentCore)."""
RESETS: tuple[Callable[[], None], ...] = (REGISTERED.clear,)
KMS_GRANTS = "grant"


def of(arn: str) -> tuple[Policy, ...]:
    """Return the policies at a resource; none where it has none or does not exist."""
    parts = arn.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - the parts of an ARN
        return ()
    found: list[Policy] = []
    if arn in REGISTERED:
        found.append(parse(REGISTERED[arn], f"resource:{arn}"))
    reader = READERS.get(parts[2])
    if reader is not None:
        found += [parse(document, f"resource:{arn}") for document in reader(arn, parts) if document]
    return tuple(found)


def _sqs(_: str, parts: list[str]) -> list[str]:
    from moto.sqs.models import sqs_backends

    queue = sqs_backends[parts[4]][parts[3]].queues.get(parts[5])
    return [queue.policy] if queue is not None and queue.policy else []


def _sns(arn: str, parts: list[str]) -> list[str]:
    from moto.sns.models import sns_backends

    topic = sns_backends[parts[4]][parts[3]].topics.get(":".join(arn.split(":")[:6]))
    return [topic.policy] if topic is not None else []


def _kms(arn: str, parts: list[str]) -> list[str]:
    from moto.kms.models import kms_backends

    key = kms_backends[parts[4]][parts[3]].keys.get(parts[5].removeprefix("key/"))
    if key is None:
        return []
    grants = [_grant(arn, one) for one in key.grants.values()]
    return [key.policy, *grants]


def _grant(arn: str, grant: Any) -> str:  # noqa: ANN401 - moto's own object
    """Say a grant as a statement (KMS Developer Guide "Grants": it allows, and never denies)."""
    statement: dict[str, Any] = {
        "Sid": f"{KMS_GRANTS}-{grant.id}",
        "Effect": "Allow",
        "Principal": {"AWS": grant.grantee_principal},
        "Action": [f"kms:{one}" for one in grant.operations],
        "Resource": arn,
    }
    equal = (grant.constraints or {}).get("EncryptionContextEquals")
    subset = (grant.constraints or {}).get("EncryptionContextSubset")
    if wanted := equal or subset:
        statement["Condition"] = {
            "StringEquals": {f"kms:EncryptionContext:{key}": value for key, value in wanted.items()}
        }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _secret(arn: str, parts: list[str]) -> list[str]:
    from moto.secretsmanager.models import secretsmanager_backends

    found = next(
        (one for one in secretsmanager_backends[parts[4]][parts[3]].secrets.values() if one.arn == arn), None
    )
    return [found.policy] if found is not None and found.policy else []


def _bucket(_: str, parts: list[str]) -> list[str]:
    policy = getattr(bucket(parts[5].partition("/")[0]), "policy", None)
    return [policy.decode() if isinstance(policy, bytes) else str(policy)] if policy else []


def bucket(name: str) -> Any:  # noqa: ANN401 - moto's own object
    """Return moto's bucket, whosever it is; None: there is none."""
    from moto.s3.models import s3_backends

    for account in list(s3_backends):
        if found := s3_backends[account]["aws"].buckets.get(name):
            return found
    return None


def _function(_: str, parts: list[str]) -> list[str]:
    from moto.awslambda.models import lambda_backends

    name = parts[5].removeprefix("function:").partition(":")[0]
    with contextlib.suppress(Exception):  # moto says "no function" and "no policy" by errors of many kinds
        function = lambda_backends[parts[4]][parts[3]].get_function(name)
        return [json.dumps({"Version": "2012-10-17", "Statement": function.policy.statements})]
    return []


def _stream(arn: str, parts: list[str]) -> list[str]:
    from moto.kinesis.models import kinesis_backends

    policy = kinesis_backends[parts[4]][parts[3]].resource_policies.get(arn)
    return [policy if isinstance(policy, str) else json.dumps(policy)] if policy else []


def _bus(_: str, parts: list[str]) -> list[str]:
    from moto.events.models import events_backends

    if not parts[5].startswith("event-bus/"):
        return []
    found = events_backends[parts[4]][parts[3]].event_buses.get(parts[5].removeprefix("event-bus/"))
    return [found.policy] if found is not None and found.policy else []


READERS: Mapping[str, Callable[[str, list[str]], list[str]]] = {
    "sqs": _sqs,
    "sns": _sns,
    "kms": _kms,
    "secretsmanager": _secret,
    "s3": _bucket,
    "lambda": _function,
    "kinesis": _stream,
    "events": _bus,
}
