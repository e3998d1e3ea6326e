"""Six words that two people read to each other, so that a plan swapped on its way is heard.

The list is the English one of BIP 39 (words.txt, MIT licence beside it): 2048 words, no two with the same
first four letters. Six words carry 66 bits of the digest.
"""

from __future__ import annotations

import functools
from importlib.resources import files
from typing import Final

_COUNT: Final = 6
_BITS: Final = 11


@functools.cache
def _list() -> tuple[str, ...]:
    return tuple(files("breakglass.authorise").joinpath("words.txt").read_text("ascii").split())


def check_words(digest_hex: str) -> tuple[str, ...]:
    """Return the six words of a sha256 given in hexadecimal."""
    digest = bytes.fromhex(digest_hex)
    number = int.from_bytes(digest, "big")
    bits = len(digest) * 8
    return tuple(_list()[number >> (bits - _BITS * (n + 1)) & (1 << _BITS) - 1] for n in range(_COUNT))
