"""Adds to IAM what moto lacks: boundaries of users, service-specific credentials (long-term Bedrock keys)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Handler, Refusal
from breakglass_aws.sandbox.iam_entities import BOUNDARIES, backend

SERVICES = ("bedrock.amazonaws.com", "cassandra.amazonaws.com", "codecommit.amazonaws.com")
BEDROCK = SERVICES[0]
MAX_PER_SERVICE = 2
"""IAM and STS quotas: two service-specific credentials a user and service."""
NOT_FOUND, CONFLICT = 404, 409


@dataclass(frozen=True, slots=True)
class Credential:
    """A service-specific credential, without its secret."""

    id: str
    account: str
    user: str
    service: str
    name: str
    status: str
    created: datetime
    expires: datetime | None

    def described(self) -> dict[str, Any]:
        """Return it as ListServiceSpecificCredentials does."""
        named = "ServiceCredentialAlias" if self.service == BEDROCK else "ServiceUserName"
        found = {
            "UserName": self.user,
            "Status": self.status,
            "CreateDate": self.created,
            "ServiceSpecificCredentialId": self.id,
            "ServiceName": self.service,
            named: self.name,
        }
        return {**found, "ExpirationDate": self.expires} if self.expires is not None else found


CREDENTIALS: dict[str, Credential] = {}


def _user_of(call: Call) -> Any:  # noqa: ANN401 - moto's own object
    name = str(call.params.get("UserName") or call.caller.rpartition("/")[2])
    found = backend(call.account).users.get(name)
    if found is None:
        raise Refusal("NoSuchEntity", f"The user with name {name} cannot be found.", NOT_FOUND)
    return found


def put_boundary(call: Call) -> Mapping[str, Any]:
    """Answer PutUserPermissionsBoundary."""
    user = _user_of(call)
    BOUNDARIES[user.id] = _policy(call, str(call.params["PermissionsBoundary"]))
    return {}


def _policy(call: Call, arn: str) -> str:
    if arn not in backend(call.account).managed_policies:
        raise Refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", NOT_FOUND)
    return arn


def delete_boundary(call: Call) -> Mapping[str, Any]:
    """Answer DeleteUserPermissionsBoundary."""
    user = _user_of(call)
    if BOUNDARIES.pop(user.id, None) is None:
        raise Refusal("NoSuchEntity", f"User {user.name} has no permissions boundary.", NOT_FOUND)
    return {}


def get_user(call: Call) -> Mapping[str, Any]:
    """Answer GetUser, with the boundary; the account's root where root asks for nobody."""
    if "UserName" not in call.params and call.caller.endswith(":root"):
        root = {"Path": "/", "UserName": "root", "UserId": call.account, "Arn": call.caller}
        return {"User": {**root, "CreateDate": datetime(2020, 1, 1, tzinfo=UTC)}}
    return {"User": _described(_user_of(call))}


def create_user(call: Call) -> Mapping[str, Any]:
    """Answer CreateUser, with its boundary from the first moment."""
    name = str(call.params["UserName"])
    if name in backend(call.account).users:
        raise Refusal("EntityAlreadyExists", f"User with name {name} already exists.", CONFLICT)
    boundary = call.params.get("PermissionsBoundary")
    arn = _policy(call, str(boundary)) if boundary else None
    tags = list(call.params.get("Tags") or ())
    user = backend(call.account).create_user("us-east-1", name, call.params.get("Path") or "/", tags)
    if arn is not None:
        BOUNDARIES[user.id] = arn
    return {"User": _described(user)}


