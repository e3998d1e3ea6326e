"""Takes secrets out of what is collected, before anything is written.

Each secret becomes ``[REDACTED:rule:tag]``; the tag is an HMAC under a key that lives only as long as the
run, so that equal secrets can be told to be equal and none can be guessed afterwards. Beside the rules of
`redact_rules` it finds what it was told (`Redactor.learn`): the values of secret-named variables and the
contents of the agent's credential files, also base64 or URL encoded and across a line break.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import threading
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote_from_bytes

from breakglass.provider.redact_rules import SECRET_NAME, Span, shapes
from breakglass.provider.redact_spans import SHORTEST_RANDOM, by_rule, encoded, merged, url_encoded

BLOCK = 65_536
"""Bytes that are searched in one go: `re` keeps the interpreter's lock, and a freeze must not wait for it."""
OVERLAP = 20_480
"""Longer than the longest bounded secret, so that none is cut in two."""
SHORTEST_LEARNT = 6
_MAX_LEARNT = 20_000

_BREAK = re.compile(rb"(?:\\?\r?\n|(?:\\r)?\\n)[ \t]*(?!\d{4}-\d\d|[A-Z][a-z]{2} [ \d]\d |[ \t\r\n])")
"""A line break inside a secret; not one before a time stamp, where a new entry begins."""
_GOES_ON = re.compile(rb"(?:\\?\r?\n|(?:\\r)?\\n)[ \t]*([\w+/=~.-]+)(?=[\"'\\,;)\]}]*[ \t]*(?:\r?\n|\Z))")
_RUN = re.compile(rb"[\w+/=~%.:-]*")


