"""Fixtures of the host provider's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass_host.machine import Machine
from providers.host.tests.machines import fresh


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Give a fresh machine with a real systemd; skip where none can be started."""
    with fresh() as one:
        yield one
