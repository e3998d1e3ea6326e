"""Evaluates RBAC as the API server does: which rules an identity has, and through which binding; pure.

Rules of matching: Kubernetes documentation, "Using RBAC Authorization"; held against SubjectAccessReview on
the real server by test. Results of aggregation stand in the roles already ("Aggregated ClusterRoles").
Other authorizers (Node, webhook, ABAC) are not in here: only a SubjectAccessReview asks them, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Kind
from breakglass_kubernetes.objects import Body, bodies, items, name_of, namespace_of, text
from breakglass_kubernetes.subjects import MASTERS, Who, account_of_user

BINDINGS: tuple[Kind, ...] = (ROLE_BINDINGS, CLUSTER_ROLE_BINDINGS)
ANY = "*"
_USER, _GROUP, _ACCOUNT = "user ", "group ", "account "


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that somebody may want to do."""

    verb: str
    group: str = ""
    resource: str = ""
    """``pods``, or ``pods/log`` with its subresource."""
    namespace: str = ""
    name: str = ""
    url: str = ""
    """A path that is no resource; then the others are empty."""

    def spec(self) -> dict[str, object]:
        """Return it as a SubjectAccessReview takes it."""
        if self.url:
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.url}}
        resource, _, sub = self.resource.partition("/")
        whole = {
            "verb": self.verb,
            "group": self.group,
            "resource": resource,
            "subresource": sub,
            "namespace": self.namespace,
            "name": self.name,
        }
        return {"resourceAttributes": {key: value for key, value in whole.items() if value}}

    def words(self) -> str:
        """Return it in an operator's words."""
        what = self.url or (f"{self.resource}.{self.group}" if self.group else self.resource)
        return f"{self.verb} {what}" + (f" in {self.namespace}" if self.namespace else "")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a role."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...]
    resources: tuple[str, ...]
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, body: Body) -> Rule:
        """Read it as a role holds it."""
        keys = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
        return cls(*(tuple(str(one) for one in items(body, key)) for key in keys))

    def covers(self, ask: Ask) -> bool:
        """Return whether it allows that, in the namespaces that its binding gives it for."""
        if ANY not in self.verbs and ask.verb not in self.verbs:
            return False
        if ask.url:
            return any(_is_url(url, ask.url) for url in self.urls)
        if ANY not in self.groups and ask.group not in self.groups:
            return False
        named = not self.names or ask.name in self.names
        return named and any(_is_resource(one, ask.resource) for one in self.resources)


def _is_url(rule: str, url: str) -> bool:
    return rule in (ANY, url) or (rule.endswith(ANY) and url.startswith(rule.rstrip(ANY)))


def _is_resource(rule: str, resource: str) -> bool:
    sub = resource.partition("/")[2]
    return rule in (ANY, resource) or (bool(sub) and rule == f"*/{sub}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What one binding gives to one of its subjects."""

    binding: str
    """``rolebindings.rbac.authorization.k8s.io/NS/NAME``."""
    uid: str
    role: str
    namespace: str
    """Empty: everywhere."""
    subject: Body
    rules: tuple[Rule, ...]

    def covers(self, ask: Ask) -> bool:
        """Return whether it allows that."""
        if self.namespace and (ask.url or ask.namespace != self.namespace):
            return False
        return any(rule.covers(ask) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Rbac:
    """All roles and bindings of a cluster, as they were read."""

    roles: Mapping[tuple[str, str, str], tuple[Rule, ...]]
    """(kind, namespace, name) -> its rules."""
    bindings: Sequence[tuple[Kind, Body]]
    _index: dict[str, list[tuple[int, Grant]]] = field(default_factory=dict, repr=False, compare=False)

    def _by_subject(self) -> Mapping[str, Sequence[tuple[int, Grant]]]:
        """Return what each subject has, in the order of the bindings: a thousand identities are asked for."""
        if not self._index:
            made: dict[str, list[tuple[int, Grant]]] = {"": []}
            for n, one in enumerate(self.every_grant()):
                made.setdefault(_subject_key(one.subject, one.namespace), []).append((n, one))
            self._index.update(made)
        return self._index

    def every_grant(self) -> Iterator[Grant]:
        """Yield what each binding gives to each of its subjects; a role that does not exist gives nothing."""
        for kind, body in self.bindings:
            namespace = namespace_of(body) if kind.namespaced else ""
            role_kind, role = text(body, "roleRef", "kind"), text(body, "roleRef", "name")
            home = namespace if role_kind == "Role" else ""
            rules = self.roles.get((role_kind, home, role), ())
            key = kind.key(namespace_of(body), name_of(body))
            for subject in bodies(body, "subjects"):
                uid = text(body, "metadata", "uid")
                yield Grant(key, uid, f"{role_kind}/{role}", namespace, subject, rules)

    def grants(self, who: Who) -> list[Grant]:
        """Return what an identity has, group bindings among them."""
        by_subject = self._by_subject()
        names = [f"{_USER}{who.user}", *(f"{_GROUP}{group}" for group in who.groups)]
        found = [one for name in names for one in by_subject.get(name, ())]
        found += by_subject.get(f"{_ACCOUNT}{account}", ()) if (account := account_of_user(who.user)) else ()
        return [grant for _, grant in sorted(found, key=lambda one: one[0])]

    def allows(self, who: Who, ask: Ask) -> bool:
        """Return whether RBAC allows it."""
        return MASTERS in who.groups or any(grant.covers(ask) for grant in self.grants(who))


def _subject_key(subject: Body, namespace: str) -> str:
    """Return who a subject of a binding in `namespace` is; empty for nobody."""
    kind, name = text(subject, "kind"), text(subject, "name")
    if kind == "ServiceAccount":
        return f"{_ACCOUNT}{text(subject, 'namespace') or namespace}/{name}"
    prefix = {"User": _USER, "Group": _GROUP}.get(kind, "")
    return prefix + name if prefix and name else ""


def read(cluster: Cluster) -> Rbac:
    """Read all roles and bindings. Raises ProviderError: one listing failed."""
    roles: dict[tuple[str, str, str], tuple[Rule, ...]] = {}
    for kind in (ROLES, CLUSTER_ROLES):
        for body in cluster.every(kind):
            rules = tuple(Rule.of(one) for one in bodies(body, "rules"))
            roles[kind.kind, namespace_of(body), name_of(body)] = rules
    found = [(kind, body) for kind in BINDINGS for body in cluster.every(kind)]
    return Rbac(roles, found)


HARMLESS = frozenset(
    f"ClusterRole/{name}" for name in ("system:discovery", "system:basic-user", "system:public-info-viewer")
)
"""What every identity may ("RBAC", "API discovery roles")."""
_LOOKS = frozenset(("get", "list", "watch"))
_OPENS = ("*", "secrets", "*/exec", "*/attach", "*/portforward", "*/proxy")
_OPENING_SUBS = frozenset(("exec", "attach", "portforward", "proxy"))
_SELF_ASKING = frozenset(("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"))


def acts(rule: Rule) -> bool:
    """Return whether a rule lets its holder do more than look: change, read Secrets, enter a container.

    ``get`` alone opens a shell or a tunnel where the resource is exec, attach, portforward or proxy.
    """
    if not rule.verbs or (rule.resources and set(rule.resources) <= _SELF_ASKING):
        return False
    if not set(rule.verbs) <= _LOOKS:
        return True
    opening = (one for one in rule.resources if one in _OPENS or one.partition("/")[2] in _OPENING_SUBS)
    return any(True for _ in opening)
