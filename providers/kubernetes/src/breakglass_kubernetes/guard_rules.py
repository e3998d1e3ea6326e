"""Says in CEL what of a request is an agent's, and what of it brings something to life; pure.

Names, owners, labels, accounts and subjects are read once into variables; the last two decide.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from breakglass_kubernetes.guard_words import Variables, among, either, quote, selected
from breakglass_kubernetes.kinds import PODS, WORKLOADS, Kind
from breakglass_kubernetes.scope import AGENT_LABEL, Scope

TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105 - a type of Secret, no secret
ACCOUNT_USER = "system:serviceaccount:"
"""How the name of a service account's user begins (Kubernetes documentation, "Authenticating")."""
_ACCOUNT_GROUP = "system:serviceaccounts:"
_OF_ACCOUNT = "kubernetes.io/service-account.name"
_SUBJECTS = ("rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io")


@dataclass(frozen=True, slots=True)
class Guard:
    """All that the policy is made of."""

    scope: Scope
    user: str
    """Who is let through; empty: `group` is."""
    group: str = ""
    names: tuple[str, ...] = ()
    """Workloads that were found, as ``deployments.apps/NS/NAME``."""
    custom: tuple[Kind, ...] = ()
    """Custom resources with a scale subresource."""
    paths: tuple[tuple[str, ...], ...] = ()
    """Where those say how many replicas they want, if not in ``spec.replicas``."""


def variables(guard: Guard) -> Mapping[str, str]:
    """Return the variables of the policy, each before those that use it."""
    names = Variables()
    pods = [kind.name for kind in (PODS, *WORKLOADS, *guard.custom)]
    names.add("ns", "request.?namespace.orValue('')")
    names.add("sub", "request.?subResource.orValue('')")
    group = "(request.resource.group == '' ? '' : '.' + request.resource.group)"
    names.add("res", f"request.resource.resource + {group}")
    # The name in the path decides: a TokenRequest may carry any name in its metadata.
    names.add("name", "request.?name.orValue('') != '' ? request.name : object.?metadata.?name.orValue('')")
    names.add("updated", "request.operation == 'UPDATE'")
    names.add("makes_pods", f"variables.sub != 'scale' && {among('variables.res', pods)}")
    token = f"variables.res == 'secrets' && object.?type.orValue('') == {quote(TOKEN_SECRET)}"
    names.add("token_secret", token)
    names.add("bodies", "!variables.makes_pods ? [] : variables.updated ? [object, oldObject] : [object]")
    names.add("templates", _templates())
    labels = "map({0}, {0}.?metadata.?labels.orValue({{}}))"
    names.add("labels", f"variables.bodies.{labels.format('b')} + variables.templates.{labels.format('t')}")
    names.add("keys", _keys(guard.custom))
    names.add("accounts", _accounts())
    _subjects(guard, names)
    names.add("gains", _gains(guard))
    names.add("theirs", _theirs(guard, names))
    return names.texts


def _templates() -> str:
    template = "b.?spec.?template.orValue(b.?spec.?jobTemplate.?spec.?template.orValue({}))"
    of_body = f"variables.res == 'pods' ? b : {template}"
    return f"variables.bodies.map(b, {of_body}).filter(t, has(t.spec))"


def _keys(custom: Sequence[Kind]) -> str:
    """Return the names of a thing and of what made it: a pod of ``web-5d9f`` is of the Deployment ``web``."""
    plurals = {kind.kind: kind.name for kind in (*WORKLOADS, *custom)}
    table = "{" + ", ".join(f"{quote(kind)}: {quote(name)}" for kind, name in plurals.items()) + "}"
    owners = "object.?metadata.?ownerReferences.orValue([]).filter(o, o.?controller.orValue(false))"
    after = "'/' + variables.ns + '/' +"
    stems = {
        "deployments.apps": "object.?metadata.?labels[?'pod-template-hash'].orValue('-')",
        "rollouts.argoproj.io": "object.?metadata.?labels[?'rollouts-pod-template-hash'].orValue('-')",
    }
    made = [
        f"{owners}.filter(o, o.kind == 'ReplicaSet' && o.name.endsWith('-' + {mark}))"
        f".map(o, {quote(name)} + {after} o.name.substring(0, size(o.name) - size({mark}) - 1))"
        for name, mark in stems.items()
    ]
    cron = (
        f"{owners}.filter(o, o.kind == 'Job' && o.name.matches('^.+-[0-9]+$'))"
        f".map(o, 'cronjobs.batch' + {after} o.name.substring(0, o.name.lastIndexOf('-')))"
    )
    direct = f"{owners}.map(o, {table}[?o.kind].orValue(o.kind) + {after} o.name)"
    own = f"[variables.res + {after} variables.name]"
    return (
        f"variables.makes_pods ? {' + '.join((own, direct, *made, cron))} : "
        f"variables.sub == 'scale' ? {own} : []"
    )


def _accounts() -> str:
    """Return the accounts that a request is about, and the one that makes it."""
    spec_account = (
        "t.spec.?serviceAccountName.orValue('') != '' ? t.spec.serviceAccountName : "
        "t.spec.?serviceAccount.orValue('') != '' ? t.spec.serviceAccount : 'default'"
    )
    annotation = f"object.?metadata.?annotations[?{quote(_OF_ACCOUNT)}].orValue('')"
    asks = f"request.userInfo.username.substring({len(ACCOUNT_USER)}).replace(':', '/')"
    return " + ".join(
        (
            f"variables.templates.map(t, variables.ns + '/' + ({spec_account}))",
            "(variables.res == 'serviceaccounts' ? [variables.ns + '/' + variables.name] : [])",
            f"(variables.token_secret ? [variables.ns + '/' + {annotation}] : [])",
            f"(request.userInfo.username.startsWith({quote(ACCOUNT_USER)}) ? [{asks}] : [])",
        )
    )


