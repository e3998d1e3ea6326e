"""Matches patterns: ``*`` and ``?``, and ARNs part by part."""

from __future__ import annotations

import re
from functools import lru_cache

from breakglass_aws.sandbox.evaluator.variables import Pattern

ARN_PARTS = 6


@lru_cache(maxsize=16384)
def _compiled(pattern: Pattern, *, fold: bool) -> re.Pattern[str]:
    body = "".join(
        re.escape(text) if literal else re.escape(text).replace(r"\*", ".*").replace(r"\?", ".")
        for text, literal in pattern
    )
    return re.compile(body, re.DOTALL | (re.IGNORECASE if fold else 0))


def matches(pattern: Pattern, text: str, *, fold: bool = False) -> bool:
    """Say whether the whole text matches; `fold`: whatever the case."""
    return _compiled(pattern, fold=fold).fullmatch(text) is not None


def plain(pattern: str) -> Pattern:
    """Return a pattern without variables."""
    return ((pattern, False),)


def matches_arn(pattern: Pattern, arn: str) -> bool:
    """Say whether an ARN matches, part by part: a wildcard does not reach over a colon of the first five.

    Source: IAM User Guide "IAM JSON policy elements: Resource" (wildcards within the individual segments;
    missing fields are completed with ``*``) and "Condition operators" (ArnLike: each of six components).
    """
    if pattern == plain("*"):
        return True
    wanted = split(pattern)
    given = arn.split(":", ARN_PARTS - 1)
    if len(given) < ARN_PARTS or len(wanted) == 1:  # one of them is no ARN ("*"): text against text
        return matches(pattern, arn)
    wanted += [plain("*")] * (ARN_PARTS - len(wanted))
    return all(matches(part, text) for part, text in zip(wanted, given, strict=True))


def split(pattern: Pattern) -> list[Pattern]:
    """Cut a pattern at the first five colons of its own text (a variable's value is never cut)."""
    parts: list[list[tuple[str, bool]]] = [[]]
    for text, literal in pattern:
        if literal:
            parts[-1].append((text, literal))
            continue
        first, *rest = text.split(":", ARN_PARTS - len(parts))
        parts[-1].append((first, False))
        parts.extend([(more, False)] for more in rest)
    return [tuple(part) for part in parts]
