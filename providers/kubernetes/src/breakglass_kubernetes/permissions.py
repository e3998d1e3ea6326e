"""Writes the executor's least rights as one ClusterRole, from what the actions and discovery declare.

A ClusterRole, since an agent's bindings, guards and copies lie anywhere. No rule names objects: creating and
listing cannot be bound to names (Kubernetes documentation, "Using RBAC Authorization", "Referring to
resources"), and the others' names change daily. Whoever holds ``bind`` may bind every role, and so is as
strong as the strongest one: the executor's identity must be kept like an administrator's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import JsonObject
from breakglass.model.action import ActionSpec
from breakglass.model.resource import Reach
from breakglass_kubernetes import parts
from breakglass_kubernetes.discover.reads import DISCOVERY
from breakglass_kubernetes.kinds import BUILT_IN
from breakglass_kubernetes.settings import KubernetesSettings

STOP, RESTORE, BOTH = "stop", "restore", ""
CONNECTING = (
    "get namespaces",
    "create selfsubjectreviews.authentication.k8s.io",
    "create selfsubjectaccessreviews.authorization.k8s.io",
)
LEFT_OUT = "breakglass.dev/left-out"
_READS = frozenset({"get", "list", "watch"})
_ORDER = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_SUFFIX = ".k8s.io"
_OWN_GROUPS = frozenset({"", "apps", "batch", "autoscaling", "policy", "extensions"})
_NOT_OWN = frozenset({"policy.networking.k8s.io", "gateway.networking.k8s.io", "snapshot.storage.k8s.io"})
"""Groups of Kubernetes' projects that are custom resources all the same."""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One permission of an action: ``patch deployments.apps/scale``, ``get /apis``."""

    group: str
    resource: str
    """With its subresource, as RBAC writes it: ``pods/log``; empty for a path."""
    verb: str
    url: str = ""

    @classmethod
    def parse(cls, text: str) -> Right:
        """Read it. Raises ValueError: it is none."""
        verb, _, rest = text.partition(" ")
        if not (verb and rest) or " " in rest or "*" in text:
            raise ValueError(f"{text!r} is no permission")
        if rest.startswith("/"):
            return cls("", "", verb, rest)
        name, _, sub = rest.partition("/")
        plural, _, group = name.partition(".")
        return cls(group, f"{plural}/{sub}" if sub else plural, verb)

    @property
    def name(self) -> str:
        """Return ``plural.group``; empty for a path."""
        plural = self.resource.partition("/")[0]
        return f"{plural}.{self.group}" if self.group else plural

    @property
    def custom(self) -> bool:
        """Return whether it is about a custom resource, which a cluster may not have."""
        own = self.group in _OWN_GROUPS or (self.group.endswith(_SUFFIX) and self.group not in _NOT_OWN)
        return not own

    def words(self) -> str:
        """Return it as an action declares it."""
        if self.url:
            return f"{self.verb} {self.url}"
        _, _, sub = self.resource.partition("/")
        return f"{self.verb} {self.name}{f'/{sub}' if sub else ''}"


def documents(purpose: str, reaches: Sequence[Reach]) -> Sequence[JsonObject]:
    """Return the ClusterRole for ``stop``, ``restore``, or both (empty).

    Custom resources are named for an agent's reaches alone; without one they are left out, and the
    annotation says which.
    """
    wanted = needed(purpose)
    if reaches:
        kept, left = wanted | _of_reaches(reaches), frozenset[Right]()
    else:
        left = frozenset(one for one in wanted if one.custom)
        kept = wanted - left
    about: JsonObject = {"name": f"breakglass-{purpose}" if purpose else "breakglass"}
    if left:
        names: list[str] = sorted({one.name for one in left})
        about = {**about, "annotations": {LEFT_OUT: ", ".join(names)}}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": about,
            "rules": [*_rules(kept)],
        }
    ]


def needed(purpose: str) -> frozenset[Right]:
    """Return what a purpose needs; connecting and discovery are part of each."""
    wanted = {*CONNECTING, *DISCOVERY}
    for spec in parts.SPECS:
        wanted.update(of(spec, purpose))
    return frozenset(Right.parse(one) for one in wanted)


def of(spec: ActionSpec, purpose: str) -> Iterable[str]:
    """Return what one action needs: a restore reads what a stop reads, and makes other changes."""
    if purpose == STOP:
        return spec.permissions
    if purpose == RESTORE:
        reads = (one for one in spec.permissions if one.partition(" ")[0] in _READS)
        return (*reads, *(spec.undo_permissions or spec.permissions))
    return (*spec.permissions, *spec.undo_permissions)


def _of_reaches(reaches: Sequence[Reach]) -> frozenset[Right]:
    """Return the rights over custom workloads that the inventory names one by one."""
    kinds = {
        key.partition("/")[0]
        for reach in reaches
        if reach.provider == "kubernetes"
        for key in KubernetesSettings.of(reach.settings).texts("workloads")
    }
    named = sorted(one for one in kinds if one not in BUILT_IN and "." in one)
    verbs = ("get", "list", "patch", "update")
    return frozenset(Right.parse(f"{verb} {name}") for name in named for verb in verbs)


def _rules(rights: Iterable[Right]) -> list[JsonObject]:
    """Return rules in a stable order: resources of a group with the same verbs stand in one."""
    verbs: dict[tuple[str, str], set[str]] = {}
    urls: dict[str, set[str]] = {}
    for one in rights:
        (
            urls.setdefault(one.url, set()) if one.url else verbs.setdefault((one.group, one.resource), set())
        ).add(one.verb)
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (group, resource), allowed in sorted(verbs.items()):
        grouped.setdefault((group, _sorted(allowed)), []).append(resource)
    rules: list[JsonObject] = [
        {"apiGroups": [group], "resources": [*resources], "verbs": [*allowed]}
        for (group, allowed), resources in sorted(grouped.items())
    ]
    paths: Mapping[tuple[str, ...], list[str]] = _by_verbs(urls)
    return rules + [
        {"nonResourceURLs": [*found], "verbs": [*allowed]} for allowed, found in sorted(paths.items())
    ]


def _by_verbs(urls: Mapping[str, set[str]]) -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for url, allowed in sorted(urls.items()):
        found.setdefault(_sorted(allowed), []).append(url)
    return found


def _sorted(verbs: Iterable[str]) -> tuple[str, ...]:
    def place(verb: str) -> tuple[int, str]:
        return (_ORDER.index(verb) if verb in _ORDER else len(_ORDER), verb)

    return tuple(sorted(verbs, key=place))
