"""Reads a policy document into statements (IAM User Guide "Grammar of the IAM JSON policy language")."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

CURRENT = "2012-10-17"
EFFECTS = ("Allow", "Deny")
ELEMENTS = {
    *("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"),
    *("Resource", "NotResource", "Condition"),
}
ANYONE = "*"


class PolicyError(Exception):
    """A document that does not say clearly what it means; never read as true or as false."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One key of one operator with its values."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. An element that is absent is None."""

    sid: str
    effect: str
    principals: tuple[tuple[str, str], ...] | None
    not_principals: tuple[tuple[str, str], ...] | None
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    conditions: tuple[Condition, ...]
    variables: bool
    """Policy variables are replaced only in documents of version 2012-10-17."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A document, and the name by which a decision speaks of it."""

    name: str
    statements: tuple[Statement, ...]


def parse(document: str | Mapping[str, Any], name: str = "") -> Policy:
    """Read a document. Raises PolicyError: it is none."""
    if not isinstance(document, str):
        return _policy(document, name)
    return _parsed(document, name)


@lru_cache(maxsize=4096)
def _parsed(text: str, name: str) -> Policy:
    try:
        return _policy(json.loads(text), name)
    except ValueError as error:
        raise PolicyError(f"policy {name or '(unnamed)'} is not JSON: {error}") from error


def _policy(document: object, name: str) -> Policy:
    if not isinstance(document, Mapping):
        raise PolicyError(f"policy {name or '(unnamed)'} is not an object")
    raw = document.get("Statement", [])
    statements = raw if isinstance(raw, list) else [raw]
    variables = document.get("Version") == CURRENT
    return Policy(name, tuple(_statement(one, n, variables=variables) for n, one in enumerate(statements)))


def _statement(raw: object, number: int, *, variables: bool) -> Statement:
    if not isinstance(raw, Mapping):
        raise PolicyError(f"statement {number} is not an object")
    unknown = set(raw) - ELEMENTS
    if unknown:
        raise PolicyError(f"statement {number} has unknown elements {sorted(unknown)}")
    if raw.get("Effect") not in EFFECTS:
        raise PolicyError(f"statement {number} has effect {raw.get('Effect')!r}")
    made = Statement(
        sid=str(raw.get("Sid") or number),
        effect=raw["Effect"],
        principals=_principals(raw, "Principal"),
        not_principals=_principals(raw, "NotPrincipal"),
        actions=_strings(raw, "Action"),
        not_actions=_strings(raw, "NotAction"),
        resources=_strings(raw, "Resource"),
        not_resources=_strings(raw, "NotResource"),
        conditions=_conditions(raw.get("Condition") or {}),
        variables=variables,
    )
    if (made.actions is None) == (made.not_actions is None):
        raise PolicyError(f"statement {number} needs exactly one of Action and NotAction")
    if made.resources is not None and made.not_resources is not None:
        raise PolicyError(f"statement {number} has both Resource and NotResource")
    if made.principals is not None and made.not_principals is not None:
        raise PolicyError(f"statement {number} has both Principal and NotPrincipal")
    return made


def _strings(raw: Mapping[str, Any], element: str) -> tuple[str, ...] | None:
    if element not in raw:
        return None
    value = raw[element]
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise PolicyError(f"{element} is neither a string nor a list of strings")
    return tuple(values)


def _principals(raw: Mapping[str, Any], element: str) -> tuple[tuple[str, str], ...] | None:
    if element not in raw:
        return None
    value = raw[element]
    if value == ANYONE:
        return ((ANYONE, ANYONE),)
    if not isinstance(value, Mapping):
        raise PolicyError(f"{element} is neither * nor an object")
    return tuple((kind, one) for kind in value for one in _strings(value, kind) or ())


def _conditions(raw: object) -> tuple[Condition, ...]:
    if not isinstance(raw, Mapping) or not all(isinstance(keys, Mapping) for keys in raw.values()):
        raise PolicyError("Condition is not an object of objects")
    return tuple(
        Condition(
            operator, key, tuple(_text(one) for one in (values if isinstance(values, list) else [values]))
        )
        for operator, keys in raw.items()
        for key, values in keys.items()
    )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise PolicyError(f"a condition's value is {type(value).__name__}")
