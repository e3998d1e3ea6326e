"""Walks over moto's backends without making new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def existing(backends: Any) -> Iterator[tuple[str, str, Any]]:  # noqa: ANN401 - moto has no types for us
    """Yield (account, region, backend) of those that somebody has used."""
    for account, by_region in list(backends.items()):
        for region, backend in list(by_region.items()):
            yield account, region, backend


def refusals() -> tuple[type[Exception], ...]:
    """Return what moto raises where a service says no."""
    from moto.core.exceptions import ServiceException
    from werkzeug.exceptions import HTTPException

    return (ServiceException, HTTPException, KeyError, ValueError)


def name_of(arn: str) -> str:
    """Return the last part of an ARN, or the name that it was."""
    return arn.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
