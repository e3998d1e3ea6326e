"""Takes secrets out of what is collected, before anything is written; the host provider's rules.

Each secret becomes ``[REDACTED:rule:tag]``; the tag is an HMAC under a key that lives only as long as the
run, so that equal secrets can be told to be equal and none can be guessed afterwards.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

from breakglass.canon import Json
from breakglass_aws.redact_rules import SECRET_NAME, Span, named, private_keys, schemes, shapes, urls

SHORTEST_RANDOM = 20
SHORTEST_ENCODED = 12
ENTROPY_BITS = 3.3
MAX_DEPTH = 40
NO_SECRETS = frozenset(
    {
        "accesskeyid",
        "clienttoken",
        "grantid",
        "key",
        "keyid",
        "kmskeyid",
        "masterkeyid",
        "nexttoken",
        "parameterkey",
        "rolesessionname",
        "secretid",
        "sessionname",
        "tagkeys",
    }
)
"""Names that sound like a secret's and hold an identifier, which is what an investigation needs: an access
key id is none (IAM User Guide, "IAM identifiers": unique identifiers)."""
VARIABLES = frozenset({"environment", "environmentvariables", "variables", "stagevariables"})
"""What programs are started with: no name in it says which value is a secret, so every value goes."""
_LABELS = ("key", "name", "parameterkey", "parametername")
_VALUES = ("value", "parametervalue")
_FLAG = re.compile(r"--?[\w.-]{1,64}", re.ASCII)
_IDENTIFIER = re.compile(r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,28}|[\w+=,.@:/#*-]{1,256}", re.ASCII)
_ENCODED = re.compile(rb"[\w+/=-]{%d,}" % SHORTEST_ENCODED)
_HEX = re.compile(rb"[0-9a-fA-F]{32,}")
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")
_UNSPACED = re.compile(rb"\S+")


class Redactor:
    """Redacts under one key, and counts what it took out, by rule; any number of threads may ask."""

    def __init__(self, key: bytes) -> None:
        """Keep the key; it is never written anywhere."""
        self._key = key
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how often each rule fired: the redaction report, without a value in it."""
        with self._lock:
            return dict(self._counts)

    def text(self, text: str) -> str:
        """Return the text without secrets, in characters that any JSON can carry."""
        data = text.encode("utf-8", "backslashreplace")
        parts, at = [], 0
        for start, end, rule in _merged([*_found(data), *_url_encoded(data), *_encoded(data)]):
            parts += [data[at:start], self._mark(rule, data[start:end]).encode()]
            at = end
        return b"".join([*parts, data[at:]]).decode("utf-8", "backslashreplace")

    def value(self, value: object, *, name: str = "", depth: int = 0) -> Json:
        """Return JSON without secrets: whatever stands under a secret's name goes, all other text by rule."""
        if depth > MAX_DEPTH:
            return "[left out: too deep]"
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list):
            return self._list(value, name, depth)
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        if name.casefold() in NO_SECRETS and _IDENTIFIER.fullmatch(text):
            return text
        if name and name.casefold() not in NO_SECRETS and SECRET_NAME.search(name.encode(errors="replace")):
            return self._mark("named", text.encode("utf-8", "backslashreplace"))
        return value if isinstance(value, int) else self.text(text)

    def _list(self, value: Sequence[object], name: str, depth: int) -> Json:
        """Redact a list; what follows a flag with a secret's name, as on a command line, is its value."""
        found: list[Json] = []
        flag = ""
        for item in value:
            found.append(self.value(item, name=flag or name, depth=depth + 1))
            flag = item if isinstance(item, str) and _FLAG.fullmatch(item) else ""
        return found

    def _object(self, value: Mapping[str, object], depth: int) -> Json:
        """Redact an object; in ``{"key": NAME, "value": X}`` the name is the value's."""
        label = next((str(item) for key, item in value.items() if str(key).casefold() in _LABELS), "")
        found: dict[str, Json] = {}
        for key, item in value.items():
            name = label if label and str(key).casefold() in _VALUES else str(key)
            if str(key).casefold() in VARIABLES:
                found[self.text(str(key))] = self._variables(item, depth + 1)
            else:
                found[self.text(str(key))] = self.value(item, name=name, depth=depth + 1)
        return found

    def _variables(self, value: object, depth: int, *, pair: bool = False) -> Json:
        """Redact every value of what holds variables, and keep their names; a list holds pairs of both."""
        if depth > MAX_DEPTH:
            return "[left out: too deep]"
        if isinstance(value, list):
            return [self._variables(item, depth + 1, pair=True) for item in value]
        if not isinstance(value, Mapping):
            return self._mark("variable", str(value).encode("utf-8", "backslashreplace")) if value else None
        return {
            self.text(str(key)): self.text(str(item))
            if pair and str(key).casefold() in _LABELS
            else self._variables(item, depth + 1)
            for key, item in value.items()
        }

    def _mark(self, rule: str, secret: bytes) -> str:
        with self._lock:
            self._counts[rule] += 1
        tag = hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:10]
        return f"[REDACTED:{rule}:{tag}]"


def _found(data: bytes) -> Iterator[Span]:
    for finder in (shapes, private_keys, named, schemes, urls):
        yield from finder(data)


def _merged(spans: Iterable[Span]) -> Sequence[Span]:
    """Return the spans in order, overlapping ones as one under the name of the longest."""
    merged: list[Span] = []
    for start, end, rule in sorted(span for span in spans if span[0] < span[1]):
        if merged and start < merged[-1][1]:
            before = merged[-1]
            longest = rule if end - start > before[1] - before[0] else before[2]
            merged[-1] = (before[0], max(end, before[1]), longest)
        else:
            merged.append((start, end, rule))
    return merged


def _url_encoded(data: bytes) -> Iterator[Span]:
    """Find runs that hide a secret behind percent encoding, even twice over."""
    if b"%" not in data:
        return
    for run in _UNSPACED.finditer(data):
        text = run[0]
        for _ in range(3):
            if not _PERCENT.search(text):
                break
            text = unquote_to_bytes(text)
            if any(True for _found_one in _found(text)) or any(True for _found_one in _encoded(text)):
                yield *run.span(), "url-encoded"
                break


def _encoded(data: bytes) -> Iterator[Span]:
    """Find long random runs, and base64 that decodes to a secret."""
    for run in _ENCODED.finditer(data):
        if rule := _judge_run(run[0]):
            yield *run.span(), rule


def _judge_run(run: bytes) -> str:
    text = run.strip(b"=-")
    if text.isdigit() or _UUID.fullmatch(text):
        return ""
    if _HEX.search(text):
        return "hex"
    mixed = text != text.lower() and text != text.upper() and any(byte in b"0123456789" for byte in text)
    if len(text) >= SHORTEST_RANDOM and mixed and _entropy(text) >= ENTROPY_BITS:
        return "random"
    padded = text.replace(b"-", b"+").replace(b"_", b"/")
    try:
        decoded = base64.b64decode(padded + b"=" * (-len(padded) % 4), validate=True)
    except binascii.Error:
        return ""
    readable = sum(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in decoded) >= 0.9 * len(decoded)  # noqa: PLR2004 - a stray byte is no proof of binary
    return "base64" if readable and any(True for _one in _found(decoded)) else ""


def _entropy(text: bytes) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
