"""What is the agent's here: what the inventory names, what carries its tag, and what it made for itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

INVENTORY = "named in the inventory"
ACCESS_KEY, SERVICE_CREDENTIAL = "access key", "service-specific credential"


@dataclass(frozen=True, slots=True)
class Known:
    """A user or role that exists."""

    arn: str
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """Names by the inventory's own keys (``users``, ``functions`` ...), each once, with how it was found."""

    names: Mapping[str, tuple[str, ...]]
    origins: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(key, name) -> why it counts as the agent's, where that is not the inventory."""
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Role name -> who else uses that role: functions, task definitions, profiles; the blast radius."""

    late_sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Role name -> who uses it only since the harm began: cut off with it, and named, but no veto."""

    known: Mapping[str, Known] = field(default_factory=dict)
    """``user/NAME`` or ``role/NAME`` -> what this discovery's one listing says of it."""

    def of(self, key: str) -> tuple[str, ...]:
        """Return the names under one key of the inventory."""
        return self.names.get(key, ())

    def origin(self, key: str, name: str) -> str:
        """Return why a name counts as the agent's."""
        return self.origins.get((key, name), INVENTORY)

    renamed: Mapping[str, str] = field(default_factory=dict)
    """User's old name -> its new one, as CloudTrail tells."""

    late_credentials: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """(kind, user) -> id of a credential -> why no restore gives it back, as CloudTrail tells."""
