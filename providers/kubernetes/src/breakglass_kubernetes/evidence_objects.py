"""Gathers the objects that say what the agent was in a cluster: as whom it ran, and with which rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import (
    AUTOSCALERS,
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    NETWORK_POLICIES,
    PODS,
    RESOURCE_QUOTAS,
    ROLE_BINDINGS,
    ROLES,
    SECRETS,
    SERVICE_ACCOUNTS,
    Kind,
)
from breakglass_kubernetes.objects import (
    Body,
    account_of,
    bodies,
    name_of,
    namespace_of,
    part,
    pod_spec_of,
    text,
    uid_of,
)
from breakglass_kubernetes.ownership import Held
from breakglass_kubernetes.scope import Scope

CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
_ACCOUNTS = "system:serviceaccounts"
_EVERYBODY = frozenset({"system:authenticated", "system:unauthenticated", _ACCOUNTS})
_TOKEN_OF = "kubernetes.io/service-account."  # noqa: S105 - the beginning of an annotation's name


@dataclass(frozen=True, slots=True)
class Agent:
    """What the objects around an agent are chosen by."""

    scope: Scope
    held: Held
    accounts: frozenset[str] = field(init=False)
    """``NS/NAME`` of every account that it acts as."""
    groups: frozenset[str] = field(init=False)
    """The groups that these are in."""

    def __post_init__(self) -> None:
        """Find accounts and groups once: every subject and every object is held against them."""
        run_as = (account_of(thing.body) for thing in self.held.things)
        accounts = frozenset({*self.scope.every_account, *run_as} - {""})
        homes = {one.partition("/")[0] for one in accounts} | {*self.scope.own}
        groups = {*self.scope.groups, *_EVERYBODY, *(f"{_ACCOUNTS}:{one}" for one in homes)}
        object.__setattr__(self, "accounts", accounts)
        object.__setattr__(self, "groups", frozenset(groups))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return where anything of it is."""
        homes = (thing.namespace for thing in self.held.things)
        return tuple(dict.fromkeys((*self.scope.look_in, *homes)))

    def bound_by(self, binding: Body) -> bool:
        """Return whether a binding gives any right to it, alone or as one of a group."""
        return any(self._is_subject(one, namespace_of(binding)) for one in bodies(binding, "subjects"))

    def _is_subject(self, subject: Body, home: str) -> bool:
        kind, name = text(subject, "kind"), text(subject, "name")
        if kind == "ServiceAccount":
            namespace = text(subject, "namespace") or home
            return f"{namespace}/{name}" in self.accounts or namespace in self.scope.own
        if kind == "User":
            return name in self.scope.users or self._is_account(name)
        return kind == "Group" and name in self.groups

    def _is_account(self, user: str) -> bool:
        namespace, _, name = user.removeprefix("system:serviceaccount:").partition(":")
        return user.startswith("system:serviceaccount:") and (
            f"{namespace}/{name}" in self.accounts or namespace in self.scope.own
        )


@dataclass(slots=True)
class Used:
    """Names of what pods mount or read, as ``NS/NAME``."""

    config_maps: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    @classmethod
    def by(cls, held: Held) -> Used:
        """Find every reference in the pod templates."""
        used = cls()
        for thing in held.things:
            for kind, name in _references(pod_spec_of(thing.body)):
                (used.secrets if kind == "secret" else used.config_maps).add(f"{thing.namespace}/{name}")
        return used


def _references(spec: Body) -> Iterator[tuple[str, str]]:
    for volume in bodies(spec, "volumes"):
        yield "secret", text(volume, "secret", "secretName")
        yield "configMap", text(volume, "configMap", "name")
        for source in bodies(volume, "projected", "sources"):
            yield "secret", text(source, "secret", "name")
            yield "configMap", text(source, "configMap", "name")
    for name in ("containers", "initContainers", "ephemeralContainers"):
        for container in bodies(spec, name):
            for source in bodies(container, "envFrom"):
                yield "secret", text(source, "secretRef", "name")
                yield "configMap", text(source, "configMapRef", "name")
            for one in bodies(container, "env"):
                yield "secret", text(one, "valueFrom", "secretKeyRef", "name")
                yield "configMap", text(one, "valueFrom", "configMapKeyRef", "name")
    for one in bodies(spec, "imagePullSecrets"):
        yield "secret", text(one, "name")


