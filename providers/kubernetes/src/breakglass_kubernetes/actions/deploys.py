"""Tells which deployers, of Argo CD and of Flux, put the agent's objects into the cluster (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import BUILT_IN
from breakglass_kubernetes.objects import Body, bodies, labels_of, part, text
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope

TRACKING = "argocd.argoproj.io/tracking-id"
INSTANCE = "app.kubernetes.io/instance"
FLUX_MARKS = {
    "kustomizations.kustomize.toolkit.fluxcd.io": "kustomize.toolkit.fluxcd.io",
    "helmreleases.helm.toolkit.fluxcd.io": "helm.toolkit.fluxcd.io",
}
"""Flux labels what it applies with name and namespace of its own object (Flux documentation, both APIs)."""
_PLURALS = {(kind.group, kind.kind): kind.name for kind in BUILT_IN.values()}
_INVENTORY_PARTS = 4


@dataclass(frozen=True, slots=True)
class Deployed:
    """One object that a deployer says it deploys."""

    kind: str
    """As ``deployments.apps``; empty for kinds that are not told here."""
    namespace: str
    name: str

    @property
    def key(self) -> str:
        """Return how states and reports name it."""
        return f"{self.kind}/{self.namespace}/{self.name}"


def of_application(body: Body) -> tuple[Deployed, ...]:
    """Return what an Application deploys (Argo CD documentation, "Application Specification": status)."""
    return tuple(
        _deployed(text(one, "group"), text(one, "kind"), text(one, "namespace"), text(one, "name"))
        for one in bodies(body, "status", "resources")
    )


def of_kustomization(body: Body) -> tuple[Deployed, ...]:
    """Return what a Kustomization deploys: ``NAMESPACE_NAME_GROUP_KIND`` (Flux: "Inventory")."""
    found = (text(one, "id").split("_") for one in bodies(body, "status", "inventory", "entries"))
    return tuple(_deployed(one[2], one[3], one[0], one[1]) for one in found if len(one) == _INVENTORY_PARTS)


def _deployed(group: str, kind: str, namespace: str, name: str) -> Deployed:
    return Deployed(_PLURALS.get((group, kind), ""), namespace, name)


def marks(things: Iterable[Thing]) -> dict[str, Json]:
    """Return what the agent's things say of who deployed them, to be signed with a target."""
    argo: set[str] = set()
    maybe: set[str] = set()
    flux: set[str] = set()
    for thing in things:
        labels, notes = labels_of(thing.body), part(thing.body, "metadata", "annotations")
        argo |= {str(notes.get(TRACKING, "")).partition(":")[0]}
        maybe |= {labels.get(INSTANCE, "")}
        for kind, prefix in FLUX_MARKS.items():
            if name := labels.get(f"{prefix}/name"):
                flux.add(f"{kind}/{labels.get(f'{prefix}/namespace', '')}/{name}")
    return {"tracked": [*sorted(argo - {""})], "instances": [*sorted(maybe - {""})], "flux": [*sorted(flux)]}


def more_for(found: Found, named: Sequence[str]) -> dict[str, Json]:
    """Return what is signed: marks, the names of the agent's things, and what the inventory names."""
    names: list[Json] = [*sorted(thing.key for thing in found.held.roots)]
    signed: dict[str, Json] = {"names": names, "named": [*named]}
    return signed | marks(found.held.things)


def theirs(scope: Scope, deployed: Iterable[Deployed]) -> tuple[list[str], list[str]]:
    """Return which of these are the agent's, and which others are workloads or pods of somebody else."""
    mine: list[str] = []
    others: list[str] = []
    names = {*scope.workloads, *texts(scope.more, "names")}
    for one in deployed:
        if one.namespace in scope.own or one.key in names:
            mine.append(one.key)
        elif one.kind:
            others.append(one.key)
    return mine, others


def texts(more: Mapping[str, Json], name: str) -> tuple[str, ...]:
    """Return a list of texts among signed parameters."""
    found = more.get(name)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def named(settings: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return ``NS/NAME`` of the deployers of one kind that an inventory names."""
    return tuple(one.partition(":")[2] for one in settings if one.startswith(f"{kind}:"))
