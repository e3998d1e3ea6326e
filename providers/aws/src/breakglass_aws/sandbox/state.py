"""Everything that a restore must bring back, by service: the same bytes for the same state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.states import data, drivers, identity, network


def _told(read: Callable[[], Any]) -> Callable[[], Any]:
    """Leave out places where there is nothing: moto makes one for whoever only looks."""

    def told() -> object:
        return _filled(read())

    return told


def _filled(value: object, depth: int = 0) -> object:
    if not isinstance(value, dict) or depth > PLACES_DEPTH:
        return value
    parts = {name: _filled(one, depth + 1) for name, one in value.items()}
    return {name: one for name, one in parts.items() if one != {}}


PLACES_DEPTH = 1
_READERS = {**identity.STATES, **drivers.STATES, **network.STATES, **data.STATES}
STATES: Mapping[str, Callable[[], Any]] = {name: _told(read) for name, read in _READERS.items()}
"""Service -> its state as moto holds it."""
