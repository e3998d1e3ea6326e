"""The keys of a Kubernetes reach: parsed once, and refused with words where they cannot be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from breakglass.canon import Json
from breakglass_kubernetes.selector import Selector

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""RFC 1123 label (Kubernetes documentation, "Object Names and IDs")."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|::1")
_KINDS = re.compile(r"[a-z]+(\.[a-z0-9.-]+)?", re.ASCII)
NOBODYS = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that are never one agent's alone."""
_OF_MANY = re.compile(r"kubectl.*|kube-.*|kubelet|helm|before-first-apply|breakglass", re.DOTALL)
"""Field managers that many write as (Kubernetes documentation, "Server-Side Apply", "Managers")."""
_EVERYBODYS = re.compile(r"system:(authenticated|unauthenticated|serviceaccounts(:.*)?)", re.DOTALL)
_API_SERVICE = re.compile(r"v[0-9][a-z0-9]*\.[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """One Kubernetes reach, read from the inventory or from a signed plan."""

    server: str
    cluster_uid: str
    values: Mapping[str, Json]

    @classmethod
    def of(cls, settings: Mapping[str, Json]) -> KubernetesSettings:
        """Take an entry that `complaints` found good."""
        server = str(settings.get("server", "")).rstrip("/")
        return cls(server, str(settings.get("cluster_uid", "")), dict(settings))

    def text(self, key: str) -> str:
        """Return a text; empty where it is absent."""
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list, each entry once, in the order of the inventory."""
        value = self.values.get(key)
        items = value if isinstance(value, list) else []
        return tuple(dict.fromkeys(item for item in items if isinstance(item, str)))

    def mapping(self, key: str) -> Mapping[str, str]:
        """Return a mapping; empty where it is absent."""
        value = self.values.get(key)
        return {name: str(item) for name, item in value.items()} if isinstance(value, Mapping) else {}

    def flag(self, key: str) -> bool:
        """Return whether a flag is set."""
        return self.values.get(key) is True

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces that the inventory gives the agent."""
        first = self.text("namespace")
        return tuple(dict.fromkeys(((first,) if first else ()) + self.texts("namespaces")))


def complaints(settings: Mapping[str, Json]) -> Sequence[str]:
    """Return everything that is wrong with an entry, each in words."""
    entry = KubernetesSettings.of(settings)
    found = [*_wrong_server(entry), *_wrong_names(entry), *_wrong_identities(entry)]
    if entry.text("kubeconfig") and entry.text("credential"):
        found.append("kubeconfig and credential: name one of them")
    try:
        selector = Selector.parse(entry.text("selector"))
    except ValueError as error:
        return [*found, f"selector: {error}"]
    if selector.requirements and not entry.namespaces:
        found.append("selector has a meaning with a namespace alone")
    if entry.flag("own_namespace"):
        found += [f"own_namespace: {name} is nobody's alone" for name in entry.namespaces if name in NOBODYS]
        if not entry.namespaces:
            found.append("own_namespace has a meaning with a namespace alone")
    elif entry.namespaces and not selector.requirements:
        found.append(
            "a namespace without a selector: say which pods are the agent's, or own_namespace: true for all"
        )
    if not (entry.namespaces or any(entry.texts(key) for key in ("workloads", "service_accounts", "users"))):
        found.append("nothing of the agent's is named: namespace, workloads, service_accounts or users")
    return found


def _wrong_server(entry: KubernetesSettings) -> list[str]:
    found: list[str] = []
    try:
        address = urlsplit(entry.server)
        good = (
            address.scheme == "https"
            and bool(address.hostname)
            and not (address.query or address.fragment or address.username)
            and address.port != 0
            and entry.server.isascii()
            and entry.server.isprintable()
        )
        loopback = _LOOPBACK.fullmatch(address.hostname or "") is not None
    except ValueError:
        good = loopback = False
    if not good:
        found.append("server is not https://HOST[:PORT]")
    elif entry.flag("sandbox") and not loopback:
        found.append("sandbox: a sandbox is on loopback alone")
    if _UID.fullmatch(entry.cluster_uid) is None:
        found.append("cluster_uid is not the uid of a namespace (kubectl get namespace kube-system -o yaml)")
    if (digest := entry.text("ca_sha256")) and _DIGEST.fullmatch(digest) is None:
        found.append("ca_sha256 is not 64 hexadecimal digits")
    return found


def _wrong_names(entry: KubernetesSettings) -> list[str]:
    found = [
        f"namespace {name[:80]!r} is no name of a namespace"
        for name in entry.namespaces
        if _NAMESPACE.fullmatch(name) is None
    ]
    pairs = {key: entry.texts(key) for key in ("service_accounts", "accept_blast_radius")}
    pairs["agent_tokens"] = (*entry.mapping("agent_tokens"),)
    found += [
        f"{key}: {one[:200]!r} is not NAMESPACE/NAME"
        for key, listed in pairs.items()
        for one in listed
        if not _is_pair(one)
    ]
    found += [
        f"workloads: {one[:200]!r} is not RESOURCE[.GROUP]/NAMESPACE/NAME"
        for one in entry.texts("workloads")
        if not _is_workload(one)
    ]
    found += [
        f"webhooks: {one[:200]!r} is neither validating/NAME nor mutating/NAME"
        for one in entry.texts("webhooks")
        if one.partition("/")[0] not in {"validating", "mutating"}
        or _NAME.fullmatch(one.partition("/")[2]) is None
    ]
    found += [
        f"deployers: {one[:200]!r} is neither argocd:NAMESPACE/NAME nor flux:NAMESPACE/NAME"
        for one in entry.texts("deployers")
        if one.partition(":")[0] not in {"argocd", "flux"} or not _is_pair(one.partition(":")[2])
    ]
    found += [
        f"api_services: {one[:200]!r} is not VERSION.GROUP"
        for one in entry.texts("api_services")
        if _API_SERVICE.fullmatch(one) is None
    ]
    return found


def _wrong_identities(entry: KubernetesSettings) -> list[str]:
    found: list[str] = []
    for key in ("users", "groups", "field_managers", "break_glass_group", "as"):
        value = entry.values.get(key)
        listed = value if isinstance(value, list) else [value] if value is not None else []
        found += [
            f"{key}: {one[:200]!r} is empty or has characters that cannot be seen"
            for one in listed
            if isinstance(one, str) and not (one and one.isprintable())
        ]
    found += [
        f"{key}: {one[:200]!r} is the cluster's own: it cannot be an agent's alone"
        for key in ("users", "groups")
        for one in entry.texts(key)
        if one.startswith("system:") and not _is_home(key, one)
    ]
    found += [
        f"users: {one[:200]!r} is a service account: name it in service_accounts as NAMESPACE/NAME"
        for one in entry.texts("users")
        if one.startswith("system:serviceaccount:")
    ]
    found += [
        f"field_managers: {one[:200]!r} is the cluster's own, or many write as it"
        for one in entry.texts("field_managers")
        if _OF_MANY.fullmatch(one)
    ]
    group = entry.text("break_glass_group")
    if _EVERYBODYS.fullmatch(group) or group in entry.texts("groups"):
        found.append(f"break_glass_group: the agent is in {group[:200]!r}: the guards would let it through")
    if (path := entry.text("audit_log")) and not (path.startswith("/") and path.isprintable()):
        found.append("audit_log is not an absolute path")
    return found


def _is_home(key: str, name: str) -> bool:
    """Return whether it is the group of all accounts of a namespace that can be an agent's."""
    namespace = name.removeprefix("system:serviceaccounts:")
    return key == "groups" and namespace != name and _is_own(namespace)


def _is_own(namespace: str) -> bool:
    return namespace not in NOBODYS and _NAMESPACE.fullmatch(namespace) is not None


def _is_pair(text: str) -> bool:
    namespace, _, name = text.partition("/")
    return _NAMESPACE.fullmatch(namespace) is not None and _NAME.fullmatch(name) is not None


def _is_workload(text: str) -> bool:
    kind, _, rest = text.partition("/")
    return _KINDS.fullmatch(kind) is not None and _is_pair(rest)
