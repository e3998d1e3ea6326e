"""Lists the modules that this provider is made of: each exposes `SPECS`, `ACTION_CLASSES` and `propose`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from breakglass.model.action import ActionSpec
from breakglass.provider import Action, Proposed
from breakglass_gcp.actions import (
    agent_engine,
    api_keys,
    cloud_build,
    cloud_deploy,
    compute,
    functions,
    gke,
    identities,
    log_bucket,
    log_entries,
    principals,
    restrict_services,
    run_instances,
    run_jobs,
    run_services,
    run_worker_pools,
    triggers,
    workflows,
)
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project
from breakglass_gcp.services import SERVICES

Propose = Callable[[Project, Found], Proposed]


class Part(Protocol):
    """One module of actions."""

    @property
    def SPECS(self) -> tuple[ActionSpec, ...]:  # noqa: N802 - a constant of the module
        """Return what its actions declare."""
        ...

    @property
    def ACTION_CLASSES(self) -> tuple[Callable[[Project], Action], ...]:  # noqa: N802 - as above
        """Return what makes its actions."""
        ...

    def propose(self, project: Project, found: Found) -> Proposed:
        """Propose its steps for what is the agent's."""
        ...


PARTS: tuple[Part, ...] = (
    principals,
    identities,
    restrict_services,
    api_keys,
    log_entries,
    log_bucket,
    run_jobs,
    run_worker_pools,
    run_instances,
    workflows,
    agent_engine,
    run_services,
    functions,
    compute,
    cloud_build,
    cloud_deploy,
    triggers,
    gke,
)
"""In the order in which their steps should stand in a plan: one call for all comes before a call for each."""
ACTION_CLASSES: tuple[Callable[[Project], Action], ...] = tuple(
    kind for part in PARTS for kind in part.ACTION_CLASSES
)
SPECS: tuple[ActionSpec, ...] = tuple(spec for part in PARTS for spec in part.SPECS)
PROPOSE: tuple[Propose, ...] = tuple(part.propose for part in PARTS)
WARM = tuple(SERVICES)
"""What `connect` makes clients of: imported on the main thread, in 1.5 s, and once for all projects. Left to
the step that needs it, Compute Engine's alone would cost a second after the second signature."""
