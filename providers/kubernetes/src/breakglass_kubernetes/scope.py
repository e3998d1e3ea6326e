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
    labels_of,
    name_of,
    namespace_of,
    part,
    pod_spec_of,
    template_of,
)
from breakglass_kubernetes.selector import Selector

AGENT_LABEL = "breakglass.dev/agent"
KIND = "kubernetes-scope"


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
    """Field managers that the agent alone writes as."""
    more: Mapping[str, Json] = field(default_factory=dict)
    """What one action needs beside these."""

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
        return tuple(dict.fromkeys((*self.namespaces, *self.own, *named, *homes)))

    @property
    def every_account(self) -> tuple[str, ...]:
        """Return all service accounts of the agent."""
        return (*self.accounts, *self.shared)

    def owns(self, kind: Kind, body: Body) -> bool:
        """Return whether a namespaced thing is the agent's by one of the rules; its owners are not asked."""
        namespace = namespace_of(body)
        if namespace in self.own or kind.key(namespace, name_of(body)) in self.workloads:
            return True
        if self.has_label(body):
            return True
        return bool(pod_spec_of(body)) and account_of(body) in self.accounts

    def has_label(self, body: Body) -> bool:
        """Return whether it, or its template, carries the agent's label or the selector's labels."""
        template = template_of(body)
        both = (labels_of(body), labels_of(template)) if template else (labels_of(body),)
        if any(labels.get(AGENT_LABEL) == self.agent for labels in both):
            return True
        if namespace_of(body) not in self.namespaces:
            return False
        selector = Selector.parse(self.selector)
        return any(selector.matches(labels) for labels in both)


_LISTS = ("namespaces", "own", "workloads", "accounts", "shared", "users", "groups", "made_by")


def target(scope: Scope, cluster_uid: str, label: str, **more: Json) -> Resource:
    """Return the target of a step that acts on all that is the agent's in a cluster."""
    params = scope.params() | more
    return Resource(KIND, f"{cluster_uid}/{scope.agent}", label, params)


def template_labels(body: Body) -> Mapping[str, str]:
    """Return the labels that the pods of a workload get."""
    return {str(key): str(value) for key, value in part(template_of(body), "metadata", "labels").items()}
