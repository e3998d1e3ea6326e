"""The one JSON that breakglass signs and chains: a strict parser and a canonical form.

The canonical form is a check and not a step of verification: signatures cover raw bytes, and a reader
then requires ``bytes == canonical(parse(bytes))``. Inside the subset that the parser admits the form is
byte-identical to RFC 8785 (tests hold `rfc8785` against it).

Two profiles: *human* for what people sign and read (keys ``[a-z][a-z0-9_]*``, no control, format,
private-use or surrogate characters in any string), *data* for observations and journal bodies, where a
file name may hold anything that UTF-8 can carry.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from enum import Enum
from typing import NoReturn

from breakglass.errors import MalformedInput

Json = None | bool | int | str | list["Json"] | Mapping[str, "Json"]
JsonObject = Mapping[str, Json]

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
MAX_INTEGER_CHARS = 17
_KEY = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNREADABLE = frozenset({"Cc", "Cf", "Co", "Cs"})
_NOT_SHOWN = _UNREADABLE | {"Cn", "Zl", "Zp"}


class Profile(Enum):
    """Who reads the document."""

    HUMAN = "human"
    DATA = "data"


def sha256(data: bytes) -> str:
    """Return the digest as 64 hexadecimal characters."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Json) -> bytes:
    """Return the canonical bytes: sorted keys, no spaces, UTF-8, no trailing newline."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def unreadable(text: str) -> str | None:
    """Name the first character that a person could not see or would be fooled by, or None."""
    for character in text:
        if unicodedata.category(character) in _UNREADABLE:
            return f"U+{ord(character):04X}"
    return None


def spelt_out(text: str) -> str:
    r"""Return `text` with every character that nobody could see spelt out, as ``\u{1b}``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{{{ord(character):x}}}" if unicodedata.category(character) in _NOT_SHOWN else character
        for character in text
    )


def parse(data: bytes, *, where: str, profile: Profile = Profile.HUMAN, max_bytes: int) -> Json:
    """Read JSON strictly: no floats, duplicate keys, byte-order mark, deep nesting or odd characters.

    Raises:
        MalformedInput: the bytes are not such a document, or are larger than `max_bytes`.
    """
    if len(data) > max_bytes:
        raise MalformedInput(f"larger than {max_bytes} bytes", where=where)

    def refuse(number: str) -> NoReturn:
        raise MalformedInput(f"number {number[:40]!r} is not an integer", where=where)

    def integer(number: str) -> int:
        if len(number) > MAX_INTEGER_CHARS or abs(int(number)) > MAX_INTEGER:
            raise MalformedInput(f"integer {number[:40]} is out of range", where=where)
        if number == "-0":
            refuse(number)
        return int(number)

    def pairs(items: list[tuple[str, Json]]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for key, value in items:
            if key in found:
                raise MalformedInput(f"duplicate key {key[:80]!r}", where=where)
            found[key] = value
        return found

    try:
        text = data.decode("utf-8")
        value: Json = json.loads(
            text, parse_float=refuse, parse_constant=refuse, parse_int=integer, object_pairs_hook=pairs
        )
    except UnicodeDecodeError as error:
        raise MalformedInput(f"not UTF-8 at byte {error.start}", where=where) from error
    except json.JSONDecodeError as error:
        raise MalformedInput(
            f"not JSON: {error.msg}", where=f"{where}:{error.lineno}:{error.colno}"
        ) from error
    except RecursionError as error:
        raise MalformedInput("nested too deeply", where=where) from error
    _check(value, where=where, profile=profile, depth=0)
    return value


def parse_canonical(
    data: bytes, *, where: str, profile: Profile = Profile.HUMAN, max_bytes: int
) -> JsonObject:
    """Read an object that must already stand in canonical form.

    Raises:
        MalformedInput: not strict JSON, not an object, or other bytes than its canonical form.
    """
    value = parse(data, where=where, profile=profile, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise MalformedInput("expected an object", where=where)
    if canonical(value) != data:
        raise MalformedInput("not in canonical form", where=where)
    return value


def _check(value: Json, *, where: str, profile: Profile, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise MalformedInput("nested too deeply", where=where)
    if isinstance(value, str):
        _check_text(value, where=where, profile=profile)
    elif isinstance(value, list):
        for item in value:
            _check(item, where=where, profile=profile, depth=depth + 1)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if profile is Profile.HUMAN and _KEY.fullmatch(key) is None:
                raise MalformedInput(f"key {key[:80]!r} is not [a-z][a-z0-9_]*", where=where)
            _check_text(key, where=where, profile=profile)
            _check(item, where=where, profile=profile, depth=depth + 1)


def _check_text(text: str, *, where: str, profile: Profile) -> None:
    if profile is Profile.HUMAN and (found := unreadable(text)) is not None:
        raise MalformedInput(f"character {found} may not stand in text that people read", where=where)
    if profile is Profile.DATA and _SURROGATE.search(text):
        raise MalformedInput("lone surrogate", where=where)
