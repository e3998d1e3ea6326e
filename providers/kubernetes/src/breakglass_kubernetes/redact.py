"""Takes secrets out of what is collected, before anything is written.

Each secret becomes ``[REDACTED:rule:tag]``; the tag is an HMAC under a key that lives only as long as the
run, so that equal secrets can be told to be equal and none can be guessed afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from breakglass.canon import Json
from breakglass.provider.redact_rules import SECRET_NAME
from breakglass.provider.redact_spans import by_rule, encoded, merged, url_encoded

MAX_DEPTH = 60
NO_SECRETS = frozenset({"key", "topologykey", "secretname", "sessionaffinity", "tokenexpirationseconds"})
"""Names that sound like a secret's and hold a name, which is what an investigation needs."""
_KEPT = ("authorization.k8s.io/", "authentication.k8s.io/", "authentication.kubernetes.io/")
"""Why a request was allowed, and the id of the token that was shown (Kubernetes documentation, "Audit
Annotations" and "Managing Service Accounts"): read by rule alone."""
VARIABLES = "env"
"""What containers are started with: no name in it says which value is a secret, so every value goes."""
_LABELS, _VALUES = ("key", "name"), ("value",)
_FLAG = re.compile(r"--?[\w.-]{1,64}", re.ASCII)
_IDENTIFIER = re.compile(r"[\w+=,.@:/#*-]{1,256}", re.ASCII)
_SHORT, _REMEMBERED = 200, 50_000
_INNER = 1024 * 1024
"""The longest text that is read as JSON inside of JSON (``last-applied-configuration``)."""


class Redactor:
    """Redacts under one key, and counts what it took out, by rule; any number of threads may ask."""

    def __init__(self, key: bytes) -> None:
        """Keep the key; it is never written anywhere."""
        self._key = key
        self._counts: Counter[str] = Counter()
        self._clean: set[str] = set()
        self._lock = threading.Lock()

    @property
    def counts(self) -> Mapping[str, int]:
        """Return how often each rule fired: the redaction report, without a value in it."""
        with self._lock:
            return dict(self._counts)

    def text(self, text: str) -> str:
        """Return the text without secrets, in characters that any JSON can carry."""
        # Thousands of pods of one template say the same.
        if text in self._clean:
            return text
        data = text.encode("utf-8", "backslashreplace")
        parts, at = [], 0
        for start, end, rule in merged([*by_rule(data), *url_encoded(data), *encoded(data)]):
            parts += [data[at:start], self._mark(rule, data[start:end]).encode()]
            at = end
        found = b"".join([*parts, data[at:]]).decode("utf-8", "backslashreplace")
        if found == text and len(text) <= _SHORT and len(self._clean) < _REMEMBERED:
            self._clean.add(text)
        return found

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
        text, plain = str(value), name.casefold()
        if plain in NO_SECRETS and _IDENTIFIER.fullmatch(text):
            return text
        kept = plain in NO_SECRETS or plain.startswith(_KEPT)
        if name and not kept and SECRET_NAME.search(name.encode(errors="replace")):
            return self._mark("named", text.encode("utf-8", "backslashreplace"))
        if isinstance(value, int | float):
            return value if isinstance(value, int) else text
        return self._inner(text, depth) if text[:1] in {"{", "["} else self.text(text)

    def _inner(self, text: str, depth: int) -> str:
        """Redact JSON that stands in a text, as an annotation of kubectl's does, by what it means."""
        try:
            found = json.loads(text) if len(text) <= _INNER else None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, Mapping | list):
            return self.text(text)
        return json.dumps(self.value(found, depth=depth + 1), separators=(",", ":"), ensure_ascii=True)

    def _list(self, value: Sequence[object], name: str, depth: int) -> Json:
        """Redact a list; what follows a flag with a secret's name, as on a command line, is its value."""
        found: list[Json] = []
        flag = ""
        for item in value:
            found.append(self.value(item, name=flag or name, depth=depth + 1))
            flag = item if isinstance(item, str) and _FLAG.fullmatch(item) else ""
        return found

    def _object(self, value: Mapping[str, object], depth: int) -> Json:
        """Redact an object; in ``{"name": NAME, "value": X}`` the name is the value's."""
        label = next((str(item) for key, item in value.items() if str(key).casefold() in _LABELS), "")
        found: dict[str, Json] = {}
        for key, item in value.items():
            name = label if label and str(key).casefold() in _VALUES else str(key)
            if key == VARIABLES and isinstance(item, list):
                found[VARIABLES] = [self._variable(one, depth + 1) for one in item]
            else:
                found[self.text(str(key))] = self.value(item, name=name, depth=depth + 1)
        return found

    def _variable(self, value: object, depth: int) -> Json:
        """Redact the value of one variable; its name, and where it comes from, stay."""
        if not isinstance(value, Mapping):
            return self.value(value, name="secret", depth=depth)
        return {
            self.text(str(key)): self._mark("variable", str(item).encode("utf-8", "backslashreplace"))
            if key not in {"name", "valueFrom"} and item
            else self.value(item, depth=depth)
            for key, item in value.items()
        }

    def _mark(self, rule: str, secret: bytes) -> str:
        with self._lock:
            self._counts[rule] += 1
        tag = hmac.new(self._key, secret, hashlib.sha256).hexdigest()[:10]
        return f"[REDACTED:{rule}:{tag}]"
