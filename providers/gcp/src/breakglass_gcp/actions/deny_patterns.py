"""Matches permissions as deny policies write them: ``iam.googleapis.com/roles.list``, or groups; pure.

IAM documentation, "Deny policies", Permission groups: ``SERVICE/RESOURCE.*``, ``SERVICE/*.*``,
``SERVICE/*.VERB``. What is counted as denied must be of these forms (or ``SERVICE/*``, which can only mean
all); what may be excepted is read as widely as a ``*`` can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def certainly(permission: str, patterns: Iterable[str]) -> bool:
    """Return whether one of these patterns names a permission, by the documented forms alone."""
    return any(_names(pattern, permission) for pattern in patterns)


def perhaps(permission: str, patterns: Iterable[str]) -> bool:
    """Return whether one of these patterns may name a permission, or all that a pattern names."""
    return any(_widest(pattern).fullmatch(permission) is not None for pattern in patterns)


def _names(pattern: str, permission: str) -> bool:
    if pattern == permission:
        return True
    host, _, rest = permission.partition("/")
    resource, _, verb = rest.partition(".")
    named, _, group = pattern.partition("/")
    if named != host:
        return False
    kind, dot, action = group.partition(".")
    if not dot:
        return group == "*"
    return kind in {resource, "*"} and action in {verb, "*"}


def _widest(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.split("*"))), re.DOTALL)
