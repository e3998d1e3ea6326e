"""The few SSH wire types that keys, signatures and the ssh-agent protocol are made of (RFC 4251, 5)."""

from __future__ import annotations

import struct
from typing import Final

from breakglass.errors import NotAuthorised

_LENGTH: Final = struct.Struct(">I")


def string(data: bytes) -> bytes:
    """Return a length-prefixed string."""
    return _LENGTH.pack(len(data)) + data


def u32(number: int) -> bytes:
    """Return a 32-bit unsigned integer."""
    return _LENGTH.pack(number)


def mpint(number: int) -> bytes:
    """Return a positive integer in its shortest form."""
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big"))


class Reader:
    """Takes values from the front of a buffer; everything that does not fit is refused."""

    def __init__(self, data: bytes, what: str) -> None:
        """Read from `data`; `what` names it in messages."""
        self._data = data
        self._at = 0
        self._what = what

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes. Raises NotAuthorised when fewer are left."""
        if size > len(self._data) - self._at:
            raise NotAuthorised(f"{self._what} is cut short")
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def u32(self) -> int:
        """Return a 32-bit unsigned integer."""
        return int(_LENGTH.unpack(self.take(4))[0])

    def string(self) -> bytes:
        """Return a length-prefixed string."""
        return self.take(self.u32())

    def positive_mpint(self) -> int:
        """Return an integer greater than zero that stands in its shortest form (RFC 4251).

        Raises:
            NotAuthorised: zero, negative, or padded, which would give one signature many spellings.
        """
        raw = self.string()
        if not raw or raw[0] >= 0x80:  # noqa: PLR2004 - the sign bit
            raise NotAuthorised(f"{self._what} holds a number that is not positive")
        if raw[0] == 0 and (len(raw) == 1 or raw[1] < 0x80):  # noqa: PLR2004 - the sign bit
            raise NotAuthorised(f"{self._what} holds a number that is not in its shortest form")
        return int.from_bytes(raw, "big")

    def end(self) -> None:
        """Require that nothing is left. Raises NotAuthorised: trailing bytes."""
        if self._at != len(self._data):
            raise NotAuthorised(f"{self._what} has trailing bytes")
