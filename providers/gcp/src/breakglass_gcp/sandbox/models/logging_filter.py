"""The part of the Logging query language that filters of this repository are written in.

Logging documentation, "Logging query language": comparisons of a field's path (``=``, ``!=``, ``:``, ``>=``,
``<=``, ``>``, ``<``) with one value or ``("a" OR "b")``, joined by AND, OR and NOT; text is compared without
case, OR binds closer than AND. What is not understood is refused, as the service does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(
    r'\s*(?:(>=|<=|!=|[=:><()])|("(?:[^"\\]|\\.)*"(?:\.\S+)?)|([^\s()=:><!"]+(?:"[^"]*")?[^\s()=:><!"]*))'
)
_OPERATORS = frozenset({"=", "!=", ":", ">=", "<=", ">", "<"})
SEVERITIES = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
MOST = 20_000
"""ListLogEntriesRequest.filter: "The maximum length of a filter is 20,000 characters"."""


class FilterError(ValueError):
    """The filter is none."""


def compiled(text: str) -> Test:
    """Return what tells whether an entry, as JSON, meets a filter.

    Raises:
        FilterError: it is none, or more than is understood here.
    """
    if len(text) > MOST:
        raise FilterError("the filter is too long")
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    reader = _Reader(tokens)
    test = reader.conjunction()
    if reader.left():
        raise FilterError(f"unexpected {reader.left()[0]!r}")
    return test


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    text = re.sub(r"--[^\n]*", "", text)
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterError(f"cannot be read at {text[at : at + 20]!r}")
        found.append(match[1] or match[2] or match[3])
        at = match.end()
    return found


class _Reader:
    """Reads tokens by recursive descent."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def left(self) -> list[str]:
        return self._tokens[self._at :]

    def conjunction(self) -> Test:
        tests = [self._disjunction()]
        while self.left() and self.left()[0] != ")":
            if self.left()[0] == "AND":
                self._at += 1
            tests.append(self._disjunction())
        return lambda entry: all(test(entry) for test in tests)

    def _disjunction(self) -> Test:
        tests = [self._term()]
        while self.left() and self.left()[0] == "OR":
            self._at += 1
            tests.append(self._term())
        return lambda entry: any(test(entry) for test in tests)

    def _term(self) -> Test:
        word = self._next()
        if word == "NOT":
            test = self._term()
            return lambda entry: not test(entry)
        if word == "(":
            inner = self.conjunction()
            self._expect(")")
            return inner
        if word in _OPERATORS or word == ")":
            raise FilterError(f"unexpected {word!r}")
        if not self.left() or self.left()[0] not in _OPERATORS:
            return _anywhere(_plain(word))
        return _comparison(_path(word), self._next(), self._values())

    def _values(self) -> list[str]:
        word = self._next()
        if word != "(":
            return [_plain(word)]
        found = [_plain(self._next())]
        while self.left() and self.left()[0] == "OR":
            self._at += 1
            found.append(_plain(self._next()))
        self._expect(")")
        return found

    def _next(self) -> str:
        if not self.left():
            raise FilterError("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise FilterError(f"{token!r} is missing")


def _comparison(path: list[str], operator: str, values: list[str]) -> Test:
    wanted = [one.casefold() for one in values]

    def test(entry: Mapping[str, Any]) -> bool:
        seen = _at(entry, path)
        if operator in {"=", ":", "!="}:
            texts = [str(one).casefold() for one in seen]
            if operator == ":":
                return any(one in text for text in texts for one in wanted)
            return any(text in wanted for text in texts) is (operator == "=")
        return any(_ordered(path, operator, one, values[0]) for one in seen)

    return test


def _ordered(path: list[str], operator: str, seen: object, wanted: str) -> bool:
    left, right = _key(path, str(seen)), _key(path, wanted)
    met = {">=": left >= right, "<=": left <= right, ">": left > right, "<": left < right}
    return bool(met[operator])


def _key(path: list[str], value: str) -> Any:  # noqa: ANN401 - whatever this field is ordered by
    if path == ["severity"]:
        return SEVERITIES.index(value) if value in SEVERITIES else 0
    if path[-1].lower().endswith("timestamp"):
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value


def _at(value: Any, path: list[str]) -> list[Any]:  # noqa: ANN401 - JSON
    """Return what lies at a path; through a list: of each of its items."""
    if isinstance(value, list):
        return [found for one in value for found in _at(one, path)]
    if not path:
        return [] if value is None else [value]
    return _at(value.get(path[0]), path[1:]) if isinstance(value, Mapping) else []


def _anywhere(text: str) -> Test:
    return lambda entry: text.casefold() in str(entry).casefold()


def _path(token: str) -> list[str]:
    return [one[1:-1] if one.startswith('"') else one for one in re.findall(r'"[^"]*"|[^."]+', token)]


def _plain(token: str) -> str:
    if token.startswith('"'):
        return re.sub(r"\\(.)", r"\1", token[1:-1])
    if token in _OPERATORS or token in {"(", ")"}:
        raise FilterError(f"unexpected {token!r}")
    return token
