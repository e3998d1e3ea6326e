"""What the tests of the Kubernetes provider share: one control plane a test file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.rig_k8s import Rig, control_plane


@pytest.fixture(scope="module")
def plane() -> Iterator[Sandbox]:
    """Start a control plane for one test file."""
    with control_plane() as sandbox:
        yield sandbox


@pytest.fixture
def rig(plane: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Return what a test does with the control plane, with a namespace of its own."""
    made = Rig(plane, tmp_path)
    try:
        yield made
    finally:
        made.close()
