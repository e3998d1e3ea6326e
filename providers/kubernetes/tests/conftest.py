"""What the tests of the Kubernetes provider share: a control plane, and a namespace a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.planes_k8s import Planes, planes
from providers.kubernetes.tests.rig_k8s import Rig


@pytest.fixture(scope="session")
def every_plane() -> Iterator[Planes]:
    """Keep the control planes that test files share until the end of the run."""
    with planes() as kept:
        yield kept


@pytest.fixture(scope="module")
def plane(every_plane: Planes, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Return the control plane of one test file: one of its own if the file sets PLANE to OWN."""
    with every_plane.of(request.module) as sandbox:
        yield sandbox


@pytest.fixture
def rig(plane: Sandbox, tmp_path: Path) -> Iterator[Rig]:
    """Return what a test does with the control plane, with a namespace of its own."""
    made = Rig(plane, tmp_path)
    try:
        yield made
    finally:
        made.close()
