"""What the whole stops in a cluster share: a control plane, and a namespace a test."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest

from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.planes_k8s import Planes, planes
from tests.kubernetes.cluster_fleet import Cluster


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
def agents(plane: Sandbox) -> Callable[[], Cluster]:
    """Return what makes a namespace for one more agent of a test, whose stops may run side by side."""

    def another() -> Cluster:
        made = Cluster(plane, f"rogue-{secrets.token_hex(3)}")
        made.plane.make_namespace(made.namespace)
        return made

    return another


@pytest.fixture
def cluster(agents: Callable[[], Cluster]) -> Cluster:
    """Return a namespace for the agent of one test."""
    return agents()
