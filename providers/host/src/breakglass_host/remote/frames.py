"""Cuts a stream of bytes into messages: four bytes of length, then JSON. Both ends of a connection use it.

What comes in is hostile: its length is checked before it is kept, its shape before it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NoReturn

from breakglass.errors import MalformedInput

MAX_MESSAGE = 48 * 1024 * 1024
"""A state may have 32 MiB (breakglass.model.resource); escapes make it longer."""
MAX_VALUES = 1_000_000
"""So many values at most: 48 MiB of empty lists would take gigabytes of memory."""
MAX_NUMBER = 40
HEADER = 4

Message = Mapping[str, object]


class Frames:
    """The bytes of one direction."""

    def __init__(self, largest: int = MAX_MESSAGE) -> None:
        """Start with nothing."""
        self._largest = largest
        self._kept = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what was read; return the messages that are whole by now.

        Raises:
            MalformedInput: a length that no message may have.
        """
        self._kept += data
        found, at = [], 0
        while len(self._kept) - at >= HEADER:
            size = int.from_bytes(self._kept[at : at + HEADER], "big")
            if not 0 < size <= self._largest:
                raise MalformedInput(f"a message of {size} bytes")
            if len(self._kept) - at < HEADER + size:
                break
            found.append(bytes(self._kept[at + HEADER : at + HEADER + size]))
            at += HEADER + size
        del self._kept[:at]
        return found


def pack(message: Message) -> bytes:
    """Return a message as it travels; a lone surrogate of a file name is escaped and comes back as it was.

    Raises:
        MalformedInput: it is too large.
    """
    data = json.dumps(message, separators=(",", ":"), allow_nan=False).encode()
    if len(data) > MAX_MESSAGE:
        raise MalformedInput(f"a message of {len(data)} bytes, more than {MAX_MESSAGE}")
    return len(data).to_bytes(HEADER, "big") + data


def unpack(data: bytes) -> Message:
    """Read one message.

    Raises:
        MalformedInput: it is no JSON object, or one that nobody of ours would write.
    """
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        raise MalformedInput("a message of too many values")
    try:
        found = json.loads(data, parse_int=_integer, parse_constant=_refuse, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise MalformedInput(f"a message that is not JSON: {error}"[:200]) from error
    if not isinstance(found, dict):
        raise MalformedInput("a message that is not an object")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER:
        raise MalformedInput("a number of too many digits")
    return int(text)


def _refuse(text: str) -> NoReturn:
    raise MalformedInput(f"{text} is not a number")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedInput("a key that stands twice")
    return found