def _subjects(guard: Guard, names: Variables) -> None:
    """Add the subjects of a binding that are the agent's: an account may be named as a user, too."""
    bindings = ", ".join(map(quote, _SUBJECTS))
    names.add("bound", f"variables.res in [{bindings}] ? object.?subjects.orValue([]) : []")
    # An account without a namespace is one of the binding's own (seen on 1.36.2).
    space = "(s.?namespace.orValue('') != '' ? s.namespace : variables.ns)"
    prefix = quote(ACCOUNT_USER)
    account = (
        f"(s.kind == 'ServiceAccount' ? {space} + '/' + s.name : "
        f"s.kind == 'User' && s.name.startsWith({prefix}) ? "
        f"s.name.substring({len(ACCOUNT_USER)}).replace(':', '/') : '')"
    )
    # A group of all accounts of a namespace holds the agent's, too.
    everybody = (
        f"(s.kind == 'Group' && s.name.startsWith({quote(_ACCOUNT_GROUP)}) ? "
        f"s.name.substring({len(_ACCOUNT_GROUP)}) : '')"
    )
    homes = [*guard.scope.own, *(one.partition("/")[0] for one in guard.scope.accounts)]
    scope = guard.scope
    tests = (
        ("account_subjects", guard.scope.accounts, account),
        ("own_subjects", scope.own, f"{account}.split('/')[0]"),
        ("home_subjects", homes, everybody),
        ("user_subjects", scope.users, "(s.kind == 'User' ? s.name : '')"),
        ("group_subjects", scope.groups, "(s.kind == 'Group' ? s.name : '')"),
    )
    pieces: list[str] = []
    for name, values, what in tests:
        pieces += names.parts(name, values, _bound(what))
    names.add("subjects", " + ".join(pieces) if pieces else "[]")


def _bound(what: str) -> Callable[[str], str]:
    return lambda listed: f"variables.bound.filter(s, {what} in {listed})"


def _grows(path: tuple[str, ...]) -> str:
    """Return whether a custom resource wants more of what its definition calls replicas."""
    steps = "".join(f"[?{quote(one)}]" for one in path)
    return f"object{steps}.orValue(1) > oldObject{steps}.orValue(1)"


def _gains(guard: Guard) -> str:
    """Return what is true of a request that brings something to life, or gives a right."""
    same = "object.?spec.?{0}.orValue({1}) != oldObject.?spec.?{0}.orValue({1})"
    more = "object.?spec.?{0}.orValue({1}) > oldObject.?spec.?{0}.orValue({1})"
    woken = "oldObject.?spec.?{0}.orValue(false) == true && object.?spec.?{0}.orValue(false) != true"
    live = "object.?spec.?replicas.orValue(1) > 0 && object.?spec.?suspend.orValue(false) != true"
    changed = either(
        (
            same.format("template", "{}"),
            same.format("jobTemplate", "{}"),
            same.format("schedule", "''"),
            same.format("workloadRef", "{}"),
            f"variables.res == 'jobs.batch' && {more.format('parallelism', '1')}",
            f"variables.res == 'jobs.batch' && {more.format('completions', '1')}",
            woken.format("paused"),
            woken.format("suspend"),
            more.format("replicas", "1"),
            *(_grows(path) for path in dict.fromkeys(guard.paths)),
        )
    )
    account = f"?metadata.?annotations[?{quote(_OF_ACCOUNT)}]"
    secret = either(
        (
            "object.?data.orValue({}) != oldObject.?data.orValue({})",
            f"object.{account}.orValue('') != oldObject.{account}.orValue('')",
        )
    )
    return (
        "variables.res == 'secrets' ? "
        f"variables.token_secret && (!variables.updated || {secret}) : "
        "!variables.updated || variables.sub == 'ephemeralcontainers' ? true : "
        f"variables.sub == 'scale' ? {more.format('replicas', '0')} : "
        f"variables.makes_pods ? ({live}) && ({changed}) : "
        "variables.subjects.exists(s, !(s in oldObject.?subjects.orValue([])))"
    )


def _theirs(guard: Guard, names: Variables) -> str:
    scope = guard.scope
    label = f"l[?{quote(AGENT_LABEL)}].orValue('') == {quote(scope.agent)}"
    where = names.any("chosen", scope.namespaces, lambda listed: f"variables.ns in {listed}")
    chosen = f"({where}) && {selected('l', scope.selector)}" if scope.selector else "false"
    own_kinds = (
        "variables.makes_pods || variables.sub == 'scale' || variables.res == 'serviceaccounts'"
        " || variables.token_secret"
    )
    own = names.any("own", scope.own, lambda listed: f"variables.ns in {listed}")
    exists = "variables.{0}.exists(x, {1} in {2})".format
    space = "x.split('/')[0]"
    singles = (*scope.workloads, *guard.names)
    return either(
        (
            f"({own_kinds}) && ({own})",
            f"variables.labels.exists(l, {either((label, chosen))})",
            names.any("account", scope.accounts, lambda listed: exists("accounts", "x", listed)),
            names.any("own_account", scope.own, lambda listed: exists("accounts", space, listed)),
            names.any("key", singles, lambda listed: exists("keys", "x", listed)),
            "size(variables.subjects) > 0",
            names.any("user", scope.users, lambda listed: f"request.userInfo.username in {listed}"),
            names.any(
                "group",
                scope.groups,
                lambda listed: f"request.userInfo.?groups.orValue([]).exists(g, g in {listed})",
            ),
        )
    )
