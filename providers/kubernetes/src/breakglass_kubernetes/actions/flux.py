"""``kubernetes.flux.suspend``: Flux applies nothing of the agent's any more.

``spec.suspend`` of a Kustomization or HelmRelease, held by our field manager (Flux documentation,
"Kustomization" and "Helm Releases": Suspend). A reconciliation that runs is let finish by Flux.
"""

from __future__ import annotations

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposal, Proposed
from breakglass_kubernetes.actions.deploys import (
    FLUX_MARKS,
    more_for,
    named,
    of_kustomization,
    texts,
    theirs,
)
from breakglass_kubernetes.actions.held_switch import Switch, SwitchedOff
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.objects import labels_of
from breakglass_kubernetes.ownership import Thing
from breakglass_kubernetes.scope import Scope, target

NAME = "kubernetes.flux.suspend"
KEY = "flux_suspend"
_PAGES = 'Flux documentation, "Kustomization" and "Helm Releases": Suspend'
SPEC = ActionSpec(
    name=NAME,
    capability=Capability.FREEZE_CHANGE,
    summary="suspends the Flux objects that deploy the agent's objects",
    permissions=(
        "get /apis",
        *(f"{verb} {kind}" for kind in FLUX_MARKS for verb in ("list", "get", "patch")),
    ),
    blast_radius="what else these Flux objects deploy is not updated either",
    reversibility=Reversibility.FULL,
    undo="suspend as it was, owned by whoever owned it",
    settle_s=5.0,
    best_grade=Grade.READ_BACK,
    example="spec.suspend: true on kustomizations.kustomize.toolkit.fluxcd.io flux-system/support-bot",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, _PAGES),
        Source("undo", Authority.REAL_SYSTEM, "kube-apiserver 1.36.2; no Flux controller ran"),
        Source("settle", Authority.UNVERIFIED, "a reconciliation that runs is let finish; no figure"),
    ),
)


def _read(cluster: Cluster) -> tuple[list[Thing], list[str]]:
    """Return every Flux object that deploys, and which listings failed."""
    groups = tuple(kind.partition(".")[2] for kind in FLUX_MARKS)
    custom = custom_kinds(cluster, groups)
    things: list[Thing] = []
    failed: list[str] = []
    for kind in (custom[name] for name in FLUX_MARKS if name in custom):
        try:
            things += [Thing(kind, body) for body in cluster.every(kind)]
        except Gone:
            continue
        except ProviderError as error:
            failed.append(f"{kind.name}: {error.what}")
    return things, failed


def _is_meant(scope: Scope, thing: Thing) -> bool:
    named_here = f"{thing.namespace}/{thing.name}" in texts(scope.more, "named")
    if named_here or thing.key in texts(scope.more, "flux") or scope.owns(thing.kind, thing.body):
        return True
    return bool(theirs(scope, of_kustomization(thing.body))[0])


def _find(cluster: Cluster, scope: Scope) -> tuple[list[Thing], list[str]]:
    things, failed = _read(cluster)
    return [one for one in things if _is_meant(scope, one)], failed


_SWITCH = Switch(SPEC, _find, lambda _: {("spec", "suspend"): True}, "suspended")


def _action(cluster: Cluster) -> SwitchedOff:
    return SwitchedOff(_SWITCH, cluster)


ACTION_CLASSES = (_action,)
SPECS = (SPEC,)


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Propose to suspend them; say which of them another Flux object writes."""
    more = more_for(found, named(cluster.settings.texts("deployers"), "flux"))
    uid, label = cluster.settings.cluster_uid, f"Flux objects of {found.scope.agent}"
    goal = target(found.scope, uid, label, **more)
    scope = Scope.of(goal)
    things, failed = _find(cluster, scope)
    if not things:
        return Proposed(incomplete=tuple(failed))
    others = {key for one in things for key in theirs(scope, of_kustomization(one.body))[1]}
    proposal = Proposal(
        key=KEY,
        action=NAME,
        target=goal,
        affects=tuple(f"{key} is not updated by Flux" for key in sorted(others)[:50]),
        revokes=tuple(dict.fromkeys(f"deployer:flux/{one.name}" for one in things)),
    )
    keys = {one.key for one in things}
    return Proposed(
        (proposal,),
        not_touched=tuple(said for one in things for said in _above(one, keys)),
        incomplete=tuple(failed),
    )


def _above(thing: Thing, keys: set[str]) -> list[NotTouched]:
    """Return what writes a Flux object: it leaves ``suspend`` alone unless its source sets it."""
    labels = labels_of(thing.body)
    found: list[NotTouched] = []
    for kind, prefix in FLUX_MARKS.items():
        above = f"{kind}/{labels.get(f'{prefix}/namespace', '')}/{labels.get(f'{prefix}/name', '')}"
        if f"{prefix}/name" in labels and above not in keys | {thing.key}:
            reason = f"it applies {thing.key}, and would resume it if its source sets spec.suspend"
            found.append(NotTouched(above, reason))
    return found
