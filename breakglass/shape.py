"""Turns JSON into frozen dataclasses and back, strictly: the same declaration reads, writes and describes.

Supported fields: str, int, bool, `Instant`, Enum, ``X | None``, ``tuple[X, ...]``, dataclasses, `Json`
and ``Mapping[str, Json]``. A string or an integer may carry a rule: ``Annotated[str, Match(r"...")]``.
Every field is required and unknown fields are refused: a signed document has exactly the fields of its
schema (reference: TUF and the plan's own schema in docs/).
"""

from __future__ import annotations

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, TypeVar, cast

from breakglass.canon import MAX_INTEGER, Json, JsonObject
from breakglass.clock import Instant
from breakglass.errors import MalformedInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Match:
    """A rule for a string: the whole of it matches `pattern`."""

    pattern: str
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Between:
    """A rule for an integer: it lies between the two, both included."""

    lowest: int
    highest: int = MAX_INTEGER


Digest = Annotated[str, Match(r"[0-9a-f]{64}", "a sha256 in hexadecimal")]
Name = Annotated[str, Match(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,127}", "a short ASCII name")]
ResourceId = Annotated[str, Match(r"[\x21-\x7e]([\x20-\x7e]{0,1022}[\x21-\x7e])?", "printable ASCII")]
Line = Annotated[str, Match(r"[^\r\n]{0,2000}", "one line")]
Count = Annotated[int, Between(0)]


def encode(value: object) -> Json:
    """Return plain JSON for a value of the supported types."""
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return cast("Json", value)
    if isinstance(value, Enum):
        return cast("Json", value.value)
    if isinstance(value, str):
        return value
    if isinstance(value, Instant):
        return str(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"no JSON form for {type(value).__name__}")


def decode(cls: type[T], data: Json, *, where: str) -> T:
    """Build a `cls` from JSON.

    Raises:
        MalformedInput: a field is missing, unknown, of another type, or against its rule.
    """
    return cast("T", _decode(cls, data, where))


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _decode(hint: Any, data: Json, where: str) -> object:  # noqa: ANN401 - a type hint has no type
    origin = typing.get_origin(hint)
    if origin is Annotated:
        inner, *rules = typing.get_args(hint)
        value = _decode(inner, data, where)
        for rule in rules:
            _hold(rule, value, where)
        return value
    if origin in (typing.Union, types.UnionType):
        if hint == Json:
            return data
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        if data is None and len(options) < len(typing.get_args(hint)):
            return None
        return _decode(options[0], data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong("a list", data, where)
        item_hint = typing.get_args(hint)[0]
        return tuple(_decode(item_hint, item, f"{where}[{n}]") for n, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise _wrong("an object", data, where)
        return data
    return _decode_plain(hint, data, where)


def _decode_plain(hint: Any, data: Json, where: str) -> object:  # noqa: ANN401 - a type hint has no type
    if dataclasses.is_dataclass(hint):
        if hint is Instant:
            return Instant.parse(data, where) if isinstance(data, str) else _fail("a time", data, where)
        return _decode_fields(cast("type", hint), data, where)
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError as error:
            known = ", ".join(str(member.value) for member in hint)
            raise MalformedInput(f"{data!r} is none of: {known}", where=where) from error
    if hint is bool and isinstance(data, bool):
        return data
    if hint is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if hint is str and isinstance(data, str):
        return data
    return _fail(
        {bool: "true or false", int: "an integer", str: "a string"}.get(hint, str(hint)), data, where
    )


def _decode_fields(cls: type, data: Json, where: str) -> object:
    if not isinstance(data, dict):
        raise _wrong("an object", data, where)
    hints = _hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]
    if unknown := sorted(set(data) - set(names)):
        raise MalformedInput(f"unknown field {unknown[0]!r}", where=where)
    if missing := [name for name in names if name not in data]:
        raise MalformedInput(f"missing field {missing[0]!r}", where=where)
    return cls(**{name: _decode(hints[name], data[name], f"{where}.{name}") for name in names})


def _hold(rule: object, value: object, where: str) -> None:
    if isinstance(rule, Match) and isinstance(value, str) and re.fullmatch(rule.pattern, value) is None:
        raise MalformedInput(f"{value[:80]!r} is not {rule.meaning or rule.pattern}", where=where)
    if isinstance(rule, Between) and isinstance(value, int) and not rule.lowest <= value <= rule.highest:
        raise MalformedInput(f"{value} is not between {rule.lowest} and {rule.highest}", where=where)


def _wrong(expected: str, data: Json, where: str) -> MalformedInput:
    return MalformedInput(f"expected {expected}, found {_kind(data)}", where=where)


def _fail(expected: str, data: Json, where: str) -> object:
    raise _wrong(expected, data, where)


def _kind(data: Json) -> str:
    if data is None:
        return "null"
    return {bool: "true or false", int: "an integer", str: "a string", list: "a list"}.get(
        type(data), "an object"
    )


def describe(cls: type) -> JsonObject:
    """Return the JSON Schema (2020-12) of a dataclass: the file in docs/ is made from it."""
    return cast("JsonObject", _describe(cls))


def _describe(hint: Any) -> dict[str, Json]:  # noqa: ANN401 - a type hint has no type
    origin = typing.get_origin(hint)
    if origin is Annotated:
        inner, *rules = typing.get_args(hint)
        found = _describe(inner)
        for rule in rules:
            if isinstance(rule, Match):
                found["pattern"] = f"^(?:{rule.pattern})$"
            elif isinstance(rule, Between):
                found |= {"minimum": rule.lowest, "maximum": rule.highest}
        return found
    if origin in (typing.Union, types.UnionType):
        if hint == Json:
            return {}
        option = next(option for option in typing.get_args(hint) if option is not type(None))
        return {"anyOf": [_describe(option), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _describe(typing.get_args(hint)[0])}
    if origin is not None:
        return {"type": "object"}
    if hint is Instant:
        return {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
    if dataclasses.is_dataclass(hint):
        names: list[Json] = [field.name for field in dataclasses.fields(hint)]
        hints = _hints(cast("type", hint))
        return {
            "type": "object",
            "additionalProperties": False,
            "required": names,
            "properties": {str(name): _describe(hints[str(name)]) for name in names},
        }
    if issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return {"type": {bool: "boolean", int: "integer", str: "string", float: "number"}[hint]}
