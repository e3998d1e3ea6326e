"""``kubernetes.batch.suspend_jobs``: every Job that has not ended, suspended; its pods end with it.

Suspending a Job ends its running pods, and ``status.startTime`` is set anew when it goes on (Kubernetes
documentation, "Jobs", "Suspending a Job"). One that was suspended before stays so; a finished one is left
alone. CronJobs, which make Jobs, are another step's.
"""

from __future__ import annotations

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.resource import Resource
from breakglass.provider import Action, Proposal, Proposed
from breakglass_kubernetes.actions.held_workloads import Cut, Holding, Looked, Mine, listed
from breakglass_kubernetes.actions.scale_to_zero import LOGS, value
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import CRON_JOBS, JOBS
from breakglass_kubernetes.objects import Body, bodies
from breakglass_kubernetes.owners import Path
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

SUSPEND: Path = ("spec", "suspend")
SPEC = ActionSpec(
    name="kubernetes.batch.suspend_jobs",
    capability=Capability.STOP_WORKLOADS,
    summary="suspends every Job that has not ended, as our own field; its pods end",
    permissions=("list jobs.batch", "patch jobs.batch", "list cronjobs.batch"),
    blast_radius="work in progress of these Jobs; pods that end count as no failure",
    reversibility=Reversibility.PARTIAL,
    undo="lets those Jobs go on that were not suspended before; their pods start from the beginning, and"
    " status.startTime and the time of activeDeadlineSeconds begin anew",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="kubernetes.batch.suspend_jobs support-bot",
    sources=(
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_workloads_kinds.py"),
        Source("undo", Authority.VENDOR_TEXT, "Kubernetes documentation, Jobs, Suspending a Job"),
        Source("settle", Authority.UNVERIFIED, "controllers act on a watch; no page states a bound"),
    ),
    destroys_evidence=LOGS,
    undo_permissions=("get jobs.batch",),
)


def look(cluster: Cluster, resource: Resource, mine: Mine) -> Looked:
    """Return every Job of the agent's that has not ended."""
    scope = Scope.of(resource)
    things, failed = listed(cluster, (CRON_JOBS, JOBS), scope)
    jobs = mine.held(resource, scope, things).of(JOBS)
    return Looked([_cut(thing) for thing in jobs if not is_finished(thing.body)], failed=failed)


def is_finished(body: Body) -> bool:
    """Return whether a Job has ended for good ("Jobs", "Terminal Job conditions")."""
    return any(
        one.get("type") in {"Complete", "Failed"} and one.get("status") == "True"
        for one in bodies(body, "status", "conditions")
    )


def _cut(thing: Thing) -> Cut:
    body = thing.body
    suspended = any(
        one.get("type") == "Suspended" and one.get("status") == "True"
        for one in bodies(body, "status", "conditions")
    )
    counted = value(body, ("status", "active"))
    running = counted if isinstance(counted, int) else 0
    return Cut(thing, {SUSPEND: True}, "is not suspended by us", running, suspended)


def suspend_jobs(cluster: Cluster) -> Action:
    """Return the action."""
    return Holding(cluster, SPEC, look)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose one step over all Jobs, also those that a CronJob may yet make; there can be none: no step."""
    if not (found.held.of(CRON_JOBS) or any(not is_finished(one.body) for one in found.held.of(JOBS))):
        return Proposed()
    label = f"Jobs of {found.scope.agent}"
    step = Proposal(
        "suspend_jobs", SPEC.name, target(found.knowing(CRON_JOBS, JOBS), cluster.settings.cluster_uid, label)
    )
    return Proposed((step,))


ACTION_CLASSES = (suspend_jobs,)
SPECS = (SPEC,)
