"""Replaces policy variables (IAM User Guide "IAM policy elements: Variables and tags")."""

from __future__ import annotations

import re

from breakglass_aws.sandbox.evaluator.request import Request

Pattern = tuple[tuple[str, bool], ...]
"""Pieces of a pattern; True: to be taken literally (a variable's value: its ``*`` is no wildcard)."""
VARIABLE = re.compile(r"\$\{([^}]*)\}")
DEFAULTED = re.compile(r"(.+?)\s*,\s*'([^']*)'\s*")
SPECIAL = ("*", "?", "$")


def expand(text: str, request: Request, *, variables: bool) -> Pattern | None:
    """Return the text with its variables replaced; None where one has no value.

    "When policy variables reference a condition key that doesn't exist in an authorization context for a
    request, the value is effectively null. There is no equal or like value." Nor has one with several values.
    """
    if not variables or "${" not in text:
        return ((text, False),)
    pieces: list[tuple[str, bool]] = []
    at = 0
    for found in VARIABLE.finditer(text):
        if found.start() > at:
            pieces.append((text[at : found.start()], False))
        value = _value(found[1].strip(), request)
        if value is None:
            return None
        pieces.append((value, True))
        at = found.end()
    if at < len(text):
        pieces.append((text[at:], False))
    return tuple(pieces)


def literal(pattern: Pattern) -> str:
    """Return a pattern's text, for operators without wildcards."""
    return "".join(text for text, _ in pattern)


def _value(name: str, request: Request) -> str | None:
    if name in SPECIAL:
        return name
    default = None
    if found := DEFAULTED.fullmatch(name):
        name, default = found[1], found[2]
    values = request.values(name)
    return values[0] if values is not None and len(values) == 1 else default