def around(agent: Agent) -> dict[Kind, Callable[[Cluster], Sequence[Body]]]:
    """Return how to read what belongs to the agent beside its workloads, by kind."""
    used, scope = Used.by(agent.held), agent.scope

    def pick(kind: Kind, wanted: Callable[[Body], bool]) -> Callable[[Cluster], Sequence[Body]]:
        return lambda cluster: [one for one in cluster.list_in(kind, agent.namespaces) if wanted(one)]

    def whole(kind: Kind) -> Callable[[Cluster], Sequence[Body]]:
        return lambda cluster: cluster.list_in(kind, agent.namespaces)

    def named(body: Body, names: set[str] | frozenset[str]) -> bool:
        return namespace_of(body) in scope.own or f"{namespace_of(body)}/{name_of(body)}" in names

    def is_secret(body: Body) -> bool:
        account = text(part(body, "metadata"), "annotations", f"{_TOKEN_OF}name")
        return named(body, used.secrets) or f"{namespace_of(body)}/{account}" in agent.accounts

    scaled = {(thing.kind.kind, thing.namespace, thing.name) for thing in agent.held.things}

    def scales(body: Body) -> bool:
        aim = part(body, "spec", "scaleTargetRef")
        return (text(aim, "kind"), namespace_of(body), text(aim, "name")) in scaled or scope.owns(
            AUTOSCALERS, body
        )

    return {
        SERVICE_ACCOUNTS: pick(SERVICE_ACCOUNTS, lambda body: named(body, agent.accounts)),
        AUTOSCALERS: pick(AUTOSCALERS, scales),
        NETWORK_POLICIES: whole(NETWORK_POLICIES),
        RESOURCE_QUOTAS: whole(RESOURCE_QUOTAS),
        CONFIG_MAPS: pick(CONFIG_MAPS, lambda body: named(body, used.config_maps)),
        SECRETS: pick(SECRETS, is_secret),
    }


def rights(agent: Agent, cluster: Cluster) -> dict[Kind, list[Body]]:
    """Return the bindings that give the agent any right, in whatever namespace, and the roles they name.

    Raises:
        ProviderError: a listing failed.
    """
    found = {
        kind: [one for one in cluster.every(kind) if agent.bound_by(one)]
        for kind in (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
    }
    named = {
        (text(one, "roleRef", "kind"), namespace_of(one), text(one, "roleRef", "name"))
        for bindings in found.values()
        for one in bindings
    }
    whole = {name for kind, _home, name in named if kind == "ClusterRole"}
    found[ROLES] = [one for one in cluster.every(ROLES) if ("Role", namespace_of(one), name_of(one)) in named]
    found[CLUSTER_ROLES] = [one for one in cluster.every(CLUSTER_ROLES) if name_of(one) in whole]
    return found


def concerning(agent: Agent) -> Callable[[Body], bool]:
    """Return what tells whether an event is about a thing of the agent's, also about one that is gone."""
    uids = frozenset(thing.uid for thing in agent.held.things) - {""}
    makers = frozenset(
        (thing.namespace, thing.name) for thing in agent.held.things if thing.kind.name != PODS.name
    )

    def concerns(event: Body) -> bool:
        about = part(event, "involvedObject") or part(event, "regarding")
        namespace, name = text(about, "namespace"), text(about, "name")
        if namespace in agent.scope.own or text(about, "uid") in uids:
            return True
        # What a controller makes is named after it: a pod that is gone is known by that alone.
        stems = (name[:n] for n, one in enumerate(name) if one == "-")
        return (namespace, name) in makers or any((namespace, stem) in makers for stem in stems)

    return concerns


def without_data(secret: Body) -> dict[str, object]:
    """Return what a Secret is without what it holds: names of its keys, and sizes.

    An annotation may hold all of it once more (``last-applied-configuration``), so only its name stays.
    """
    about = part(secret, "metadata")
    notes = {
        str(name): value if str(name).startswith(_TOKEN_OF) else f"[left out: {len(str(value))} characters]"
        for name, value in part(about, "annotations").items()
    }
    held = [
        {"entry": str(name), "size": len(str(value)) * 3 // 4 if group == "data" else len(str(value))}
        for group in ("data", "stringData")
        for name, value in part(secret, group).items()
    ]
    kept = ("apiVersion", "kind", "type", "immutable")
    more = {key: secret[key] for key in kept if key in secret}
    return {**more, "metadata": {**about, "annotations": notes}, "holds": held, "uid": uid_of(secret)}
