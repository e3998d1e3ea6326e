"""Reads attributes of moto's objects into JSON that is the same for the same state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from breakglass_aws.sandbox.platform.backends import existing


def named(backends: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - moto's
    """Yield (``ACCOUNT/REGION``, backend) of those in use, in order."""
    for account, region, backend in sorted(existing(backends), key=lambda one: one[:2]):
        yield f"{account}/{region}", backend


def fields(thing: object, *names: str) -> dict[str, Any]:
    """Return some attributes of an object, those that it has."""
    return {
        name: plain(getattr(thing, name, None)) for name in names if getattr(thing, name, None) is not None
    }


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return a value as JSON; order is kept where it means something."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in sorted(value.items(), key=lambda pair: str(pair[0]))}
    if isinstance(value, set | frozenset):
        return sorted(str(one) for one in value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def tags(value: object) -> dict[str, str]:
    """Return tags of whatever shape, by key."""
    if isinstance(value, Mapping):
        return {str(key): _tag(one) for key, one in sorted(value.items())}
    found = {}
    for one in value if isinstance(value, list) else ():
        lower = {str(key).lower(): text for key, text in one.items()}
        found[str(lower.get("key"))] = str(lower.get("value"))
    return dict(sorted(found.items()))


def _tag(value: object) -> str:
    return str(value.get("Value")) if isinstance(value, Mapping) else str(value)


def by(things: Iterable[Any], name: str) -> list[Any]:
    """Return objects in the order of an attribute."""
    return sorted(things, key=lambda one: str(getattr(one, name)))
