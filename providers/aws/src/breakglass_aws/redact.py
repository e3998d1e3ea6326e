"""Takes secrets out of what is collected, before anything is written.

Each secret becomes ``[REDACTED:rule:tag]``; the tag is an HMAC under a key that lives only as long as the
run, so that equal secrets can be told to be equal and none can be guessed afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from breakglass.canon import Json
from breakglass.provider.redact_rules import SECRET_NAME
from breakglass.provider.redact_spans import by_rule, encoded, merged, url_encoded

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
        for start, end, rule in merged([*by_rule(data), *url_encoded(data), *encoded(data)]):
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
