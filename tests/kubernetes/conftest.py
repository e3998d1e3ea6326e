"""What the whole stops in a cluster share: a control plane a file, a namespace a test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from breakglass.errors import Unsupported
from breakglass_kubernetes import kinds
from breakglass_kubernetes.sandbox.process import Sandbox, start
from tests.backends import need
from tests.kubernetes.cluster_fleet import Cluster


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
def cluster(plane: Sandbox) -> Cluster:
    """Return a namespace for the agent of one test."""
    made = Cluster(plane, f"rogue-{secrets.token_hex(3)}")
    made.make(kinds.NAMESPACES, made.namespace, {})
    return made
