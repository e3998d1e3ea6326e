"""What the whole stops in a cluster share: a control plane a file, a namespace a test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from breakglass_kubernetes import kinds
from breakglass_kubernetes.sandbox.process import Sandbox
from providers.kubernetes.tests.rig_k8s import control_plane
from tests.kubernetes.cluster_fleet import Cluster


@pytest.fixture(scope="module")
def plane() -> Iterator[Sandbox]:
    """Start a control plane for one test file."""
    with control_plane() as sandbox:
        yield sandbox


@pytest.fixture
def cluster(plane: Sandbox) -> Cluster:
    """Return a namespace for the agent of one test."""
    made = Cluster(plane, f"rogue-{secrets.token_hex(3)}")
    made.make(kinds.NAMESPACES, made.namespace, {})
    return made
