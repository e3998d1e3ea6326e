"""Finds principals that appeared after the plan was signed: reported, never touched."""

from __future__ import annotations

from collections.abc import Iterable

from breakglass.model.resource import Resource
from breakglass.plan.findings import principal_name


def appeared(
    known: frozenset[str], provider: str, scope: str, principals: Iterable[Resource]
) -> tuple[Resource, ...]:
    """Return the principals of a new discovery that the plan's observations do not name."""
    return tuple(item for item in principals if principal_name(provider, scope, item) not in known)
