"""Finds providers through the entry-point group ``breakglass.providers``, never doing more than it must.

Three steps of laziness: `names` reads package metadata and runs no provider code; `card` imports one
provider's card; `Card.connect` imports its SDK. A provider that cannot be used is one error of its own and
never keeps another from working.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from breakglass.errors import Unsupported, UsageError
from breakglass.provider import API_VERSION, ENTRY_POINT_GROUP, Card

if TYPE_CHECKING:
    from importlib.metadata import Distribution


@dataclass(frozen=True, slots=True)
class Listed:
    """One claim to a provider's name, as package metadata states it."""

    name: str
    distribution: str
    version: str
    target: str
    """``module:attribute`` of the card."""
    problem: str = ""
    """Why this claim cannot be used, in words; empty when nothing is known against it."""

    @property
    def pin(self) -> str:
        """Return ``distribution version``, which a plan signs so that another package cannot slip in."""
        return f"{self.distribution} {self.version}"


def names() -> tuple[Listed, ...]:
    """Return every claim to a provider's name, sorted; claims that cannot be used say why."""
    return _listed(tuple(sys.path))


def listed(name: str) -> Listed:
    """Return the one usable claim to `name`.

    Raises:
        UsageError: no installed package provides it.
        Unsupported: two packages claim it, or the package's own metadata cannot be read.
    """
    claims = [claim for claim in names() if claim.name == name]
    if not claims:
        known = sorted({claim.name for claim in names() if not claim.problem})
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"installed: {', '.join(known) or 'none'}"
        raise UsageError(f"no provider is named {name[:80]!r}; {hint}", remedy="breakglass providers list")
    if problem := claims[0].problem:
        raise Unsupported(
            f"provider {name}: {problem}",
            not_done=f"no code of provider {name} was run",
            remedy="uninstall the package that you do not want, then: breakglass providers check",
        )
    return claims[0]


def card(name: str) -> Card:
    """Load the card of one provider: the only step that runs its package's code.

    Raises:
        UsageError: no installed package provides it.
        Unsupported: two packages claim it, its import failed, or it was made for another breakglass.
    """
    claim = listed(name)
    found = _load(claim)
    if not isinstance(found, Card):
        raise _unusable(claim, f"{claim.target} is not a breakglass.provider.Card")
    if found.api_version != API_VERSION:
        raise _unusable(
            claim, f"made for provider API {found.api_version}, this breakglass speaks {API_VERSION}"
        )
    if found.name != name:
        raise _unusable(claim, f"its card is named {found.name!r}")
    return found


def missing(card: Card) -> tuple[str, ...]:
    """Return the modules that `card` requires and that cannot be found; imports parents of dotted names."""
    return tuple(module for module in card.requires if not _importable(module))


def remedy(card: Card) -> str:
    """Return the command that installs what `card` requires."""
    return f"pip install '{listed(card.name).distribution}{f'[{card.extra}]' if card.extra else ''}'"


def require(card: Card) -> None:
    """Make sure that `card.connect` can import what it needs.

    Raises:
        Unsupported: a required module is not installed; the remedy is the command that installs it.
    """
    if absent := missing(card):
        raise Unsupported(f"provider {card.name} needs {', '.join(absent)}", remedy=remedy(card))


def _load(claim: Listed) -> object:
    from importlib.metadata import EntryPoint

    try:
        return EntryPoint(claim.name, claim.target, ENTRY_POINT_GROUP).load()
    except (Exception, SystemExit) as error:
        raise _unusable(claim, f"its import failed: {_one_line(error)}") from error


def _unusable(claim: Listed, what: str) -> Unsupported:
    return Unsupported(
        f"provider {claim.name} ({claim.pin}): {what}",
        remedy=f"install a {claim.distribution} that fits, then: breakglass providers check",
    )


@functools.lru_cache(maxsize=4)
def _listed(path: tuple[str, ...]) -> tuple[Listed, ...]:
    """Read the metadata once for one search path: a large kit asks for the same names many times."""
    from importlib.metadata import distributions

    claims: dict[str, tuple[Listed, ...]] = {}
    for distribution in distributions(path=list(path)):
        if found := _claims(distribution):
            # The first on the path shadows later copies of the same distribution, as it does for imports.
            claims.setdefault(_normal(found[0].distribution), found)
    return _mark_conflicts(claim for mine in claims.values() for claim in mine)


def _claims(distribution: Distribution) -> tuple[Listed, ...]:
    """Return what one distribution claims. Metadata is a stranger's text: it may hold anything."""
    try:
        text = distribution.read_text("entry_points.txt") or ""
        if ENTRY_POINT_GROUP not in text:
            return ()
        package, version = distribution.metadata["Name"], distribution.version
    except Exception:  # noqa: BLE001 - a package without readable metadata claims nothing that could be run
        return ()
    try:
        points = [point for point in distribution.entry_points if point.group == ENTRY_POINT_GROUP]
    except Exception as error:  # noqa: BLE001 - one unreadable file must not hide the other providers
        problem = f"entry_points.txt cannot be read: {_one_line(error)}"
        return (Listed(package, package, version, "", problem),)
    return tuple(Listed(point.name, package, version, point.value) for point in points)


def _mark_conflicts(claims: Iterable[Listed]) -> tuple[Listed, ...]:
    ordered = sorted(claims, key=lambda claim: (claim.name, claim.distribution, claim.target))
    marked = []
    for claim in ordered:
        rivals = [other.pin for other in ordered if other.name == claim.name]
        problem = claim.problem
        if len(rivals) > 1:
            problem = f"claimed by {' and by '.join(rivals)}; refusing to choose"
        marked.append(Listed(claim.name, claim.distribution, claim.version, claim.target, problem))
    return tuple(marked)


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:  # noqa: BLE001 - a parent package that is missing or broken cannot give the module
        return False


def _normal(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
