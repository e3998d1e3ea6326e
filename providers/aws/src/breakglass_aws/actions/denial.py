"""Says what a policy document denies: the stop's own denies, and whether somebody's policy is one."""

from __future__ import annotations

import json
from collections.abc import Mapping

from breakglass.errors import Gone
from breakglass_aws.account import Account
from breakglass_aws.texts import document_text

DENY_ALL = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "BreakglassQuarantine", "Effect": "Deny", "Action": "*", "Resource": "*"}],
    },
    separators=(",", ":"),
)
_EVERY_ACTION = frozenset({"*", "*:*"})
_ALLOWED_KEYS = frozenset({"Sid", "Effect", "Action", "Resource"})


def statements(text: str) -> list[Mapping[str, object]]:
    """Return the statements of a document; of one that is no policy, none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = document.get("Statement", []) if isinstance(document, dict) else []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]


def same_document(one: object, other: object) -> bool:
    """Return whether two texts say the same: IAM may give a document back with other white space."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return one == other
    try:
        return one == other or bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def text_denies_all(text: str) -> bool:
    """Return whether a document denies every action on everything, without a condition."""
    return any(_denies_all(statement) for statement in statements(text))


def _denies_all(statement: Mapping[str, object]) -> bool:
    return (
        statement.get("Effect") == "Deny"
        and statement.keys() <= _ALLOWED_KEYS
        and any(action in _EVERY_ACTION for action in as_list(statement.get("Action")))
        and "*" in as_list(statement.get("Resource"))
    )


def as_list(value: object) -> list[object]:
    """Return a list: IAM takes one element in place of a list of one (IAM JSON policy grammar)."""
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def managed_policy_denies(account: Account, arn: str) -> bool:
    """Return whether a managed policy denies everything now, or did less than a second ago.

    AWS's own cannot be changed by anybody in the account; a customer's can, by an agent that may call IAM.

    Raises:
        ProviderError: it cannot be read.
    """
    if arn.split(":")[4] == "aws":
        return arn.endswith(":policy/AWSDenyAll")
    return account.recent.ask(arn, lambda: _default_denies(account, arn))


def _default_denies(account: Account, arn: str) -> bool:
    try:
        version = account.call("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return version_denies(account, arn, str(version))
    except Gone:
        return False


def version_denies(account: Account, arn: str, version: str) -> bool:
    """Return whether one version of a managed policy denies everything.

    Raises:
        ProviderError: it cannot be read.
    """
    answer = account.call("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
    return text_denies_all(document_text(answer, "Document"))
