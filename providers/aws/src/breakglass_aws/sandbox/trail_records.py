"""Writes one recorded call as CloudTrail would: who, from where, what was asked and what was answered."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.record import Recorded, plain

HOME = "us-east-1"
"""Where the global services of the partition log (CloudTrail User Guide, "Global service events")."""
_GLOBAL = frozenset({"iam", "organizations", "cloudfront", "route53"})
_READS = ("Get", "List", "Describe", "Lookup", "Head", "BatchGet", "Simulate", "Filter", "AssumeRole")
_OMITTED = frozenset({"secretaccesskey", "plaintext", "secretstring", "privatekey"})
"""CloudTrail leaves these out of `responseElements`."""
_LAMBDA: Mapping[str, str] = {
    "AddPermission": "AddPermission20150331v2",
    "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
    "CreateFunction": "CreateFunction20150331",
    "DeleteFunction": "DeleteFunction20150331",
    "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
    "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
}
"""Lambda Developer Guide, "Logging Lambda API calls using CloudTrail": names with the API's version."""
DATA_EVENTS: Mapping[str, tuple[str, ...]] = {
    "lambda": ("Invoke", "InvokeAsync", "InvokeWithResponseStream"),
    "sqs": (
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
        "ChangeMessageVisibility", "ChangeMessageVisibilityBatch",
    ),
    "sns": ("Publish", "PublishBatch"),
    "events": ("PutEvents",),
    "kinesis": ("PutRecord", "PutRecords", "GetRecords", "GetShardIterator", "SubscribeToShard"),
    "dynamodb": ("PutItem", "GetItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchWriteItem"),
    "logs": ("PutLogEvents", "FilterLogEvents", "GetLogEvents"),
}  # fmt: skip


def elsewhere(service: str) -> bool:
    """Return whether the calls of a service are in the home region's history alone."""
    return service in _GLOBAL


def event_source(service: str) -> str:
    """Return ``eventSource``; Step Functions logs as states."""
    return f"{'states' if service == 'stepfunctions' else service}.amazonaws.com"


def event_name(service: str, operation: str) -> str:
    """Return ``eventName``: the operation, but for some of Lambda's."""
    return _LAMBDA.get(operation, operation) if service == "lambda" else operation


def username(recorded: Recorded) -> str:
    """Return what LookupEvents calls the user: a user's name, or a session's."""
    who = recorded.identity
    return "" if who is None else who.session_name or ("root" if who.kind == "root" else who.name)


def body(recorded: Recorded, at: datetime, identity: str) -> dict[str, Any]:
    """Return the record."""
    call = recorded.call
    found: dict[str, Any] = {
        "eventVersion": "1.11",
        "userIdentity": _who(recorded.identity, call.access_key),
        "eventTime": _time(at),
        "eventSource": event_source(call.service),
        "eventName": event_name(call.service, call.operation),
        "awsRegion": HOME if elsewhere(call.service) else call.region,
        "sourceIPAddress": call.source_ip,
        "requestParameters": _lower(plain(call.params)) or None,
        "responseElements": _answer(recorded),
        "eventID": identity,
        "readOnly": call.operation.startswith(_READS),
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": call.account,
        "eventCategory": "Management",
    }
    if recorded.code:
        found["errorCode"] = recorded.code
    return found


def _who(identity: Identity | None, access_key: str) -> dict[str, Any]:
    if identity is None:
        return {"type": "Unknown"}
    kinds = {"root": "Root", "user": "IAMUser", "role": "AssumedRole", "federated": "FederatedUser"}
    who: dict[str, Any] = {
        "type": kinds.get(identity.kind, "Unknown"),
        "principalId": identity.userid,
        "arn": identity.arn,
        "accountId": identity.account,
        "accessKeyId": access_key,
    }
    if identity.kind == "user":
        who["userName"] = identity.name
    if identity.issued_s is not None:
        issued = datetime.fromtimestamp(identity.issued_s, UTC)
        mfa = "true" if identity.mfa else "false"
        who["sessionContext"] = {"attributes": {"creationDate": _time(issued), "mfaAuthenticated": mfa}}
        if identity.kind in ("role", "federated"):
            who["sessionContext"]["sessionIssuer"] = {
                "type": "Role" if identity.kind == "role" else "IAMUser",
                "principalId": identity.issuer_id,
                "arn": identity.issuer,
                "accountId": identity.account,
                "userName": identity.name,
            }
    return who


def _answer(recorded: Recorded) -> Any:  # noqa: ANN401 - JSON
    """Return the answer of a write; None for reads, failures and what does not parse."""
    if recorded.code or not recorded.answer:
        return None
    from botocore.parsers import create_parser
    from moto.core.utils import get_service_model

    model = get_service_model(recorded.call.service)
    shape = model.operation_model(recorded.call.operation).output_shape
    if shape is None:
        return None
    response = {"status_code": recorded.status, "headers": {}, "body": recorded.answer}
    parsed: Any = None
    with contextlib.suppress(Exception):  # an answer that no parser reads has no elements
        parsed = create_parser(model.metadata["protocol"]).parse(response, shape)
        parsed.pop("ResponseMetadata", None)
    return _lower(plain(parsed)) or None


def _lower(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return JSON with names as CloudTrail spells them: the first letter small; without secrets."""
    if isinstance(value, Mapping):
        return {
            name[:1].lower() + name[1:]: _lower(item)
            for name, item in value.items()
            if name.lower() not in _OMITTED
        }
    return [_lower(item) for item in value] if isinstance(value, list) else value


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
