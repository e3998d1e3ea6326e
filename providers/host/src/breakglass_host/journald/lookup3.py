"""Computes the hash of journal files without a key: Bob Jenkins' lookup3, as 64 bits.

Source: systemd.io/JOURNAL_FILE_FORMAT, "Basics": ``hashlittle2()``, its first result as the higher 32 bits.
It is written out in one function, since it runs once for every distinct field of every entry.
"""

from __future__ import annotations

import struct

_START = 0xDEADBEEF
_WORD = 0xFFFFFFFF
_BLOCK = 12


def hash64(data: bytes) -> int:
    """Return the hash of a field's name, or of a field with its name."""
    length = len(data)
    a = b = c = (_START + length) & _WORD
    if not length:
        return (c << 32) | b
    data += bytes(-length % _BLOCK)
    words = iter(struct.unpack(f"<{len(data) // 4}I", data))
    blocks = zip(words, words, words, strict=True)
    for _ in range(len(data) // _BLOCK - 1):
        x, y, z = next(blocks)
        a, b, c = a + x, b + y, c + z
        c &= _WORD
        a = (a - c) & _WORD ^ ((c << 4) & _WORD | c >> 28)
        c += b
        b = (b - a) & _WORD ^ ((a << 6) & _WORD | a >> 26)
        a += c
        c = (c - b) & _WORD ^ ((b << 8) & _WORD | b >> 24)
        b = (b + a) & _WORD
        a = (a - c) & _WORD ^ ((c << 16) & _WORD | c >> 16)
        c += b
        b = (b - a) & _WORD ^ ((a << 19) & _WORD | a >> 13)
        a += c
        c = (c - b) & _WORD ^ ((b << 4) & _WORD | b >> 28)
        b += a
    x, y, z = next(blocks)
    return _final((a + x) & _WORD, (b + y) & _WORD, (c + z) & _WORD)


def _final(a: int, b: int, c: int) -> int:
    c = ((c ^ b) - ((b << 14) & _WORD | b >> 18)) & _WORD
    a = ((a ^ c) - ((c << 11) & _WORD | c >> 21)) & _WORD
    b = ((b ^ a) - ((a << 25) & _WORD | a >> 7)) & _WORD
    c = ((c ^ b) - ((b << 16) & _WORD | b >> 16)) & _WORD
    a = ((a ^ c) - ((c << 4) & _WORD | c >> 28)) & _WORD
    b = ((b ^ a) - ((a << 14) & _WORD | a >> 18)) & _WORD
    c = ((c ^ b) - ((b << 24) & _WORD | b >> 8)) & _WORD
    return (c << 32) | b
