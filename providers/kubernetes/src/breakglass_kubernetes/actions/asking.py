"""Chooses what is asked and tried to prove that rights are gone: what the agent's roles gave it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from breakglass.canon import Json, canonical
from breakglass.model.resource import Resource
from breakglass_kubernetes import probe
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import BUILT_IN, EVENTS, Kind
from breakglass_kubernetes.objects import Body, items, part, text
from breakglass_kubernetes.rbac import ANY, Ask, Grant, Rbac
from breakglass_kubernetes.subjects import Cut, Who

MOST_ASKS = 6
MOST_IN_ALL = 600
"""12 s at the rate limit. A thousand identities are asked one right each, the first that each really had;
that no binding names them is read besides."""
_KINDS = (*BUILT_IN.values(), EVENTS, Kind("", "v1", "configmaps", "ConfigMap"))


def always(namespace: str) -> tuple[Ask, ...]:
    """Return what somebody who wants back in does first."""
    return (
        Ask("create", "", "pods", namespace),
        Ask("get", "", "secrets", namespace),
        Ask("create", "", "serviceaccounts/token", namespace),
        Ask("impersonate", "", "users"),
        Ask("escalate", "rbac.authorization.k8s.io", "clusterroles"),
    )


def asks_of(rbac: Rbac, cut: Cut, people: Sequence[Who]) -> Iterator[Json]:
    """Yield what to ask of each identity, as the parameters of a target hold it."""
    most = max(1, min(MOST_ASKS, MOST_IN_ALL // max(1, len(people))))
    for who in people:
        home = who.account.partition("/")[0] or "default"
        direct = [one for one in rbac.grants(who) if not cut.passes_through(one.subject)]
        given = list(dict.fromkeys(ask for grant in direct for ask in _examples(grant, home)))
        held = [one for one in always(home) if any(grant.covers(one) for grant in direct)]
        for ask in list(dict.fromkeys((*held, *given, *always(home))))[:most]:
            groups: list[Json] = [*sorted(who.groups)]
            whole = {"verb": ask.verb, "group": ask.group, "resource": ask.resource, "url": ask.url}
            yield {
                "user": who.user,
                "groups": groups,
                "namespace": ask.namespace,
                "name": ask.name,
                **whole,
            }


def read_asks(resource: Resource) -> list[tuple[Who, Ask]]:
    """Read from a target what `asks_of` gave."""
    listed = resource.params.get("asks")
    found: list[tuple[Who, Ask]] = []
    for one in listed if isinstance(listed, list) else ():
        body: Body = part({"of": one}, "of")
        who = Who(text(body, "user"), frozenset(str(group) for group in items(body, "groups")))
        keys = ("verb", "group", "resource", "namespace", "name", "url")
        found.append((who, Ask(*(text(body, key) for key in keys))))
    return found


def tries_of(cluster: Cluster, rbac: Rbac, cut: Cut, people: Sequence[Who]) -> list[Json]:
    """Return for each account a harmless call that its own rights allow now and no shared group does.

    Only of accounts whose token is held and works: what is refused before the stop proves nothing after it.
    """
    found: list[Json] = []
    for who in people:
        if not who.account or cluster.settings.mapping("agent_tokens").get(who.account) is None:
            continue
        path = _readable(rbac, cut, who)
        if path and (good := probe.good_now(cluster, who.user, who.account)):
            found.append({"account": who.account, "path": path, "token": good})
    return found


def known(grant: Grant) -> str:
    """Return what tells a grant from one that was made, or whose role was widened, later."""
    rules: list[Json] = [
        [list(part_) for part_ in (one.verbs, one.groups, one.resources, one.names, one.urls)]
        for one in grant.rules
    ]
    return hashlib.sha256(canonical([grant.uid, grant.role, text(grant.subject, "name"), rules])).hexdigest()


def _examples(grant: Grant, home: str) -> Iterator[Ask]:
    """Yield one thing that each rule of a grant allows."""
    for rule in grant.rules:
        if not rule.verbs:
            continue
        verb = "list" if rule.verbs[0] == ANY else rule.verbs[0]
        namespace = grant.namespace or home
        if rule.resources:
            group = "" if not rule.groups or rule.groups[0] == ANY else rule.groups[0]
            resource = rule.resources[0].replace(ANY, "pods")
            yield Ask(verb, group, resource, namespace, rule.names[0] if rule.names else "")
        elif rule.urls and not grant.namespace:
            yield Ask("get" if verb == "list" else verb, url=rule.urls[0].replace(ANY, "x"))


def _readable(rbac: Rbac, cut: Cut, who: Who) -> str:
    grants = rbac.grants(who)
    shared = [one for one in grants if cut.passes_through(one.subject)]
    home = who.account.partition("/")[0]
    for grant in grants:
        if grant in shared:
            continue
        for kind in _KINDS:
            ask = Ask("list", kind.group, kind.plural, (grant.namespace or home) if kind.namespaced else "")
            if grant.covers(ask) and not any(one.covers(ask) for one in shared):
                return kind.path(ask.namespace) + "?limit=1"
    return ""
