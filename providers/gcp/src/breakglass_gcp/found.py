"""What is the agent's here: what the inventory names, what carries its label, and what it made for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass_gcp.since_harm import SinceHarm

INVENTORY = "named in the inventory"


@dataclass(frozen=True, slots=True)
class Identity:
    """A service account that exists."""

    email: str
    unique_id: str
    """Of this account: one that is made anew under the same address is somebody else."""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Names by the inventory's own keys (``scheduler_jobs`` ...), each once, with how it was found."""

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    origins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(key, name) -> why it counts as the agent's, where that is not the inventory."""
    identities: Mapping[str, Identity] = field(default_factory=dict)
    """E-mail address -> the agent's service account."""
    sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """E-mail address -> what else uses that account, in words; the blast radius."""
    late_sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The same, of what was made since the harm began: no reason to leave the account alone."""
    harm: SinceHarm = field(default_factory=SinceHarm)
    """What was let in since the harm began, as the audit log tells it."""

    def of(self, key: str) -> tuple[str, ...]:
        """Return the names under one key of the inventory: LOCATION/NAME, or an id."""
        return self.names.get(key, ())

    def origin(self, key: str, name: str) -> str:
        """Return why a name counts as the agent's."""
        return self.origins.get((key, name), INVENTORY)
