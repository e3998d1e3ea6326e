"""The control planes of a test run: files share one, unless they say that they need one of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import ModuleType

from breakglass_kubernetes import kinds
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.sandbox.process import ApiError, Sandbox
from providers.kubernetes.tests.rig_k8s import control_plane

OWN = "own"
"""What a test file sets its PLANE to where it would disturb others, or they it."""
CUSTOM = "custom"
"""The same where it installs custom resources: their kinds stay, and others that do so share them."""
SHARED = "shared"
EVERYWHERE = (
    kinds.ADMISSION_BINDINGS,
    kinds.ADMISSION_POLICIES,
    kinds.MUTATING_BINDINGS,
    kinds.VALIDATING_WEBHOOKS,
    kinds.MUTATING_WEBHOOKS,
    kinds.CLUSTER_ROLE_BINDINGS,
    kinds.CLUSTER_ROLES,
    kinds.API_SERVICES,
)
"""What holds in the whole cluster, in the order in which it goes: guards first."""
CLOCKWORK = (kinds.CRON_JOBS, kinds.AUTOSCALERS)
"""What goes on by itself in a namespace that its test has left."""


@dataclass(slots=True)
class Planes:
    """Control planes by name, each started when it is first asked for."""

    ends: ExitStack
    running: dict[str, Sandbox] = field(default_factory=dict)

    @contextmanager
    def of(self, module: ModuleType) -> Iterator[Sandbox]:
        """Lend a test file its control plane: the one that its PLANE names, or the shared one."""
        name: str = getattr(module, "PLANE", SHARED)
        if name == OWN:
            with control_plane() as plane:
                yield plane
            return
        if name not in self.running:
            self.running[name] = self.ends.enter_context(control_plane())
        with swept(self.running[name]) as plane:
            yield plane


@contextmanager
def planes() -> Iterator[Planes]:
    """Keep the shared control planes until the end of a run."""
    with ExitStack() as ends:
        yield Planes(ends)


@contextmanager
def swept(plane: Sandbox) -> Iterator[Sandbox]:
    """Take away afterwards what a file left in the whole cluster; its namespaces disturb nobody."""
    before = {path for kind in EVERYWHERE for path in _paths(plane, kind)}
    try:
        yield plane
    finally:
        for kind in EVERYWHERE + CLOCKWORK:
            for path in set(_paths(plane, kind)) - before:
                with contextlib.suppress(ApiError):  # it went by itself, or waits for its finalizer
                    plane.call("DELETE", path)


def _paths(plane: Sandbox, kind: Kind) -> Iterator[str]:
    for body in plane.call("GET", kind.path())["items"]:
        yield kind.path(body["metadata"].get("namespace", ""), body["metadata"]["name"])
