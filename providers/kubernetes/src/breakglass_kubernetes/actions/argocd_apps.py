"""Finds the Argo CD Applications that deploy what is the agent's, and what writes those."""

from __future__ import annotations

from collections.abc import Iterator

from breakglass.errors import Gone
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Proposal, Proposed, ProposedDoor
from breakglass_kubernetes.actions.deploys import (
    INSTANCE,
    TRACKING,
    more_for,
    named,
    of_application,
    texts,
    theirs,
)
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import bodies, labels_of, part, text
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

APPLICATIONS = Kind("argoproj.io", "v1alpha1", "applications", "Application")
KEY = "argocd_pause"


def applications(cluster: Cluster, scope: Scope) -> list[Thing]:
    """Return them; none where the cluster has no Argo CD. Raises ProviderError."""
    try:
        every = [Thing(APPLICATIONS, body) for body in cluster.every(APPLICATIONS)]
    except Gone:
        return []
    return [one for one in every if _is_meant(scope, one)]


def _is_meant(scope: Scope, app: Thing) -> bool:
    """Return whether an Application deploys anything of the agent's.

    A tracking id begins with the Application's name, or NAMESPACE_NAME of one in another namespace than
    Argo CD's own (Argo CD documentation, "Resource Tracking", "Applications in any namespace").
    """
    if f"{app.namespace}/{app.name}" in texts(scope.more, "named") or scope.owns(app.kind, app.body):
        return True
    marks = {*texts(scope.more, "tracked"), *texts(scope.more, "instances")}
    if marks & {app.name, f"{app.namespace}_{app.name}"}:
        return True
    return bool(theirs(scope, of_application(app.body))[0])


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to pause them, and name what would write them again."""
    more = more_for(found, named(cluster.settings.texts("deployers"), "argocd"))
    uid, label = cluster.settings.cluster_uid, f"Argo CD Applications of {found.scope.agent}"
    goal = target(found.scope, uid, label, **more)
    scope = Scope.of(goal)
    apps = applications(cluster, scope)
    if not apps:
        return Proposed()
    others = {key for app in apps for key in theirs(scope, of_application(app.body))[1]}
    proposal = Proposal(
        key=KEY,
        action="kubernetes.argocd.pause",
        target=goal,
        affects=tuple(f"{key} is not updated by Argo CD" for key in sorted(others)[:50]),
        revokes=tuple(dict.fromkeys(f"deployer:argocd/{app.name}" for app in apps)),
    )
    paused = {app.name for app in apps}
    return Proposed((proposal,), doors=tuple(door for app in apps for door in _above(app, paused)))


def _above(app: Thing, paused: set[str]) -> Iterator[ProposedDoor]:
    """Yield what writes an Application, and would switch its sync on again."""
    for owner in bodies(app.body, "metadata", "ownerReferences"):
        if text(owner, "kind") == "ApplicationSet":
            yield _door(f"ApplicationSet {app.namespace}/{text(owner, 'name')}", app)
    notes = part(app.body, "metadata", "annotations")
    parent = str(notes.get(TRACKING, "")).partition(":")[0] or labels_of(app.body).get(INSTANCE, "")
    if parent and parent not in paused and parent.partition("_")[2] not in paused:
        yield _door(f"Application {parent}", app)


def _door(above: str, app: Thing) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"argocd {above}",
            reason=f"it writes {app.key}, and may switch automated sync on again",
            remedy="switch its own sync off, or take the Application out of it",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )
