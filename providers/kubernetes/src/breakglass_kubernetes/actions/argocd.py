"""``kubernetes.argocd.pause``: Argo CD syncs nothing of the agent's any more.

Automated sync is off where ``spec.syncPolicy.automated`` is absent, in every version (Argo CD documentation,
"Automated Sync Policy"; a version that does not know ``enabled: false`` would take it for on). The annotation
``skip-reconcile``, held by our field manager, keeps the controller away if somebody puts it back (2.7 and
later; "Skip Application Reconcile"). A sync that runs is ended as ``argocd app terminate-op`` ends it.
"""

from __future__ import annotations

from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes import recordable
from breakglass_kubernetes.actions.argocd_apps import APPLICATIONS, applications, propose
from breakglass_kubernetes.cluster import JSON_PATCH, MANAGER, Cluster
from breakglass_kubernetes.held_fields import (
    give_back,
    has,
    hold,
    is_held,
    pointer,
    record,
    return_ownership,
)
from breakglass_kubernetes.objects import Body, bodies, part, text, uid_of, version_of
from breakglass_kubernetes.owners import Path, owns
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.words import some

NAME = "kubernetes.argocd.pause"
AUTOMATED: Path = ("spec", "syncPolicy", "automated")
_SKIP: dict[Path, Json] = {("metadata", "annotations", "argocd.argoproj.io/skip-reconcile"): "true"}
_RUNNING, _ENDING = "Running", "Terminating"
_TRIES = 8
SPEC = ActionSpec(
    name=NAME,
    capability=Capability.FREEZE_CHANGE,
    summary="switches automated sync of the agent's Argo CD Applications off, and ends a sync that runs",
    permissions=tuple(f"{verb} applications.argoproj.io" for verb in ("list", "get", "patch")),
    blast_radius="what else these Applications deploy is not updated either",
    reversibility=Reversibility.FULL,
    undo="automated sync as it was, owned by whoever owned it; a sync that was ended is not started again",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example="spec.syncPolicy.automated gone from applications.argoproj.io argocd/support-bot",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, 'Argo CD documentation, "Automated Sync Policy"'),
        Source("summary", Authority.VENDOR_TEXT, 'Argo CD documentation, "Skip Application Reconcile"'),
        Source("summary", Authority.VENDOR_TEXT, 'Argo CD documentation, "argocd app terminate-op"'),
        Source("undo", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2; no Argo CD controller ran"),
        Source("settle", Authority.UNVERIFIED, "it watches Applications; no figure is documented"),
    ),
)


