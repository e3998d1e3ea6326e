"""Finds what carries the agent's label, or was created under its field managers, in any namespace."""

from __future__ import annotations

from collections.abc import Callable

from breakglass_kubernetes.actions.own_names import INCIDENT_LABEL
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.discover.friends import binding, token_secret
from breakglass_kubernetes.discover.looking import Looking, pair
from breakglass_kubernetes.kinds import (
    ADMISSION_BINDINGS,
    API_SERVICES,
    CLUSTER_ROLE_BINDINGS,
    CUSTOM_RESOURCES,
    MUTATING_BINDINGS,
    MUTATING_WEBHOOKS,
    NAMESPACES,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    WORKLOADS,
    Kind,
)
from breakglass_kubernetes.objects import Body, account_of, creators_of, labels_of, name_of, namespace_of
from breakglass_kubernetes.scope import AGENT_LABEL, Scope
from breakglass_kubernetes.selector import Selector
from breakglass_kubernetes.settings import NOBODYS

LABELLED = (
    NAMESPACES,
    SERVICE_ACCOUNTS,
    *WORKLOADS,
    PODS,
    VALIDATING_WEBHOOKS,
    MUTATING_WEBHOOKS,
    ADMISSION_BINDINGS,
    MUTATING_BINDINGS,
    API_SERVICES,
)
"""Kinds in which a label makes a difference to a stop."""
MADE = (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS, SECRETS, CUSTOM_RESOURCES)
"""More kinds that are looked through where the inventory names field managers.

An account that was made with a name alone has no managed fields (seen on 1.36.2): who made such a one is in
the audit log.
"""
BY_LABEL = f"it carries the label {AGENT_LABEL} of this agent, which the agent may have set itself"
BY_MANAGER = "a field manager of the agent's made it"


def look(looking: Looking, scope: Scope, claims: Claims, custom: tuple[Kind, ...] = ()) -> None:
    """Add what is found: one listing a kind, of the whole cluster."""
    labels = "" if scope.made_by else f"{AGENT_LABEL}={scope.agent}"
    if labels and not _can_be_label(labels):
        return
    kinds = (*LABELLED, *custom, *(MADE if scope.made_by else ()))
    for kind, bodies in looking.all_of(kinds, labels=labels).items():
        for body in bodies:
            if why := _why(scope, kind, body):
                _add(scope, claims, kind, body, why)


def _can_be_label(text: str) -> bool:
    """Return whether anything can carry it: an agent's name may be longer than a label's value."""
    try:
        Selector.parse(text)
    except ValueError:
        return False
    return True


def _why(scope: Scope, kind: Kind, body: Body) -> str:
    if scope.made_by and not creators_of(body).isdisjoint(scope.made_by):
        return BY_MANAGER
    if kind in MADE:
        return ""
    if kind.namespaced and kind != SERVICE_ACCOUNTS:
        return BY_LABEL if scope.has_label(body) and namespace_of(body) not in scope.namespaces else ""
    return BY_LABEL if labels_of(body).get(AGENT_LABEL) == scope.agent else ""


def _add(scope: Scope, claims: Claims, kind: Kind, body: Body, why: str) -> None:
    name, key = name_of(body), kind.key(namespace_of(body), name_of(body))
    adders: dict[Kind, Callable[[], None]] = {
        NAMESPACES: lambda: _namespace(scope, claims, name, why),
        SERVICE_ACCOUNTS: lambda: account(scope, claims, pair(body), why),
        VALIDATING_WEBHOOKS: lambda: configuration(claims, kind, name, why),
        MUTATING_WEBHOOKS: lambda: configuration(claims, kind, name, why),
        ADMISSION_BINDINGS: lambda: policy_binding(claims, kind, body, why),
        MUTATING_BINDINGS: lambda: policy_binding(claims, kind, body, why),
        API_SERVICES: lambda: configuration(claims, kind, name, why),
        ROLE_BINDINGS: lambda: binding(scope, claims, kind, body, why),
        CLUSTER_ROLE_BINDINGS: lambda: binding(scope, claims, kind, body, why),
        SECRETS: lambda: token_secret(scope, claims, body, why),
        CUSTOM_RESOURCES: lambda: claims.leave(key, f"{why}; what it defines is left"),
    }
    if kind in adders:
        adders[kind]()
    else:
        workload(scope, claims, kind, body, why)


def workload(scope: Scope, claims: Claims, kind: Kind, body: Body, why: str) -> None:
    """Add a workload or a pod that no rule of the scope covers yet."""
    namespace, key = namespace_of(body), kind.key(namespace_of(body), name_of(body))
    if account_of(body) in scope.executors:
        claims.befriend(
            key,
            f"{why}, but it runs as the executor's own account: it is not touched",
            "look at it by hand; if it is not the executor's, the executor's account is in other hands",
        )
    elif why == BY_LABEL and not (scope.owns(kind, body) and namespace in scope.look_in):
        claims.labelled.setdefault(namespace, f"in it, {key}: {why}")
    elif not scope.owns(kind, body) or namespace not in scope.look_in:
        claims.workloads.setdefault(key, why)


def account(scope: Scope, claims: Claims, found: str, why: str) -> None:
    """Add a service account; never the executor's own, whoever labelled it."""
    if found in scope.executors:
        claims.leave(f"serviceaccounts/{found}", f"{why}, but it is the executor's own account")
    elif not scope.is_account(found):
        claims.accounts.setdefault(found, why)


def policy_binding(claims: Claims, kind: Kind, body: Body, why: str) -> None:
    """Add the binding of an admission policy; the guard of an earlier stop carries the label, too."""
    key = kind.key("", name_of(body))
    if why == BY_LABEL and INCIDENT_LABEL in labels_of(body):
        claims.leave(key, "it carries the mark of a stop: it is a guard, or somebody pretends that it is one")
    else:
        claims.policy_bindings.setdefault(key, why)


def configuration(claims: Claims, kind: Kind, name: str, why: str) -> None:
    """Add a webhook configuration or an aggregated API."""
    if kind == API_SERVICES:
        claims.api_services.setdefault(name, why)
    else:
        claims.webhooks.setdefault(
            f"{'validating' if kind == VALIDATING_WEBHOOKS else 'mutating'}/{name}", why
        )


def _namespace(scope: Scope, claims: Claims, name: str, why: str) -> None:
    homes = {one.partition("/")[0] for one in scope.executors}
    if name in NOBODYS or name in homes:
        claims.leave(f"namespaces/{name}", f"{why}, but it is never one agent's alone")
        claims.labelled.setdefault(name, why)
    elif name not in scope.own:
        claims.own.setdefault(name, why)
