"""What one part of a provider proposes for a plan; its discovery joins the parts."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.model.plan import NotTouched
from breakglass.provider.port import Proposal, ProposedDoor


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
