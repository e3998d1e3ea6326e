"""Suspends the agent's CronJobs: none starts another Job; started ones are the workloads' concern."""

from __future__ import annotations

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.held_switch import Switch, SwitchedOff, listed
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import CRON_JOBS
from breakglass_kubernetes.ownership import Thing, held
from breakglass_kubernetes.scope import Scope, target

NAME = "kubernetes.batch.suspend_cron_jobs"
_PAGE = 'Kubernetes documentation, "CronJob"'

SPEC = ActionSpec(
    name=NAME,
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Suspends every CronJob of the agent, and holds the field: a deployer's next apply conflicts",
    permissions=("list cronjobs.batch", "get cronjobs.batch", "patch cronjobs.batch"),
    blast_radius="runs whose time comes while suspended do not start",
    reversibility=Reversibility.FULL,
    undo=(
        "spec.suspend as it was, owned by whoever owned it; one without startingDeadlineSeconds then starts "
        "a Job at once for the run that it missed last, one with it only if that is no longer ago"
    ),
    settle_s=1.0,
    best_grade=Grade.READ_BACK,
    example="spec.suspend: true of cronjobs.batch support-bot/nightly, held by the field manager breakglass",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, f"{_PAGE}, Schedule suspension: started Jobs go on"),
        Source("undo", Authority.VENDOR_TEXT, f"{_PAGE}, Schedule suspension: missed Jobs"),
        Source("undo", Authority.REAL_SYSTEM, "kube-controller-manager 1.36.2 starts one, for the last run"),
        Source("settle", Authority.REAL_SYSTEM, "kube-controller-manager 1.36.2 watches CronJobs"),
    ),
)


def _find(cluster: Cluster, scope: Scope) -> tuple[list[Thing], list[str]]:
    things, failed = listed(cluster, (CRON_JOBS,), scope.look_in)
    return list(held(scope, things).things), failed


_SWITCH = Switch(SPEC, _find, lambda _: {("spec", "suspend"): True}, "suspended")


def _action(cluster: Cluster) -> SwitchedOff:
    return SwitchedOff(_SWITCH, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to suspend them where there are any."""
    if not found.held.of(CRON_JOBS):
        return Proposed()
    label = f"CronJobs of {found.scope.agent}"
    goal = target(found.knowing(CRON_JOBS), cluster.settings.cluster_uid, label)
    return Proposed((Proposal(key="suspend_cron_jobs", action=NAME, target=goal),))
