"""What can be set about the world from outside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(slots=True)
class Settings:
    """Times and budgets; the budgets' defaults are Google's documented ones.

    IAM documentation, "Quotas and limits": 6,000 read and 600 write requests a minute of the IAM v1 API,
    5 and 5 of the v2 and v3 APIs, 60 writes of workload identity federation, each by project.
    """

    visibility_delay_s: float = 0.0
    iam_writes_per_min: int = 600
    iam_reads_per_min: int = 6000
    deny_writes_per_min: int = 5
    deny_reads_per_min: int = 5
    wif_writes_per_min: int = 60
    token_life_s: float = 3600.0
    operation_s: float = 0.0
    """At least so long takes every long-running operation; 0: as its model has it."""
    quotas: dict[str, int] = field(default_factory=dict)
    """Further budgets: glob of methods -> calls a minute and project."""
    locations: list[str] = field(
        default_factory=lambda: ["europe-west1", "europe-west4", "us-central1", "us-east1"]
    )
    pab_passes: list[str] = field(default_factory=list)
    """Globs of permissions that principal access boundaries do not block (outside of their version)."""
    date: str = "now"
    """What REST answers say in their `Date`: the world's time (now), or this; empty: they have none."""
    zones: str = "bcd"
    """Letters of the zones of each location."""

    def change(self, asked: Mapping[str, Any]) -> None:
        """Take what is asked.

        Raises:
            ValueError: there is no such setting.
        """
        known = {one.name for one in fields(self)}
        unknown = set(asked) - known - {"project"}
        if unknown:
            raise ValueError(f"no such settings: {', '.join(sorted(unknown))}")
        for name in known & set(asked):
            held = getattr(self, name)
            setattr(self, name, type(held)(asked[name]) if not isinstance(held, list) else list(asked[name]))
