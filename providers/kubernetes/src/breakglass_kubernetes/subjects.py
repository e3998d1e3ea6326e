"""Tells which subjects of a binding are the agent's, in every spelling that the API server takes.

A service account is also a user of the name ``system:serviceaccount:NS:NAME`` and is in three groups
(Kubernetes documentation, "Using RBAC Authorization", "Referring to subjects"). A ServiceAccount subject of
a RoleBinding without a namespace means the binding's own (seen on 1.36.2: it is stored without one).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from breakglass.model.resource import Resource
from breakglass_kubernetes.objects import Body, text
from breakglass_kubernetes.scope import Scope

USER_PREFIX = "system:serviceaccount:"
GROUP_PREFIX = "system:serviceaccounts:"
ALL_ACCOUNTS = "system:serviceaccounts"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
MASTERS = "system:masters"
"""May do everything, whatever bindings say (Kubernetes documentation, "RBAC", "User-facing roles")."""
SPARED = "spared"


@dataclass(frozen=True, slots=True)
class Who:
    """One identity as the authorizers see it."""

    user: str
    groups: frozenset[str]

    @property
    def account(self) -> str:
        """Return ``NS/NAME`` of a service account; empty for another user."""
        return account_of_user(self.user)


@dataclass(frozen=True, slots=True)
class Cut:
    """Whose rights a step takes: closed over what comes later in the agent's own namespaces."""

    accounts: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    """Accounts in these namespaces that are somebody else's all the same."""
    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    _homes: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the namespaces: they are asked for every subject of a cluster."""
        homes = {one.partition("/")[0] for one in self.accounts} | self.own
        object.__setattr__(self, "_homes", frozenset(homes))

    @classmethod
    def of(cls, resource: Resource) -> Cut:
        """Read it from the target of a step."""
        scope = Scope.of(resource)
        spared = scope.more.get(SPARED)
        return cls(
            frozenset(scope.every_account),
            frozenset(scope.own),
            frozenset(str(one) for one in (spared if isinstance(spared, list) else ())),
            frozenset(scope.users),
            frozenset(scope.groups),
        )

    def takes_account(self, account: str) -> bool:
        """Return whether ``NS/NAME`` is the agent's."""
        if account in self.spared:
            return False
        return account in self.accounts or account.partition("/")[0] in self.own

    def names(self, subject: Body, namespace: str) -> bool:
        """Return whether a subject of a binding in `namespace` is the agent, and nobody else."""
        kind, name = text(subject, "kind"), text(subject, "name")
        if kind == "ServiceAccount":
            return self.takes_account(f"{text(subject, 'namespace') or namespace}/{name}")
        if kind == "User":
            account = account_of_user(name)
            return name in self.users or (bool(account) and self.takes_account(account))
        return kind == "Group" and name in self.groups

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces of its accounts."""
        return tuple(sorted(self._homes))

    def passes_through(self, subject: Body) -> bool:
        """Return whether a subject is a group that it is in with others, or everybody."""
        kind, name = text(subject, "kind"), text(subject, "name")
        if kind == "User":
            return name == ANONYMOUS
        if kind != "Group" or name in self.groups:
            return False
        if name in (AUTHENTICATED, UNAUTHENTICATED):
            return True
        if name == ALL_ACCOUNTS:
            return bool(self._homes)
        return name.startswith(GROUP_PREFIX) and name.removeprefix(GROUP_PREFIX) in self._homes


def account_of_user(user: str) -> str:
    """Return ``NS/NAME`` of a user that is a service account; empty for any other."""
    namespace, _, name = user.removeprefix(USER_PREFIX).partition(":")
    return f"{namespace}/{name}" if user.startswith(USER_PREFIX) and namespace and name else ""


def who_is(account: str) -> Who:
    """Return a service account ``NS/NAME`` with the groups that it always has."""
    namespace, _, name = account.partition("/")
    groups = frozenset((ALL_ACCOUNTS, GROUP_PREFIX + namespace, AUTHENTICATED))
    return Who(f"{USER_PREFIX}{namespace}:{name}", groups)


def everybody(accounts: Iterable[str], scope: Scope) -> list[Who]:
    """Return these accounts, and the users of a scope with the groups of the scope."""
    groups = frozenset((*scope.groups, AUTHENTICATED))
    users = [Who(user, groups) for user in scope.users]
    if scope.groups and not users:
        users = [Who("", groups)]
    return [*(who_is(one) for one in accounts), *users]


def words(subject: Body) -> str:
    """Return how an operator names a subject."""
    home = text(subject, "namespace")
    return f"{text(subject, 'kind')} {f'{home}/' if home else ''}{text(subject, 'name')}"
