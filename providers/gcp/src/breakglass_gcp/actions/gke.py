"""Clusters of Kubernetes Engine: what runs in them is stopped by a reach of the provider kubernetes.

There is no step here: a node pool of size 0 ends everybody's work in it and its local state. A door stays
open until somebody looks at the other reach's report.
"""

from __future__ import annotations

from collections.abc import Callable

from breakglass.errors import Gone
from breakglass.model.action import ActionSpec, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Action, Proposed, ProposedDoor
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import shown

READS = ("container.clusters.get",)
"""What discovery needs for this."""


def propose(project: Project, found: Found) -> Proposed:
    """Say of each cluster which reach stops the agent in it."""
    proposed = Proposed()
    for name in found.of("gke_clusters"):
        location, _, short = name.partition("/")
        asked = {"name": f"{project.name}/locations/{location}/clusters/{short}"}
        try:
            cluster = project.call("clusters", "get_cluster", asked)
        except Gone:
            gone = NotTouched(f"GKE cluster {name}", f"there is none in {location}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        server = shown(str(cluster.endpoint))
        remedy = f"a reach {{provider: kubernetes, server: https://{server}, namespace: ...}} stops it"
        pool = str(cluster.workload_identity_config.workload_pool)
        reason = f"this provider has no step for what runs in it{_identity(pool)}"
        door = Door(DoorKind.NO_STEP, f"GKE cluster {name}", reason, remedy, "", (), Verdict.UNKNOWN)
        proposed = proposed.plus(Proposed(doors=(ProposedDoor(door),)))
    return proposed


def _identity(pool: str) -> str:
    if not pool:
        return "; its pods act as the account of their nodes"
    return f"; its pods get tokens of accounts that let members of {shown(pool)} impersonate them"


ACTION_CLASSES: tuple[Callable[[Project], Action], ...] = ()
SPECS: tuple[ActionSpec, ...] = ()
