"""Says how long an invocation that runs already can still live, and whether that can be relied on.

The time of a run is fixed when it starts. So an agent that may change or delete versions can hide a long
one: raise the timeout, start, lower it again. Where none of its principals may, the longest timeout of all
versions holds, and a change by anybody else holds for 900 s more (Lambda quotas, "Function timeout").
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.clock import Instant
from breakglass.errors import MalformedInput, ProviderError
from breakglass_aws.account import Account

LONGEST_S = 900
PERMISSIONS = ("iam:SimulatePrincipalPolicy", "lambda:ListVersionsByFunction")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{3,9})?(?:Z|\+0000)", re.ASCII)
_CHANGES = (
    "iam:AddUserToGroup",
    "iam:AttachRolePolicy",
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreatePolicyVersion",
    "iam:PutRolePolicy",
    "iam:PutUserPolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:UpdateAssumeRolePolicy",
    "lambda:AddPermission",
    "lambda:DeleteFunction",
    "lambda:PublishVersion",
    "lambda:UpdateFunctionConfiguration",
    "sts:AssumeRole",
)
"""The three that hide a run, and those by which whoever lacks them today may have had them a minute ago."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts of a function and of all its versions."""

    longest_s: int
    modified_ms: int
    """When the function itself was changed last, Unix time."""


def timeouts(account: Account, name: str) -> Timeouts:
    """Read them; what does not parse counts as the longest there is.

    Raises:
        ProviderError: they cannot be read.
    """
    versions = list(account.pages("lambda", "list_versions_by_function", "Versions", FunctionName=name))
    longest = max((int(one.get("Timeout") or LONGEST_S) for one in versions), default=LONGEST_S)
    latest = [str(one.get("LastModified")) for one in versions if one.get("Version") == "$LATEST"]
    return Timeouts(longest, _instant_ms(latest[0] if latest else "", account))


def wait_s(account: Account, found: Timeouts) -> int:
    """Return the seconds after which the last run has ended, if nobody hid one."""
    hidden_s = LONGEST_S * account.settings.settle_factor
    since_s = (account.connection.clock.now().epoch_ms - found.modified_ms) / 1000
    return max(found.longest_s, math.ceil(hidden_s - since_s))


def may_change(account: Account, principals: Sequence[str], function: str) -> bool:
    """Return whether one of these ARNs may change the function, or its own rights, or that is not known."""
    for arn in principals:
        try:
            results = list(
                account.pages(
                    "iam",
                    "simulate_principal_policy",
                    "EvaluationResults",
                    PolicySourceArn=arn,
                    ActionNames=list(_CHANGES),
                    ResourceArns=[function, f"{function}:*", arn, "*"],
                )
            )
        except ProviderError:
            return True
        if not results or any(one.get("EvalDecision") == "allowed" for one in results):
            return True
        per_resource = [item for one in results for item in one.get("ResourceSpecificResults") or ()]
        if any(item.get("EvalResourceDecision") == "allowed" for item in per_resource):
            return True
    return not principals


def modified(text: str) -> Instant | None:
    """Read Lambda's own form, ``2026-01-02T03:04:05.678+0000``; None: it is not that."""
    match = _MOMENT.fullmatch(text)
    try:
        return Instant.parse(f"{match[1]}{(match[2] or '')[:4]}Z" if match else "")
    except MalformedInput:
        return None


def _instant_ms(text: str, account: Account) -> int:
    """Return the moment; what does not parse counts as just now."""
    return (modified(text) or account.connection.clock.now()).epoch_ms