class PauseApplications:
    """The Applications that deploy what is the agent's."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read each Application's sync policy and what it is doing. Raises ProviderError."""
        found: dict[str, Json] = {}
        for thing in applications(self._cluster, Scope.of(resource)):
            found[thing.key] = {
                "namespace": thing.namespace,
                "name": thing.name,
                "uid": thing.uid,
                "skip": record(thing.body, *_SKIP),
                "automated": record(thing.body, AUTOMATED),
                "syncs": _syncs(thing.body),
                "held": is_held(thing.body, _SKIP),
                "operation": _operation(thing.body),
            }
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """End what runs, then switch off what would start it again."""
        del resource, token
        self._cluster.each([one for one in before.objects.values() if isinstance(one, dict)], self._pause)

    def _pause(self, seen: dict[str, Any]) -> None:
        body = self._same(seen)
        changes: list[Json] = []
        if _operation(body) == _RUNNING:
            changes.append({"op": "replace", "path": "/status/operationState/phase", "value": _ENDING})
        elif _operation(body) == "asked":
            changes.append({"op": "remove", "path": "/operation"})
        if _syncs(body):
            changes.append({"op": "remove", "path": pointer(AUTOMATED)})
        if changes:
            body = self._write(body, changes)
        if not is_held(body, _SKIP):
            hold(self._cluster, APPLICATIONS, Thing(APPLICATIONS, body), _SKIP)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether every Application is off and at rest."""
        on = [key for key, one in state.objects.items() if _get(one, "syncs") or not _get(one, "held")]
        busy = [key for key, one in state.objects.items() if _get(one, "operation") in {_RUNNING, "asked"}]
        if on or busy:
            return Judgement(Verdict.NOT_CONTAINED, f"still syncs: {some({*on, *busy})}")
        if ending := [key for key, one in state.objects.items() if _get(one, "operation") == _ENDING]:
            return Judgement(Verdict.UNKNOWN, f"Argo CD was told to end a sync, and has not: {some(ending)}")
        return Judgement(Verdict.CONTAINED, f"{len(state.objects)} Applications sync nothing any more")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put automated sync back where the stop took it away."""
        del resource, now
        outcomes: dict[str, Outcome] = {}

        def back(item: tuple[str, Json]) -> None:
            key, seen = item
            if isinstance(seen, dict):
                outcomes[key] = Outcome.ALREADY if seen["held"] is True else self._give_back(seen)

        self._cluster.each(before.objects.items(), back)
        return Reversal(outcomes, "sync policies are as they were, owned by whoever owned them")

    def probe(self, resource: Resource) -> Judgement | None:
        """Return None: what a controller does not do cannot be asked of the API server."""
        del resource
        return None

    def _give_back(self, seen: dict[str, Any]) -> Outcome:
        for attempt in range(_TRIES):
            try:
                restored = seen["syncs"] is True and self._sync_again(seen)
                break
            except Gone:
                return Outcome.DRIFTED
            except Transient:
                if attempt == _TRIES - 1:
                    raise
        skipped = give_back(
            self._cluster,
            APPLICATIONS,
            seen["namespace"],
            seen["name"],
            before=seen["skip"],
            fields=_SKIP,
        )
        return Outcome.RESTORED if restored and skipped is Outcome.ALREADY else skipped

    def _sync_again(self, seen: dict[str, Any]) -> bool:
        """Put ``automated`` back with its owners; return whether that took a write."""
        body = self._same(seen)
        if not (_syncs(body) or has(body, _SKIP)):
            return False  # whoever took the mark away decided for themselves
        wrote = not _syncs(body)
        if wrote:
            field = seen["automated"]["fields"][0]
            changes: list[Json] = [
                {"op": "add", "path": pointer(AUTOMATED[:2]), "value": {}},
                {"op": "add", "path": pointer(AUTOMATED), "value": recordable.read(field, {})},
            ]
            body = self._write(body, changes[1:] if part(body, *AUTOMATED[:2]) else changes)
        entries = bodies(body, "metadata", "managedFields")
        if any(one.get("manager") == MANAGER and owns(one, AUTOMATED) for one in entries):
            owners = seen["automated"]["owners"]
            wrote = return_ownership(self._cluster, APPLICATIONS, body, (AUTOMATED,), owners) or wrote
        return wrote

    def _same(self, seen: dict[str, Any]) -> Body:
        body = self._cluster.get(APPLICATIONS, seen["namespace"], seen["name"])
        if uid_of(body) != seen["uid"]:
            raise Gone("another one has its name", where=f"{self._cluster.where} {seen['name']}")
        return body

    def _write(self, body: Body, changes: list[Json]) -> Body:
        guard: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": uid_of(body)},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(body)},
        ]
        namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
        return self._cluster.patch(APPLICATIONS, namespace, name, [*guard, *changes], content_type=JSON_PATCH)


def _syncs(body: Body) -> bool:
    return "automated" in part(body, *AUTOMATED[:2])


def _operation(body: Body) -> str:
    """Return what an Application is doing: ``asked`` for an operation that has not begun."""
    phase = text(body, "status", "operationState", "phase")
    if phase in {_RUNNING, _ENDING}:
        return phase
    return "asked" if "operation" in body else ""


def _get(one: Json, name: str) -> Json:
    return one.get(name) if isinstance(one, dict) else None


__all__ = ["ACTION_CLASSES", "SPECS", "PauseApplications", "propose"]
ACTION_CLASSES = (PauseApplications,)
SPECS = (SPEC,)
