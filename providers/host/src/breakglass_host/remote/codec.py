"""Turns the values of the provider port into JSON and strictly back: every field, of its type, no other.

Like `breakglass.shape`, for one connection and not for what is signed: numbers may have a fraction, and a
mapping may go to an enum.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, Any, TypeVar, cast

from breakglass.errors import MalformedInput

T = TypeVar("T")


def encode(value: object) -> object:
    """Return JSON for a value of the port.

    Raises:
        TypeError: the port has no such value.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"no form on the wire for {type(value).__name__}")


def decode(hint: type[T], data: object, where: str) -> T:
    """Build a value of `hint`, which may also be a union or a tuple of many.

    Raises:
        MalformedInput: a field is missing, unknown or of another type.
    """
    return cast("T", _decode(hint, data, where))


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _decode(hint: Any, data: object, where: str) -> object:  # noqa: ANN401 - a type hint has no type
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        # Rules of what is signed are held when a plan is made, which also spells out what an agent named.
        return _decode(arguments[0], data, where)
    if origin in (typing.Union, types.UnionType):
        if any(typing.get_origin(one) is list for one in arguments):
            return data  # Json: what is read of the world, in a form that the engine checks
        if data is None and type(None) in arguments:
            return None
        return _decode(next(one for one in arguments if one is not type(None)), data, where)
    if origin is tuple:
        if not isinstance(data, list):
            raise _wrong("a list", where)
        return tuple(_decode(arguments[0], item, f"{where}[{n}]") for n, item in enumerate(data))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(data, dict):
            raise _wrong("an object", where)
        if not isinstance(arguments[1], type):
            return data
        return {key: _decode(arguments[1], item, f"{where}.{key[:40]}") for key, item in data.items()}
    return _decode_plain(hint, data, where)


def _decode_plain(hint: Any, data: object, where: str) -> object:  # noqa: ANN401 - a type hint has no type
    if isinstance(hint, type) and issubclass(hint, Enum):
        try:
            return hint(data)
        except ValueError as error:
            raise _wrong(f"one of {', '.join(str(one.value) for one in hint)}", where) from error
    if dataclasses.is_dataclass(hint):
        return _decode_fields(cast("type", hint), data, where)
    if hint is float and isinstance(data, int | float) and not isinstance(data, bool):
        if not math.isfinite(data):
            raise _wrong("a number", where)
        return float(data)
    if hint is type(None) and data is None:
        return None
    if hint is int and isinstance(data, int) and not isinstance(data, bool):
        return data
    if hint in (bool, str) and isinstance(data, hint):
        return data
    raise _wrong(getattr(hint, "__name__", str(hint)), where)


def _decode_fields(cls: type, data: object, where: str) -> object:
    if not isinstance(data, dict):
        raise _wrong("an object", where)
    names = {field.name for field in dataclasses.fields(cls)}
    if data.keys() != names:
        odd = min(data.keys() ^ names)
        raise MalformedInput(f"field {odd[:40]!r} is {'missing' if odd in names else 'unknown'}", where=where)
    hints = _hints(cls)
    return cls(**{name: _decode(hints[name], data[name], f"{where}.{name}") for name in names})


def _wrong(expected: str, where: str) -> MalformedInput:
    return MalformedInput(f"expected {expected}", where=where)
