"""Writes values, lists and label selectors as CEL, whatever characters they hold; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from breakglass_kubernetes.selector import Requirement, Selector

CHUNK = 40_000
"""Characters of one list: an expression may hold 100,000 code points (cel-go, parser options)."""
_BMP = 0xFFFF


def quote(text: str) -> str:
    """Return a string literal (CEL language definition, "String and Bytes Values")."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(one: str) -> str:
    if one in '"\\':
        return "\\" + one
    if " " <= one <= "~":
        return one
    return f"\\u{ord(one):04x}" if ord(one) <= _BMP else f"\\U{ord(one):08x}"


def among(what: str, values: Sequence[str]) -> str:
    """Return whether `what` is one of constant values."""
    if not values:
        return "false"
    return f"{what} in [{', '.join(map(quote, values))}]"


def either(parts: Iterable[str]) -> str:
    """Return whether any of these holds."""
    wanted = [f"({part})" for part in parts if part != "false"]
    return " || ".join(wanted) if wanted else "false"


def selected(labels: str, selector: str) -> str:
    """Return whether `labels` meet a selector; one without requirements selects nothing (`Selector`)."""
    requirements = Selector.parse(selector).requirements
    return " && ".join(_holds(labels, one) for one in requirements) if requirements else "false"


def _holds(labels: str, one: Requirement) -> str:
    present = f"{quote(one.key)} in {labels}"
    if one.values is not None:
        present += f" && {labels}[{quote(one.key)}] in [{', '.join(map(quote, sorted(one.values)))}]"
    return f"({present})" if one.wanted else f"!({present})"


@dataclass(slots=True)
class Variables:
    """The variables of a policy, in the order in which each may use those before it."""

    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, text: str) -> str:
        """Add one and return how the others call it."""
        self.texts[name] = text
        return f"variables.{name}"

    def parts(self, name: str, values: Sequence[str], test: Callable[[str], str]) -> tuple[str, ...]:
        """Return `test` of a constant list that holds all values: cut in pieces where it is long."""
        lists = list(_lists(tuple(dict.fromkeys(values))))
        if len(lists) <= 1:
            return tuple(test(one) for one in lists)
        return tuple(self.add(f"{name}_{n}", test(one)) for n, one in enumerate(lists))

    def any(self, name: str, values: Sequence[str], test: Callable[[str], str]) -> str:
        """Return whether `test` holds of a constant list with all values; false where there are none."""
        return either(self.parts(name, values, test))


def _lists(values: Sequence[str]) -> Iterator[str]:
    piece: list[str] = []
    length = 0
    for value in map(quote, values):
        if piece and length + len(value) > CHUNK:
            yield f"[{', '.join(piece)}]"
            piece, length = [], 0
        piece.append(value)
        length += len(value) + 2
    if piece:
        yield f"[{', '.join(piece)}]"
