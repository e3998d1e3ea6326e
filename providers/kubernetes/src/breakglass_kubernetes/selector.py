"""Label selectors, parsed once (Kubernetes documentation, "Labels and Selectors")."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_KEY = r"(?:[A-Za-z0-9][A-Za-z0-9.-]{0,252}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_VALUE = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})", re.ASCII)
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)", re.ASCII)
_EXISTS = re.compile(rf"(!?)\s*({_KEY})", re.ASCII)
_LABEL_VALUE = re.compile(_VALUE, re.ASCII)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One part of a selector; all of them must hold."""

    key: str
    values: frozenset[str] | None
    """None: the key's presence alone is asked for."""
    wanted: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it: an absent key meets ``!=``, ``notin`` and ``!key``."""
        if self.values is None:
            return (self.key in labels) is self.wanted
        return (labels.get(self.key) in self.values) is self.wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; one without requirements selects nothing here, lest a slip select everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read ``a=b,c!=d,e in (x,y),f notin (z),g,!h``. Raises ValueError: it is none."""
        return cls(tuple(_requirement(part.strip()) for part in _parts(text)) if text.strip() else ())

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels are selected."""
        return bool(self.requirements) and all(one.holds(labels) for one in self.requirements)


def _parts(text: str) -> list[str]:
    """Return the parts between commas that stand outside of parentheses."""
    return re.split(r",(?![^(]*\))", text)


def _requirement(text: str) -> Requirement:
    if (found := _EQUAL.fullmatch(text)) is not None:
        key, sign, value = found.groups()
        return Requirement(key, frozenset({value}), wanted=sign != "!=")
    if (found := _SET.fullmatch(text)) is not None:
        key, word, listed = found.groups()
        values = frozenset(value.strip() for value in listed.split(","))
        if all(_LABEL_VALUE.fullmatch(value) for value in values):
            return Requirement(key, values, wanted=word == "in")
    if (found := _EXISTS.fullmatch(text)) is not None:
        return Requirement(found[2], None, wanted=not found[1])
    raise ValueError(f"{text!r} is no part of a label selector")
