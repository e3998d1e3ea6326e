"""Refuses what does not fit into IAM's quotas: attached policies, inline policies, trust policies.

IAM User Guide, "IAM and AWS STS quotas": 10 managed policies attached to a role or user, 10,240 characters
of inline policies for a role and 2,048 for a user, 2,048 of a trust policy; white space is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass_aws.sandbox.call import Call, Guard, Refusal
from breakglass_aws.sandbox.iam_entities import backend

MOST_ATTACHED = 10
MOST_INLINE = {"Role": 10_240, "User": 2_048}
MOST_TRUST = 2_048
CONFLICT = 409


def attached(call: Call) -> None:
    """Refuse the eleventh managed policy."""
    kind, entity = _entity(call)
    policies = getattr(entity, "managed_policies", {})
    if str(call.params["PolicyArn"]) not in policies and len(policies) >= MOST_ATTACHED:
        words = f"Cannot exceed quota for PoliciesPer{kind}: {MOST_ATTACHED}"
        raise Refusal("LimitExceeded", words, CONFLICT)


def inline(call: Call) -> None:
    """Refuse an inline policy that does not fit beside the others."""
    kind, entity = _entity(call)
    others = _inline_of(entity)
    others[str(call.params["PolicyName"])] = str(call.params["PolicyDocument"])
    if sum(_counted(text) for text in others.values()) > MOST_INLINE[kind]:
        name = call.params[f"{kind}Name"]
        words = f"Maximum policy size of {MOST_INLINE[kind]} bytes exceeded for {kind.lower()} {name}"
        raise Refusal("LimitExceeded", words, CONFLICT)


def trust(call: Call) -> None:
    """Refuse a trust policy that is too long."""
    if _counted(str(call.params["PolicyDocument"])) > MOST_TRUST:
        raise Refusal("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {MOST_TRUST}", CONFLICT)


def _entity(call: Call) -> tuple[str, Any]:
    if "RoleName" in call.params:
        roles = backend(call.account).roles.values()
        return "Role", next((one for one in roles if one.name == call.params["RoleName"]), None)
    return "User", backend(call.account).users.get(str(call.params["UserName"]))


def _inline_of(entity: Any) -> dict[str, str]:  # noqa: ANN401 - moto's own object
    """Return the inline policies by name."""
    return {str(name): str(text) for name, text in getattr(entity, "policies", {}).items()}


def _counted(text: str) -> int:
    return len("".join(text.split()))


GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    ("iam", "AttachRolePolicy"): (attached,),
    ("iam", "AttachUserPolicy"): (attached,),
    ("iam", "PutRolePolicy"): (inline,),
    ("iam", "PutUserPolicy"): (inline,),
    ("iam", "UpdateAssumeRolePolicy"): (trust,),
}
