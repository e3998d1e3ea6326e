"""Collects what is wrong with the files of one folder, so that a person mends all of it in one go."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.errors import BreakglassError, MalformedInput
from breakglass.kit.nodes import Mark

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Complaint:
    """One mistake: where, what, and what would be right."""

    where: str
    what: str
    hint: str = ""


class Complaints:
    """The mistakes found so far, in the order of reading."""

    def __init__(self) -> None:
        """Start with none."""
        self._found: list[Complaint] = []

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def add(self, where: Mark | str, what: str, hint: str = "") -> None:
        """Note one."""
        self._found.append(Complaint(str(where), what, hint))

    def add_error(self, error: BreakglassError, where: Mark | str) -> None:
        """Note an error that stopped the reading of one file; its own place wins over `where`."""
        self.add(error.where or where, error.what)

    def add_unknown(self, where: Mark, field: str, name: str, known: Sequence[str], kinds: str) -> None:
        """Note a name that points at nothing, with the nearest one that exists and the list of them."""
        hint = f"{kinds}: {', '.join(known) or 'none'}"
        self.add(where, f"{field}: {quoted(name)} does not exist{did_you_mean(name, known)}", hint)

    def raise_all(self, remedy: str) -> None:
        """End here if anything was found.

        Raises:
            MalformedInput: the first mistake is `where`, the others follow as lines of their own.
        """
        if not self._found:
            return
        first, *others = self._found
        lines = [first.what, *_hint(first)]
        for other in others[: SHOWN - 1]:
            lines += [f"{other.where}  {other.what}" if other.where else other.what, *_hint(other)]
        if len(others) >= SHOWN:
            lines.append(f"and {len(others) - SHOWN + 1} more")
        raise MalformedInput("\n".join(lines), where=first.where, remedy=remedy)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return ``; did you mean "functions"?`` for a near miss, else nothing."""
    near = difflib.get_close_matches(word[:80], known, n=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def quoted(text: str) -> str:
    """Return the text in double quotes, cut to what fits on a line."""
    return f'"{text[:77]}..."' if len(text) > 80 else f'"{text}"'  # noqa: PLR2004 - one line of a terminal


def _hint(complaint: Complaint) -> list[str]:
    return [f"  {complaint.hint}"] if complaint.hint else []
