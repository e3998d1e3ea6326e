"""Finds secrets in bytes: by the rules, behind percent encoding, in base64, and as long random runs."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import unquote_to_bytes

from breakglass.provider.redact_rules import Span, named, private_keys, schemes, shapes, urls

SHORTEST_RANDOM = 20
SHORTEST_ENCODED = 12
ENTROPY_BITS = 3.3
_ENCODED = re.compile(rb"[\w+/=-]{%d,}" % SHORTEST_ENCODED)
_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_UNSPACED = re.compile(rb"\S+")


def by_rule(data: bytes) -> Iterator[Span]:
    """Find what the rules know."""
    for finder in (shapes, private_keys, named, schemes, urls):
        yield from finder(data)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, overlapping ones as one under the name of the longest."""
    joined: list[Span] = []
    for start, end, rule in sorted(span for span in spans if span[0] < span[1]):
        if joined and start < joined[-1][1]:
            before = joined[-1]
            longest = rule if end - start > before[1] - before[0] else before[2]
            joined[-1] = (before[0], max(end, before[1]), longest)
        else:
            joined.append((start, end, rule))
    return joined


def url_encoded(data: bytes) -> Iterator[Span]:
    """Find runs that hide a secret behind percent encoding, even twice over."""
    if b"%" not in data:
        return
    for run in _UNSPACED.finditer(data):
        text = run[0]
        for _ in range(3):
            if not _PERCENT.search(text):
                break
            text = unquote_to_bytes(text)
            if any(True for _found in by_rule(text)) or any(True for _found in encoded(text)):
                yield *run.span(), "url-encoded"
                break


def encoded(data: bytes) -> Iterator[Span]:
    """Find long random runs, and base64 that decodes to a secret."""
    for run in _ENCODED.finditer(data):
        rule = _judge_run(run[0])
        if rule:
            yield *run.span(), rule


def _judge_run(run: bytes) -> str:
    text = run.strip(b"=-")
    if text.isdigit() or _UUID.fullmatch(text):
        return ""
    if _HEX.search(text):
        return "hex"
    if len(text) >= SHORTEST_RANDOM and _is_mixed(text) and _entropy(text) >= ENTROPY_BITS:
        return "random"
    padded = text.replace(b"-", b"+").replace(b"_", b"/")
    try:
        decoded = base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except binascii.Error:
        return ""
    readable = sum(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in decoded) >= 0.9 * len(decoded)  # noqa: PLR2004 - a stray byte is no proof of binary
    return "base64" if readable and any(True for _found in by_rule(decoded)) else ""


def _is_mixed(text: bytes) -> bool:
    return text != text.lower() and text != text.upper() and any(byte in b"0123456789" for byte in text)


def _entropy(text: bytes) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
