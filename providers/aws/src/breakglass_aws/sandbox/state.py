"""Everything that a restore must bring back, by service: the same bytes for the same state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass_aws.sandbox.states import data, drivers, identity, network

STATES: Mapping[str, Callable[[], Any]] = {
    **identity.STATES,
    **drivers.STATES,
    **network.STATES,
    **data.STATES,
}
"""Service -> its state as moto holds it."""
