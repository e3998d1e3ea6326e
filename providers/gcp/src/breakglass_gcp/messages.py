"""Turns Google's messages into JSON that a journal can carry, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json


def as_json(message: Any) -> dict[str, Json]:  # noqa: ANN401 - Google's messages have no types here
    """Return a message as JSON: snake_case, enums by name, moments in UTC, only what is set."""
    from google.protobuf.json_format import MessageToDict

    found: dict[str, Any] = MessageToDict(_plain(message), preserving_proto_field_name=True)
    return {key: _recordable(value) for key, value in found.items()}


def _recordable(value: Any) -> Json:  # noqa: ANN401 - what protobuf makes of a message
    """Return a value without floats: a record has none, and protobuf reads them from texts as well."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: _recordable(one) for key, one in value.items()}
    return [_recordable(one) for one in value] if isinstance(value, list) else value


def of_json(kind: Any, value: Json) -> Any:  # noqa: ANN401 - Google's messages have no types here
    """Return a message of a type from what `as_json` wrote."""
    from google.protobuf.json_format import ParseDict

    made = kind()
    ParseDict(value, _plain(made))
    return made


def field(value: Json, *path: str) -> Json:
    """Return a value inside of JSON; None where the path ends before."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def fields(value: Json) -> Mapping[str, Json]:
    """Return an object of JSON; empty where it is none."""
    return value if isinstance(value, Mapping) else {}


def text(value: Json, *path: str) -> str:
    """Return a text inside of JSON; empty where there is none."""
    found = field(value, *path)
    return found if isinstance(found, str) else ""


def listed(page: Any) -> tuple[Any, ...]:  # noqa: ANN401 - Google's messages have no types here
    """Return the items of one answer of a listing; of an aggregated one ``(scope, list)`` pairs."""
    plain = _plain(page)
    for one in plain.DESCRIPTOR.fields:
        if one.is_repeated and one.name not in _NOT_ITEMS:
            value = getattr(page, one.name)
            return tuple(value.items()) if hasattr(value, "items") else tuple(value)
    return ()


_NOT_ITEMS = frozenset({"unreachable", "unreachables", "missing_zones", "warnings", "kind"})


def unreached(page: Any) -> tuple[str, ...]:  # noqa: ANN401 - Google's messages have no types here
    """Return the places that did not answer a listing: what they hold is not in it."""
    found = (
        tuple(getattr(page, name, None) or ()) for name in ("unreachable", "unreachables", "missing_zones")
    )
    return tuple(str(one) for names in found for one in names)


def _plain(message: Any) -> Any:  # noqa: ANN401 - as above
    """Return the protobuf behind a proto-plus message."""
    kind = type(message)
    return kind.pb(message) if hasattr(kind, "pb") else message
