"""Turns what boto3 answers into JSON that a journal can carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakglass.canon import Json


def recorded(value: Any) -> Json:  # noqa: ANN401 - an answer of boto3's has no types
    """Return a value as JSON: moments in UTC as text, what is no JSON as its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Mapping):
        return {str(key): recorded(one) for key, one in value.items() if key != "ResponseMetadata"}
    if isinstance(value, list | tuple):
        return [recorded(one) for one in value]
    return str(value)


def fields(value: Json) -> Mapping[str, Json]:
    """Return an object of a state; empty where it is none."""
    return value if isinstance(value, Mapping) else {}
