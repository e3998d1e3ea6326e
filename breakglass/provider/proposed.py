"""What one part of a provider proposes for a plan; its discovery joins the parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from breakglass.errors import ProviderError
from breakglass.model.plan import NotTouched
from breakglass.provider.port import Proposal, ProposedDoor

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proposed:
    """Steps, doors that stay open, and what is left alone."""

    proposals: tuple[Proposal, ...] = ()
    doors: tuple[ProposedDoor, ...] = ()
    not_touched: tuple[NotTouched, ...] = ()
    incomplete: tuple[str, ...] = ()
    """Listings that failed."""

    def plus(self, other: Proposed) -> Proposed:
        """Return both, this one first."""
        return Proposed(
            self.proposals + other.proposals,
            self.doors + other.doors,
            self.not_touched + other.not_touched,
            self.incomplete + other.incomplete,
        )


@dataclass(slots=True)
class Notes:
    """What a discovery could not read."""

    incomplete: list[str] = field(default_factory=list)

    def attempt(self, look: Callable[[], T], otherwise: T) -> T:
        """Return what was read, or else what is safe, with the failure noted."""
        try:
            return look()
        except ProviderError as error:
            self.incomplete.append(str(error)[:500])
            return otherwise
