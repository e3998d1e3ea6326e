"""Reads IAM entities out of moto into frozen views, one at a time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from moto.iam.models import IAMBackend, iam_backends

from breakglass_aws.sandbox.call import Call

Entity = tuple[str, str, str]
"""kind, account, name: ``("role", "123456789012", "worker")``."""
Documents = tuple[tuple[str, str], ...]
"""(policy name, text) of inline policies."""
Tags = tuple[tuple[str, str], ...]
BOUNDARIES: dict[str, str] = {}
"""Unique id of a user -> ARN of its permissions boundary (moto keeps none)."""


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role. `service_linked`: made for a service, under its path."""

    id: str
    arn: str
    inline: Documents
    attached: tuple[str, ...]
    boundary: str | None
    tags: Tags
    trust: str
    service_linked: bool


@dataclass(frozen=True, slots=True)
class UserView:
    """A user and the names of its groups."""

    id: str
    arn: str
    inline: Documents
    attached: tuple[str, ...]
    boundary: str | None
    tags: Tags
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group's policies."""

    arn: str
    inline: Documents
    attached: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyView:
    """The default version of a managed policy."""

    arn: str
    document: str


@dataclass(frozen=True, slots=True)
class KeyView:
    """An access key of a user."""

    id: str
    account: str
    user: str
    status: str
    secret: str = field(repr=False)


def backend(account: str) -> IAMBackend:
    """Return moto's IAM of an account."""
    return iam_backends[account]["aws"]


def read(entity: Entity) -> object:
    """Read one entity as it is now; None: there is none."""
    kind, account, name = entity
    return {"role": _role, "user": _user, "group": _group, "policy": _policy, "key": _key}[kind](
        account, name
    )


def touched(call: Call) -> tuple[Entity, ...]:
    """Return the entities that a write of IAM may change."""
    found: list[Entity] = []
    if call.operation == "CreateAccessKey" and "UserName" not in call.params:  # one's own
        call = replace(call, params={"UserName": call.caller.rpartition("/")[2]})
    for parameter, kind in (("RoleName", "role"), ("UserName", "user"), ("GroupName", "group")):
        for name in {call.params.get(parameter), call.params.get(f"New{parameter}")} - {None}:
            found.append((kind, call.account, str(name)))
            if kind == "user":
                found += [("key", "", one) for one in _keys_of(call.account, str(name))]
    if key := call.params.get("AccessKeyId"):
        found.append(("key", "", str(key)))
        if owner := _key("", str(key)):
            found.append(("user", owner.account, owner.user))
    if arn := call.params.get("PolicyArn"):
        found.append(("policy", call.account, str(arn)))
    elif call.operation == "CreatePolicy":
        path = call.params.get("Path") or "/"
        found.append(
            ("policy", call.account, f"arn:aws:iam::{call.account}:policy{path}{call.params['PolicyName']}")
        )
    if arn := call.params.get("ResourceArn") or call.params.get("SAMLProviderArn"):
        found += _by_arn(call.account, str(arn))
    return tuple(dict.fromkeys(found))


def _by_arn(account: str, arn: str) -> list[Entity]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return [(kind, account, name.rpartition("/")[2])] if kind in ("role", "user", "group") else []


def _keys_of(account: str, user: str) -> list[str]:
    held = backend(account).users.get(user)
    return [one.access_key_id for one in held.access_keys] if held is not None else []


def role_named(account: str, name: str) -> Any:  # noqa: ANN401 - moto's own object, without types of use
    """Return moto's role; None: there is none."""
    return next((one for one in backend(account).roles.values() if one.name == name), None)


def _role(account: str, name: str) -> RoleView | None:
    found = role_named(account, name)
    if found is None:
        return None
    return RoleView(
        found.id,
        found.arn,
        tuple(sorted(found.policies.items())),
        tuple(sorted(found.managed_policies)),
        found.permissions_boundary_arn or None,
        _tags(found.tags),
        found.assume_role_policy_document,
        str(found.path).startswith("/aws-service-role/"),
    )


def _user(account: str, name: str) -> UserView | None:
    found = backend(account).users.get(name)
    if found is None:
        return None
    groups = tuple(sorted(one.name for one in backend(account).groups.values() if found in one.users))
    inline, attached = tuple(sorted(found.policies.items())), tuple(sorted(found.managed_policies))
    return UserView(
        found.id, found.arn, inline, attached, BOUNDARIES.get(found.id), _tags(found.tags), groups
    )


def _group(account: str, name: str) -> GroupView | None:
    found = backend(account).groups.get(name)
    if found is None:
        return None
    return GroupView(found.arn, tuple(sorted(found.policies.items())), tuple(sorted(found.managed_policies)))


def _policy(account: str, arn: str) -> PolicyView | None:
    owner = arn.split(":")[4]
    found = backend(owner if owner.isdigit() else account).managed_policies.get(arn)
    if found is None:
        return None
    text = next(one.document for one in found.versions if one.version_id == found.default_version_id)
    return PolicyView(arn, text)


def _key(_: str, key_id: str) -> KeyView | None:
    for account in list(iam_backends):
        found = backend(account).access_keys.get(key_id)
        if found is not None and found.user_name:
            return KeyView(key_id, account, found.user_name, found.status, found.secret_access_key)
    return None


def _tags(tags: list[dict[str, str]] | None) -> Tags:
    return tuple(sorted((one["Key"], one["Value"]) for one in tags or ()))