class Redactor:
    """Redacts bytes under one key, and counts what it took out, by rule."""

    def __init__(self, key: bytes) -> None:
        """Keep the key; it is never written anywhere."""
        self._key = key
        self._known: set[bytes] = set()
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._remembered: dict[bytes, bytes] = {}

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how often each rule fired: the redaction report, without a value in it."""
        return dict(self._counts)

    def learn(self, secret: bytes) -> None:
        """Take this exact value out from now on, wherever it stands, also encoded."""
        value = secret.strip()
        if len(value) < SHORTEST_LEARNT or len(self._known) > _MAX_LEARNT:
            return
        forms = {value, quote_from_bytes(value, safe="").encode(), *_base64_cores(value)}
        self._known |= {form for form in forms if len(form) >= SHORTEST_LEARNT}
        self._remembered.clear()

    def learn_file(self, data: bytes) -> None:
        """Learn the content of a credential file: whole, and each longer word of it."""
        self.learn(data)
        for word in re.split(rb"[\s\"'=,{}\[\]]+", data):
            if len(word) >= 8:  # noqa: PLR2004 - shorter words are words, not secrets
                self.learn(word)

    def data(self, data: bytes, *, path: bool = False) -> bytes:
        """Return the bytes without secrets. `path`: a file's name, where a long random run is no secret."""
        return self._replace(data, self._spans(data, path=path))

    def text(self, data: bytes, *, path: bool = False) -> str:
        """Return redacted text that any JSON can carry; equal input is looked at once."""
        found = self._remembered.get(data)
        if found is None:
            found = self.data(data, path=path)
            if len(self._remembered) < _MAX_LEARNT:
                self._remembered[data] = found
        return found.decode("utf-8", "backslashreplace")

    def environment(self, block: bytes) -> list[str]:
        """Return ``NAME=value`` items of an environment; a secret-named one keeps only its name."""
        items = []
        for item in block.split(b"\0"):
            name, equals, value = item.partition(b"=")
            if equals and SECRET_NAME.search(name) and value:
                self.learn(value)
                items.append(f"{self.text(name)}={self._mark('named', value).decode()}")
            elif item:
                items.append(self.text(item))
        return items

    def arguments(self, block: bytes) -> list[str]:
        """Return the words of a command line; one that follows a secret-named flag is taken out whole."""
        words = block.removesuffix(b"\0").split(b"\0")
        found: list[str] = []
        for n, word in enumerate(words):
            before = words[n - 1] if n else b""
            if n and _follows_secret_flag(before) and not word.startswith(b"-"):
                self.learn(word)
                found.append(self._mark("argument", word).decode())
            elif n and _is_short_password(words[0], word):
                self.learn(word[2:])
                found.append("-p" + self._mark("argument", word[2:]).decode())
            else:
                found.append(self.text(word))
        return found

    def stream(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Redact a long text block by block; no secret is lost at the seam between two blocks."""
        waiting, inside = b"", False
        for chunk in chunks:
            waiting += chunk
            while len(waiting) >= BLOCK + OVERLAP:
                ready, waiting, inside = self._cut(waiting, inside=inside)
                yield ready
        if waiting:
            yield self._replace(waiting, self._spans(waiting, inside=inside))

    def _cut(self, waiting: bytes, *, inside: bool) -> tuple[bytes, bytes, bool]:
        window = waiting[: BLOCK + OVERLAP]
        spans = self._spans(window, inside=inside)
        at = window.rfind(b"\n", 1, BLOCK) + 1 or BLOCK
        covering = [span for span in spans if span[0] < at < span[1]]
        if covering:
            at = covering[-1][1]
        ready = self._replace(window[:at], [span for span in spans if span[1] <= at])
        return ready, waiting[at:], bool(covering) and at == len(window)

    def _mark(self, rule: str, secret: bytes) -> bytes:
        with self._lock:
            self._counts[rule] += 1
        tag = hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:10]
        return f"[REDACTED:{rule}:{tag}]".encode()

    def _replace(self, data: bytes, spans: Sequence[Span]) -> bytes:
        parts, at = [], 0
        for start, end, rule in spans:
            parts += [data[at:start], self._mark(rule, data[start:end])]
            at = end
        return b"".join([*parts, data[at:]])

    def _spans(self, data: bytes, *, path: bool = False, inside: bool = False) -> list[Span]:
        found = [*self._found(data), *self._across_breaks(data), *url_encoded(data)]
        if not path:
            found += encoded(data)
        if inside and (run := _RUN.match(data)) is not None and run.end():
            found.append((0, run.end(), "continued"))
        return _going_on(data, merged(found))

    def _found(self, data: bytes) -> Iterator[Span]:
        yield from by_rule(data)
        yield from self._learnt(data)

    def _learnt(self, data: bytes) -> Iterator[Span]:
        for secret in self._known:
            at = data.find(secret)
            while at >= 0:
                yield at, at + len(secret), "known"
                at = data.find(secret, at + len(secret))

    def _across_breaks(self, data: bytes) -> Iterator[Span]:
        """Find shapes and learnt values that a line break cuts in two."""
        joined, offsets, seams, at, length = [], [], [], 0, 0
        for seam in _BREAK.finditer(data):
            joined.append(data[at : seam.start()])
            offsets.append((length, at))
            length += seam.start() - at
            seams.append(length)
            at = seam.end()
        if not seams:
            return
        offsets.append((length, at))
        whole = b"".join([*joined, data[at:]])
        for start, end, rule in [*shapes(whole), *self._learnt(whole)]:
            if any(start < seam < end for seam in _between(seams, start, end)):
                yield _original(offsets, start), _original(offsets, end - 1) + 1, rule


def _between(values: Sequence[int], low: int, high: int) -> Sequence[int]:
    return values[bisect_left(values, low) : bisect_right(values, high)]


def _original(offsets: Sequence[tuple[int, int]], at: int) -> int:
    length, start = offsets[bisect_right(offsets, (at, 1 << 62)) - 1]
    return start + at - length


def _going_on(data: bytes, spans: Sequence[Span]) -> list[Span]:
    """Let a secret that ends with its line take along next lines that are nothing but more of it."""
    longer = []
    for start, end, rule in spans:
        at = end
        while end - start >= SHORTEST_RANDOM and (more := _GOES_ON.match(data, at)) is not None:
            at = more.end(1)
        longer.append((start, at, rule))
    return merged(longer)


def _base64_cores(value: bytes) -> Iterator[bytes]:
    """Yield what all base64 texts that contain `value` have in common, one for each alignment."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + value).rstrip(b"=")
        core = encoded[(0, 2, 3)[shift] : len(encoded) - ((len(value) + shift) % 3 > 0)]
        yield core
        yield core.replace(b"+", b"-").replace(b"/", b"_")


def _follows_secret_flag(flag: bytes) -> bool:
    if not flag.startswith(b"-") or b"=" in flag:
        return False
    return flag in {b"-u", b"--user", b"-H", b"--header"} or SECRET_NAME.search(flag) is not None


def _is_short_password(program: bytes, word: bytes) -> bool:
    """Return True for ``-pSECRET`` of the programs that spell it so."""
    name = program.rsplit(b"/", 1)[-1]
    return word.startswith(b"-p") and len(word) > 2 and name.startswith((b"mysql", b"mariadb", b"sshpass"))  # noqa: PLR2004 - "-p" itself
