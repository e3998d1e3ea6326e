"""The condition keys of a request: who calls, and what for.

Source: IAM User Guide "AWS global condition context keys"; of services: Service Authorization Reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.tables.table import flat

Keys = Mapping[str, tuple[str, ...]]
DIRECT = {
    # (service) -> parameter -> key
    "iam": {"PolicyArn": "iam:PolicyARN", "PermissionsBoundary": "iam:PermissionsBoundary",
            "AWSServiceName": "iam:AWSServiceName",
            "ServiceName": "iam:ServiceSpecificCredentialServiceName"},
    "sts": {"RoleSessionName": "sts:RoleSessionName", "ExternalId": "sts:ExternalId",
            "SourceIdentity": "sts:SourceIdentity", "TransitiveTagKeys": "sts:TransitiveTagKeys"},
    "ecs": {"cluster": "ecs:cluster", "taskDefinition": "ecs:task-definition"},
    "s3": {"ObjectLockMode": "s3:object-lock-mode", "Prefix": "s3:prefix", "Delimiter": "s3:delimiter",
           "ObjectLockRetainUntilDate": "s3:object-lock-retain-until-date",
           "ObjectLockLegalHoldStatus": "s3:object-lock-legal-hold", "VersionId": "s3:VersionId",
           "ServerSideEncryption": "s3:x-amz-server-side-encryption", "IfNoneMatch": "s3:if-none-match",
           "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id", "ACL": "s3:x-amz-acl",
           "Retention.Mode": "s3:object-lock-mode",
           "Retention.RetainUntilDate": "s3:object-lock-retain-until-date"},
    "secretsmanager": {"SecretId": "secretsmanager:SecretId", "VersionStage": "secretsmanager:VersionStage"},
    "organizations": {"PolicyType": "organizations:PolicyType"},
    "lambda": {"Principal": "lambda:Principal", "FunctionUrlAuthType": "lambda:FunctionUrlAuthType"},
    "events": {"Targets.Arn": "events:TargetArn"},
    "sns": {"Protocol": "sns:Protocol", "Endpoint": "sns:Endpoint"},
}  # fmt: skip


def request_keys(call: Call, resource: str) -> Keys:
    """Return the keys of the request itself."""
    found: dict[str, tuple[str, ...]] = {}
    for path, key in DIRECT.get(call.service, {}).items():
        if values := flat(call.params, path.split(".")):
            found[key.lower()] = tuple(values)
    found |= _tags(call)
    if call.service == "lambda" and call.operation.endswith("EventSourceMapping"):
        found |= _mapping(call)
    for key, value in _resource_tags(call, resource).items():
        found[f"aws:resourcetag/{key.lower()}"] = (value,)
    return found


def caller_keys(identity: Identity, tags: Mapping[str, str], source_ip: str, now_s: float) -> Keys:
    """Return the keys of who calls, and when. A key that AWS would not send is not there."""
    moment = datetime.fromtimestamp(now_s, UTC)
    found = {
        "aws:currenttime": moment.isoformat().replace("+00:00", "Z"),
        "aws:epochtime": str(int(now_s)),
        "aws:sourceip": source_ip,
        "aws:principalarn": identity.issuer if identity.kind == "role" and identity.issuer else identity.arn,
        "aws:principalaccount": identity.account,
        "aws:userid": identity.userid,
        "aws:principaltype": {"root": "Account", "user": "User", "role": "AssumedRole"}.get(
            identity.kind, "FederatedUser"
        ),
        "aws:principalisawsservice": "false",
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
    }
    if identity.kind == "user":
        found["aws:username"] = identity.name
    if identity.issued_s is not None:
        issued = datetime.fromtimestamp(int(identity.issued_s), UTC)
        found["aws:tokenissuetime"] = issued.isoformat().replace("+00:00", "Z")
    if identity.mfa is not None:
        found["aws:multifactorauthpresent"] = "true" if identity.mfa else "false"
    if identity.source_identity:
        found["aws:sourceidentity"] = identity.source_identity
    if identity.federated_provider:
        found["aws:federatedprovider"] = identity.federated_provider
    found |= {f"aws:principaltag/{key.lower()}": value for key, value in tags.items()}
    return {key: (value,) for key, value in found.items()}


def _tags(call: Call) -> Keys:
    """``aws:RequestTag/KEY`` and ``aws:TagKeys`` of the tags that a call sets or takes away."""
    tags: dict[str, str] = {}
    for name in ("Tags", "tags", "TagList"):
        tags |= _as_tags(call.params.get(name))
    for one in call.params.get("TagSpecifications") or ():
        tags |= _as_tags(one.get("Tags"))
    keys = [*tags, *(str(one) for name in ("TagKeys", "tagKeys") for one in call.params.get(name) or ())]
    found = {f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()}
    return {**found, "aws:tagkeys": tuple(keys)} if keys else found


def _as_tags(value: Any) -> dict[str, str]:  # noqa: ANN401 - a list of pairs or a map, by the service
    if isinstance(value, Mapping):
        return {str(key): str(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        pairs = (one for one in value if isinstance(one, Mapping))
        return {
            str(one.get("Key", one.get("key", one.get("TagKey")))): str(
                one.get("Value", one.get("value", one.get("TagValue", "")))
            )
            for one in pairs
        }
    return {}


def _mapping(call: Call) -> Keys:
    """``lambda:FunctionArn`` of an event source mapping, which has no function among its resources."""
    from moto.awslambda.models import lambda_backends

    from breakglass_aws.sandbox.tables.functions import function_name

    if name := call.params.get("FunctionName"):
        return {"lambda:functionarn": (function_name(str(name), call),)}
    mappings = lambda_backends[call.account][call.region]._event_source_mappings  # noqa: SLF001 - moto gives no other way
    found = mappings.get(str(call.params.get("UUID")))
    return {"lambda:functionarn": (str(found.function_arn),)} if found is not None else {}


def _resource_tags(call: Call, resource: str) -> Mapping[str, str]:
    """Return the tags of a resource for ``aws:ResourceTag``, of services where moto's are at hand."""
    from breakglass_aws.sandbox import resource_tags

    return resource_tags.of(resource, call)