def _described(user: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's own object
    found = {
        "Path": user.path,
        "UserName": user.name,
        "UserId": user.id,
        "Arn": user.arn,
        "CreateDate": user.create_date.replace(tzinfo=UTC),
    }
    if user.tags:
        found["Tags"] = user.tags
    if arn := BOUNDARIES.get(user.id):
        found["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
            "PermissionsBoundaryArn": arn,
        }
    return found


def create_credential(call: Call) -> Mapping[str, Any]:
    """Answer CreateServiceSpecificCredential; the only time the secret is shown."""
    user, service = _user_of(call), str(call.params["ServiceName"])
    if service not in SERVICES:
        raise Refusal("NoSuchEntity", f"No such service {service} supports service specific credentials", 404)
    held = [one for one in _of(call.account, user.name) if one.service == service]
    if len(held) >= MAX_PER_SERVICE:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for {service}: {MAX_PER_SERVICE}", CONFLICT)
    days, now = call.params.get("CredentialAgeDays"), datetime.now(UTC).replace(microsecond=0)
    name = f"{user.name}-at-{call.account}" + (f"+{len(held)}" if held else "")
    made = Credential(
        "ACCA" + secrets.token_hex(8).upper(),
        call.account,
        user.name,
        service,
        name,
        "Active",
        now,
        now + timedelta(days=int(days)) if days else None,
    )
    CREDENTIALS[made.id] = made
    return {"ServiceSpecificCredential": _with_secret(made)}


def _with_secret(made: Credential) -> dict[str, Any]:
    secret = "ServiceCredentialSecret" if made.service == BEDROCK else "ServicePassword"
    return {**made.described(), secret: secrets.token_urlsafe(32)}


def list_credentials(call: Call) -> Mapping[str, Any]:
    """Answer ListServiceSpecificCredentials, of one user or of all, page by page."""
    everybody = bool(call.params.get("AllUsers"))
    found = _of(call.account, None if everybody else _user_of(call).name)
    if service := call.params.get("ServiceName"):
        found = [one for one in found if one.service == service]
    start, size = int(call.params.get("Marker") or 0), int(call.params.get("MaxItems") or 100)
    page = [one.described() for one in found[start : start + size]]
    if start + size >= len(found):
        return {"ServiceSpecificCredentials": page, "IsTruncated": False}
    return {"ServiceSpecificCredentials": page, "IsTruncated": True, "Marker": str(start + size)}


def _of(account: str, user: str | None) -> list[Credential]:
    found = (one for one in CREDENTIALS.values() if one.account == account and user in (None, one.user))
    return sorted(found, key=lambda one: one.id)


def _credential(call: Call) -> Credential:
    wanted, user = str(call.params["ServiceSpecificCredentialId"]), _user_of(call)
    found = CREDENTIALS.get(wanted)
    if found is None or (found.account, found.user) != (call.account, user.name):
        raise Refusal("NoSuchEntity", f"No such credential {wanted} exists", NOT_FOUND)
    return found


def update_credential(call: Call) -> Mapping[str, Any]:
    """Answer UpdateServiceSpecificCredential."""
    status = str(call.params["Status"])
    if status not in ("Active", "Inactive"):
        raise Refusal("ValidationError", f"Status {status} is not Active or Inactive")
    found = _credential(call)
    CREDENTIALS[found.id] = replace(found, status=status)
    return {}


def reset_credential(call: Call) -> Mapping[str, Any]:
    """Answer ResetServiceSpecificCredential: a new secret, the old one is void."""
    return {"ServiceSpecificCredential": _with_secret(_credential(call))}


def delete_credential(call: Call) -> Mapping[str, Any]:
    """Answer DeleteServiceSpecificCredential."""
    del CREDENTIALS[_credential(call).id]
    return {}


def user_must_be_empty(call: Call) -> None:
    """Refuse DeleteUser while credentials of it are left (IAM API Reference DeleteUser)."""
    if _of(call.account, str(call.params.get("UserName"))):
        raise Refusal("DeleteConflict", "Cannot delete entity, must delete credentials first.", CONFLICT)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("iam", "PutUserPermissionsBoundary"): put_boundary,
    ("iam", "DeleteUserPermissionsBoundary"): delete_boundary,
    ("iam", "GetUser"): get_user,
    ("iam", "CreateUser"): create_user,
    ("iam", "CreateServiceSpecificCredential"): create_credential,
    ("iam", "ListServiceSpecificCredentials"): list_credentials,
    ("iam", "UpdateServiceSpecificCredential"): update_credential,
    ("iam", "ResetServiceSpecificCredential"): reset_credential,
    ("iam", "DeleteServiceSpecificCredential"): delete_credential,
}
GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {("iam", "DeleteUser"): (user_must_be_empty,)}
RESETS: tuple[Callable[[], None], ...] = (CREDENTIALS.clear, BOUNDARIES.clear)
STATES: Mapping[str, Callable[[], Any]] = {
    "iam_user_boundaries": lambda: dict(sorted(BOUNDARIES.items())),
    "iam_service_credentials": lambda: {
        key: [one.user, one.service, one.status] for key, one in sorted(CREDENTIALS.items())
    },
}
