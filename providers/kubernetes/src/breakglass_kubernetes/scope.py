"""What of a cluster is the agent's: the container that steps act on, signed as the parameters of a target.

A step is closed over what the container holds when it runs, so what the agent makes after the signatures
is covered, too, wherever one of these rules holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import (
    Body,
    account_of,
    creators_of,
    labels_of,
    name_of,
    namespace_of,
    part,
    template_of,
    uid_of,
)
from breakglass_kubernetes.selector import Selector

AGENT_LABEL = "breakglass.dev/agent"
KIND = "kubernetes-scope"


@dataclass(frozen=True, slots=True)
class _Fast:
    """The rules of a scope as sets."""

    namespaces: frozenset[str]
    own: frozenset[str]
    workloads: frozenset[str]
    accounts: frozenset[str]
    every_account: frozenset[str]
    made_by: frozenset[str]
    executors: frozenset[str]
    signed: frozenset[str]
    selector: Selector

    @classmethod
    def of(cls, scope: Scope) -> _Fast:
        """Return it for a scope."""
        return cls(
            namespaces=frozenset(scope.namespaces),
            own=frozenset(scope.own),
            workloads=frozenset(scope.workloads),
            accounts=frozenset(scope.accounts),
            every_account=frozenset(scope.every_account),
            made_by=frozenset(scope.made_by),
            executors=frozenset(scope.executors),
            signed=frozenset(scope.signed),
            selector=Selector.parse(scope.selector),
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """Rules that say what is the agent's."""

    agent: str
    namespaces: tuple[str, ...] = ()
    """Where `selector` holds."""
    selector: str = ""
    own: tuple[str, ...] = ()
    """Namespaces in which everything is the agent's."""
    workloads: tuple[str, ...] = ()
    """Single things, as ``deployments.apps/NS/NAME``."""
    accounts: tuple[str, ...] = ()
    """Service accounts (``NS/NAME``) whose users are the agent's, all of them."""
    shared: tuple[str, ...] = ()
    """Service accounts that are the agent's and others': only they themselves are, not who uses them."""
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    made_by: tuple[str, ...] = ()
    """Field managers that the agent alone writes as: what one of them created is the agent's."""
    labelled: tuple[str, ...] = ()
    """More namespaces to look in: something in them carries the agent's label."""
    executors: tuple[str, ...] = ()
    """Accounts whose pods are never the agent's, whatever they carry: the executor's own."""
    signed: tuple[str, ...] = ()
    """uids of what was the agent's when the plan was made: marks that it takes off since hide nothing."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """What one action needs beside these."""
    _fast: _Fast = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the rules: they are asked for every object of a cluster."""
        object.__setattr__(self, "_fast", _Fast.of(self))

    @classmethod
    def of(cls, resource: Resource) -> Scope:
        """Read it from the parameters of a target."""
        params = dict(resource.params)
        lists = {
            name: tuple(str(one) for one in found)
            for name in _LISTS
            if isinstance(found := params.pop(name, ()), list)
        }
        agent, selector = str(params.pop("agent", "")), str(params.pop("selector", ""))
        return cls(agent=agent, selector=selector, more=params, **lists)

    def params(self) -> dict[str, Json]:
        """Return it as the parameters of a target."""
        own: dict[str, Json] = {name: list(getattr(self, name)) for name in _LISTS}
        return {"agent": self.agent, "selector": self.selector, **own, **self.more}

    @property
    def look_in(self) -> tuple[str, ...]:
        """Return the namespaces in which anything of the agent's can be."""
        named = [one.split("/")[1] for one in self.workloads if one.count("/") == 2]  # noqa: PLR2004 - KIND/NS/NAME
        homes = [one.partition("/")[0] for one in (*self.accounts, *self.shared)]
        return tuple(dict.fromkeys((*self.namespaces, *self.own, *self.labelled, *named, *homes)))

    @property
    def every_account(self) -> tuple[str, ...]:
        """Return all service accounts of the agent."""
        return (*self.accounts, *self.shared)

    def owns(self, kind: Kind, body: Body) -> bool:
        """Return whether a namespaced thing is the agent's by one of the rules; its owners are not asked."""
        fast, namespace, account = self._fast, namespace_of(body), account_of(body)
        if account and account in fast.executors:
            return False
        if namespace in fast.own or uid_of(body) in fast.signed:
            return True
        if kind.key(namespace, name_of(body)) in fast.workloads:
            return True
        if self.has_label(body) or (account and account in fast.accounts):
            return True
        return bool(fast.made_by) and not fast.made_by.isdisjoint(creators_of(body))

    def is_account(self, account: str) -> bool:
        """Return whether a service account (``NS/NAME``) is one of the agent's, shared or not."""
        if account in self._fast.executors:
            return False
        return account in self._fast.every_account or account.partition("/")[0] in self._fast.own

    def has_label(self, body: Body) -> bool:
        """Return whether it, or its template, carries the agent's label or the selector's labels."""
        template = template_of(body)
        both = (labels_of(body), labels_of(template)) if template else (labels_of(body),)
        if any(labels.get(AGENT_LABEL) == self.agent for labels in both):
            return True
        if namespace_of(body) not in self._fast.namespaces:
            return False
        return any(self._fast.selector.matches(labels) for labels in both)


_LISTS = (
    "namespaces",
    "own",
    "workloads",
    "accounts",
    "shared",
    "users",
    "groups",
    "made_by",
    "labelled",
    "executors",
    "signed",
)


def target(scope: Scope, cluster_uid: str, label: str, **more: Json) -> Resource:
    """Return the target of a step that acts on all that is the agent's in a cluster."""
    params = scope.params() | more
    return Resource(KIND, f"{cluster_uid}/{scope.agent}", label, params)


def template_labels(body: Body) -> Mapping[str, str]:
    """Return the labels that the pods of a workload get."""
    return {str(key): str(value) for key, value in part(template_of(body), "metadata", "labels").items()}
