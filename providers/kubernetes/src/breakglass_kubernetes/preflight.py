"""Asks before anyone signs whether the executor may do each step (SelfSubjectAccessReview).

Admission is asked by nobody here, so "may" can still be refused later, and is then open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

from breakglass.errors import ProviderError
from breakglass.model.plan import Step
from breakglass.provider import Finding
from breakglass_kubernetes import parts
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.objects import part, text
from breakglass_kubernetes.permissions import RESTORE, STOP, Right, of
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.whoami import Me

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
MOST_NAMESPACES = 50
MOST_REVIEWS = 600
"""At 50 a second; it bounds in how many namespaces a right is asked for that no cluster-wide role gives."""
_SHOWN = 8


def preflight(cluster: Cluster, me: Me, steps: Sequence[Step]) -> Sequence[Finding]:
    """Return one finding a step: it may, it may not and what is missing, or that is not known."""
    scopes = {step.n: Scope.of(step.target) for step in steps}
    namespaces = tuple(dict.fromkeys(one for scope in scopes.values() for one in scope.look_in))
    try:
        stop, restore = _rights(cluster, steps, STOP), _rights(cluster, steps, RESTORE)
        missing = _ask(
            cluster, {one for found in (*stop.values(), *restore.values()) for one in found}, namespaces
        )
    except ProviderError as error:
        # Not a reason to leave the agent alone: each step meets its own refusal, and is then open.
        said = f"whether {me.name} may do this is not known: {error}"[:500]
        return [
            _own_branch(me, step, scopes[step.n]) or Finding(step.n, ok=True, message=said) for step in steps
        ]
    return [
        _own_branch(me, step, scopes[step.n]) or _finding(me, step, stop[step.n], restore[step.n], missing)
        for step in steps
    ]


def _own_branch(me: Me, step: Step, scope: Scope) -> Finding | None:
    """Refuse a step that would cut off the executor: its name, its groups, or where it runs."""
    account = me.account
    own = ""
    if me.name in scope.users:
        own = f"user {me.name}"
    elif account and scope.is_account(account):
        own = f"service account {account}"
    elif shared := set(me.groups) & set(scope.groups):
        own = f"group {min(shared)}"
    elif account and account.partition("/")[0] in scope.own:
        own = f"service account {account}, in a namespace of the agent's"
    if not own:
        return None
    said = f"this would cut off the executor itself: {own} is in the agent's inventory"
    return Finding(step.n, ok=False, message=said[:500], alone=True)


def _finding(
    me: Me, step: Step, stop: Iterable[Right], restore: Iterable[Right], missing: Mapping[Right, str]
) -> Finding:
    if lacking := _lacking(stop, missing):
        return Finding(step.n, ok=False, message=f"{me.name} may not: {lacking}"[:500], alone=True)
    if later := _lacking(restore, missing):
        said = f"{me.name} may do this, and may not put it back: {later}"
        return Finding(step.n, ok=True, message=said[:500])
    network = text(step.target.params, "cni")
    return Finding(step.n, ok=True, message=f"{me.name} may do this{network and f'; {network}'}"[:500])


def _lacking(wanted: Iterable[Right], missing: Mapping[Right, str]) -> str:
    words = [f"{one.words()}{missing[one]}" for one in sorted(wanted) if one in missing]
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more


def _rights(cluster: Cluster, steps: Sequence[Step], purpose: str) -> Mapping[int, frozenset[Right]]:
    """Return what each step needs; of custom resources, only those that this cluster serves."""
    specs = {spec.name: spec for spec in parts.SPECS}
    wanted = {
        step.n: frozenset(Right.parse(one) for one in of(specs[step.action], purpose))
        for step in steps
        if step.action in specs
    }
    every = {one for found in wanted.values() for one in found}
    groups = tuple(sorted({one.group for one in every if one.custom}))
    served = custom_kinds(cluster, groups) if groups else {}
    return {
        step.n: frozenset(one for one in wanted.get(step.n, ()) if not one.custom or one.name in served)
        for step in steps
    }


def _ask(cluster: Cluster, rights: Iterable[Right], namespaces: Sequence[str]) -> Mapping[Right, str]:
    """Return which are missing, and where: asked for the whole cluster, then where that is denied inside.

    Raises:
        ProviderError: a review failed.
    """
    wanted = sorted(rights)
    answers = _reviews(cluster, [(one, "") for one in wanted])
    denied = [one for one in wanted if not answers[one, ""]]
    inside = [one for one in denied if one.resource and not _of_cluster(one)] if namespaces else []
    sample = namespaces[: min(MOST_NAMESPACES, max(1, MOST_REVIEWS // max(1, len(inside))))]
    answers |= _reviews(cluster, [(one, namespace) for one in inside for namespace in sample])
    missing: dict[Right, str] = {}
    for one in denied:
        lacks = [name for name in sample if one in inside and not answers[one, name]]
        if lacks or one not in inside:
            everywhere = one not in inside or len(lacks) == len(sample)
            missing[one] = "" if everywhere else f" in {', '.join(lacks[:3])}"
    return missing


def _reviews(cluster: Cluster, asked: Sequence[tuple[Right, str]]) -> dict[tuple[Right, str], bool]:
    answers: dict[tuple[Right, str], bool] = {}
    lock = Lock()

    def ask(item: tuple[Right, str]) -> None:
        right, namespace = item
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": _attributes(right, namespace),
        }
        said = part(cluster.ask("POST", REVIEWS, body=body), "status").get("allowed") is True
        with lock:
            answers[item] = said

    cluster.each(asked, ask)
    return answers


def _attributes(right: Right, namespace: str) -> dict[str, object]:
    if right.url:
        return {"nonResourceAttributes": {"verb": right.verb, "path": right.url}}
    resource, _, sub = right.resource.partition("/")
    whole = {
        "verb": right.verb,
        "group": right.group,
        "resource": resource,
        "subresource": sub,
        "namespace": namespace,
    }
    return {"resourceAttributes": {name: value for name, value in whole.items() if value}}


_CLUSTER_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "authentication.k8s.io",
        "certificates.k8s.io",
    }
)
_CLUSTER_KINDS = frozenset(
    {
        "namespaces",
        "nodes",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "subjectaccessreviews.authorization.k8s.io",
        "selfsubjectaccessreviews.authorization.k8s.io",
    }
)


def _of_cluster(right: Right) -> bool:
    """Return whether it is about what belongs to no namespace: a right inside of one would be in vain."""
    return right.group in _CLUSTER_GROUPS or right.name in _CLUSTER_KINDS
