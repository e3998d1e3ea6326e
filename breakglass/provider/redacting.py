"""Takes secrets out of JSON that a provider collects, before anything is written.

Each secret becomes ``[REDACTED:rule:tag]``; the tag is an HMAC under a key that lives only as long as the
run, so that equal secrets can be told to be equal and none can be guessed afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.provider.redact_rules import SECRET_NAME
from breakglass.provider.redact_spans import by_rule, encoded, merged, url_encoded

MAX_DEPTH = 40
_HOLDERS = frozenset(
    {
        *(
            "content",
            "data",
            "default",
            "literal",
            "plain",
            "plaintext",
            "raw",
            "string",
            "text",
            "value",
            "values",
        ),
        *("bytesvalue", "bytes_value", "stringvalue", "string_value", "secretvalue", "secretstring"),
    }
)
"""What a value is called where it has no name of its own, in lower case."""
_FLAG = re.compile(r"--?[\w.-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Words:
    """What a platform's names mean, all in lower case."""

    identifiers: frozenset[str]
    """Names that sound like a secret's and hold an identifier, which is what an investigation needs."""
    identifies: Callable[[str], object]
    """Whether a text may stand as it is under such a name: an agent writes logs, too."""
    variables: frozenset[str]
    """What programs are started with: no name in it says which value is a secret, so every value goes."""
    labels: tuple[str, ...] = ("key", "name")
    values: tuple[str, ...] = ("value",)
    """In ``{"key": NAME, "value": X}`` the name is the value's."""


class Redactor:
    """Redacts under one key, and counts what it took out, by rule; any number of threads may ask."""

    def __init__(self, key: bytes, words: Words) -> None:
        """Keep the key; it is never written anywhere."""
        self._key = key
        self._words = words
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
        for start, end, rule in merged([*by_rule(data), *url_encoded(data), *encoded(data)]):
            parts += [data[at:start], self._mark(rule, data[start:end]).encode()]
            at = end
        return b"".join([*parts, data[at:]]).decode("utf-8", "backslashreplace")

    def value(self, value: object, *, name: str = "", depth: int = 0) -> Json:
        """Return JSON without secrets: whatever stands under a secret's name goes, all other text by rule."""
        if depth > MAX_DEPTH:
            return "[left out: too deep]"
        if isinstance(value, Mapping):
            return self._object(value, name if self._is_secret(name) else "", depth)
        if isinstance(value, list):
            return self._list(value, name, depth)
        if value is None or isinstance(value, bool):
            return value
        text = str(value)
        if name.casefold() in self._words.identifiers and self._words.identifies(text):
            return text
        if self._is_secret(name):
            return self._mark("named", text.encode("utf-8", "backslashreplace"))
        return value if isinstance(value, int) else self.text(text)

    def _is_secret(self, name: str) -> bool:
        known = not name or name.casefold() in self._words.identifiers
        return not known and SECRET_NAME.search(name.encode(errors="replace")) is not None

    def _list(self, value: Sequence[object], name: str, depth: int) -> Json:
        """Redact a list; what follows a flag with a secret's name, as on a command line, is its value."""
        found: list[Json] = []
        flag = ""
        for item in value:
            found.append(
                self.value(item, name=name if self._is_secret(name) else flag or name, depth=depth + 1)
            )
            flag = item if isinstance(item, str) and _FLAG.fullmatch(item) else ""
        return found

    def _object(self, value: Mapping[str, object], above: str, depth: int) -> Json:
        """Redact an object: in ``{"key": NAME, "value": X}`` the name is the value's.

        `above` is the secret's name that it stands under, if any, and of what merely holds a value in it.
        Names that sound like a secret's stand above much that is none (``authorizationInfo``): that stays.
        """
        labels = [str(item) for key, item in value.items() if str(key).casefold() in self._words.labels]
        label = next(filter(self._is_secret, labels), labels[0] if labels else "")
        found: dict[str, Json] = {}
        for key, item in value.items():
            name = label if label and str(key).casefold() in self._words.values else str(key)
            if above and str(key).casefold() in _HOLDERS:
                name = above
            if str(key).casefold() in self._words.variables:
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
            if pair and str(key).casefold() in self._words.labels
            else self._variables(item, depth + 1)
            for key, item in value.items()
        }

    def _mark(self, rule: str, secret: bytes) -> str:
        with self._lock:
            self._counts[rule] += 1
        tag = hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:10]
        return f"[REDACTED:{rule}:{tag}]"
