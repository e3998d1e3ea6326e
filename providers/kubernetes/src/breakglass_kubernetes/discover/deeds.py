"""Sorts what an audit log says that identities did: what they made, changed, and got into; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass_kubernetes.audit import AuditEvent
from breakglass_kubernetes.kinds import (
    ADMISSION_BINDINGS,
    API_SERVICES,
    CLUSTER_ROLE_BINDINGS,
    MUTATING_BINDINGS,
    MUTATING_WEBHOOKS,
    PODS,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
    VALIDATING_WEBHOOKS,
    WORKLOADS,
    Kind,
)
from breakglass_kubernetes.objects import items
from breakglass_kubernetes.subjects import account_of_user

Place = tuple[Kind, str, str]
_CREATED = 201
"""Also the answer to a PUT or a server-side apply that created."""
_KINDS = {
    (kind.group, kind.plural): kind
    for kind in (
        *WORKLOADS,
        PODS,
        SERVICE_ACCOUNTS,
        SECRETS,
        ROLE_BINDINGS,
        CLUSTER_ROLE_BINDINGS,
        VALIDATING_WEBHOOKS,
        MUTATING_WEBHOOKS,
        ADMISSION_BINDINGS,
        MUTATING_BINDINGS,
        API_SERVICES,
    )
}
_INSIDE = frozenset({"exec", "attach", "ephemeralcontainers"})
"""Subresources of a pod by which somebody gets into it."""
_POD = "authentication.kubernetes.io/pod-name"
"""Which pod's token was used (Kubernetes documentation, "Managing Service Accounts", "Bound tokens")."""


@dataclass(slots=True)
class Deeds:
    """What was done, each thing once: the first time."""

    shared: frozenset[str]
    """Accounts that others run as, too: of these, only what a pod of the agent's did is the agent's."""
    pods: frozenset[str]
    made: dict[Place, AuditEvent] = field(default_factory=dict)
    nameless: dict[tuple[Kind, str], list[AuditEvent]] = field(default_factory=dict)
    tokens: dict[str, AuditEvent] = field(default_factory=dict)
    changed: dict[Place, AuditEvent] = field(default_factory=dict)
    unsure: dict[str, list[str]] = field(default_factory=dict)
    """Shared account -> what somebody made as it."""

    def take(self, event: AuditEvent) -> None:
        """Sort one request."""
        kind = _KINDS.get((event.group, event.resource))
        if kind is None or not event.allowed or not event.stage.startswith("Response"):
            return
        if "dryRun=" in event.uri or not self._is_deed(kind, event):
            return
        account = account_of_user(event.user)
        if account in self.shared and not self._by_its_pod(account, event):
            if event.code == _CREATED:
                self.unsure.setdefault(account, []).append(kind.key(event.namespace, event.name))
            return
        place = (kind, event.namespace, event.name)
        if event.subresource == "token":
            self.tokens.setdefault(f"{event.namespace}/{event.name}", event)
        elif event.subresource or event.code != _CREATED:
            self.changed.setdefault(place, event)
        elif event.name:
            self.made.setdefault(place, event)
        else:
            self.nameless.setdefault((kind, event.namespace), []).append(event)

    @staticmethod
    def why(event: AuditEvent) -> str:
        """Return why something is the agent's."""
        return f"{event.user} made it at {event.at} (audit log)"

    @staticmethod
    def way(event: AuditEvent) -> str:
        """Return how it got into something."""
        verb = f"got into it ({event.subresource})" if event.subresource in _INSIDE else "changed it"
        return f"{event.user} {verb}"

    @staticmethod
    def _is_deed(kind: Kind, event: AuditEvent) -> bool:
        if kind == SERVICE_ACCOUNTS and event.subresource == "token":
            return event.verb == "create"
        if kind == PODS and event.subresource in _INSIDE:
            return True
        return event.subresource in ("", "scale") and event.verb in ("create", "update", "patch")

    def _by_its_pod(self, account: str, event: AuditEvent) -> bool:
        try:
            user = json.loads(event.raw).get("user")
        except ValueError:
            return False
        names = items(user, "extra", _POD) if isinstance(user, Mapping) else ()
        return any(f"{account.partition('/')[0]}/{name}" in self.pods for name in names)
