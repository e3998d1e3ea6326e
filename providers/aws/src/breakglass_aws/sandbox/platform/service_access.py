"""Decides whether a resource's own policy lets an AWS service in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def lets_in(policy: str | None, service: str, action: str, source_arn: str) -> bool:
    """Say whether a policy allows a service principal, and nothing denies it.

    A service that acts for itself needs an Allow in the resource's policy (EventBridge User Guide, "Using
    resource-based policies"); an explicit Deny wins (IAM User Guide, "Policy evaluation logic").
    """
    statements = _statements(policy)
    matching = [one for one in statements if _matches(one, service, action, source_arn)]
    effects = {str(one.get("Effect")) for one in matching}
    return "Allow" in effects and "Deny" not in effects


def keeps_out(policy: str | None, service: str, action: str) -> bool:
    """Say whether a policy denies a service explicitly."""
    matching = [one for one in _statements(policy) if _matches(one, service, action, "")]
    return any(one.get("Effect") == "Deny" for one in matching)


def _statements(policy: str | None) -> list[Mapping[str, Any]]:
    if not policy:
        return []
    try:
        found = json.loads(policy).get("Statement", [])
    except (ValueError, AttributeError):
        return []
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, Mapping)]


def _matches(one: Mapping[str, Any], service: str, action: str, source_arn: str) -> bool:
    if not _principal(one.get("Principal"), service):
        return False
    if not any(fnmatchcase(action.lower(), text.lower()) for text in _texts(one.get("Action"))):
        return False
    return all(
        _condition(operator, tests, service, source_arn)
        for operator, tests in dict(one.get("Condition") or {}).items()
    )


def _principal(principal: object, service: str) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, Mapping):
        return False
    return service in _texts(principal.get("Service")) or "*" in _texts(principal.get("AWS"))


def _condition(operator: str, tests: Mapping[str, Any], service: str, source_arn: str) -> bool:
    """Test a condition: a service has a source ARN and no principal ARN, which negated operators match."""
    known = {"aws:sourcearn": source_arn, "aws:principalservicename": service}
    negated = "Not" in operator
    for key, wanted in tests.items():
        value = known.get(key.lower())
        hit = value is not None and any(fnmatchcase(value, text) for text in _texts(wanted))
        if value is None and not negated and key.lower() != "aws:sourceaccount":
            return False
        if value is not None and hit == negated:
            return False
    return True


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(one) for one in value) if isinstance(value, list) else ()
