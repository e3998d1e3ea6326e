"""What the tests of the Kubernetes provider share: one control plane a test file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.errors import Unsupported
from breakglass_kubernetes.sandbox.process import Sandbox, start
from providers.kubernetes.tests.rig_k8s import Rig
from tests.backends import need


@pytest.fixture(scope="module")
def plane() -> Iterator[Sandbox]:
    """Start a control plane for one test file."""
    try:
        sandbox = start()
    except Unsupported as error:
        need("kubernetes", available=False, why=f"{error.what} ({error.remedy})")
        raise
    try:
        yield sandbox
    finally:
        sandbox.close()


@pytest.fixture
def rig(plane: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Return what a test does with the control plane, with a namespace of its own."""
    made = Rig(plane, tmp_path)
    try:
        yield made
    finally:
        made.close()
