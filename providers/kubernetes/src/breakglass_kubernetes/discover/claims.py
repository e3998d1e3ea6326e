"""Collects what counts as the agent's beside what the inventory names, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.scope import Scope


@dataclass(slots=True)
class Claims:
    """What discovery adds to a scope, and what it has to say before anyone signs."""

    own: dict[str, str] = field(default_factory=dict)
    """Namespaces, each with the reason."""
    labelled: dict[str, str] = field(default_factory=dict)
    workloads: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    webhooks: dict[str, str] = field(default_factory=dict)
    api_services: dict[str, str] = field(default_factory=dict)
    policy_bindings: dict[str, str] = field(default_factory=dict)
    friends: dict[str, str] = field(default_factory=dict)
    """What it made that is not cut by any step: a binding of somebody else, a certificate, a token."""
    proposed: Proposed = field(default_factory=Proposed)

    @property
    def origins(self) -> dict[str, str]:
        """Return why each of them counts as the agent's."""
        accounts = {f"serviceaccounts/{one}": why for one, why in self.accounts.items()}
        spaces = {f"namespaces/{one}": why for one, why in (self.labelled | self.own).items()}
        configured = self.webhooks | self.api_services | self.policy_bindings
        return {**spaces, **accounts, **self.workloads, **configured}

    def widen(self, scope: Scope) -> Scope:
        """Return the scope with what was added."""
        own = _joined(scope.own, self.own)
        not_alone = frozenset((*scope.shared, *scope.executors))
        accounts = _joined(scope.accounts, self.accounts)
        return replace(
            scope,
            own=own,
            labelled=tuple(one for one in _joined(scope.labelled, self.labelled) if one not in self.own),
            workloads=_joined(scope.workloads, self.workloads),
            accounts=tuple(one for one in accounts if one not in not_alone),
        )

    def principals(self) -> tuple[Resource, ...]:
        """Return what no rule of the inventory covers: such a thing that appears later was not signed for."""
        kinds = (
            ("kubernetes-namespace", self.labelled | self.own),
            ("kubernetes-workload", self.workloads),
            ("kubernetes-webhook", self.webhooks | self.api_services | self.policy_bindings),
            ("kubernetes-friend", self.friends),
        )
        return tuple(Resource(kind, name, name, {}) for kind, found in kinds for name in found)

    def befriend(self, name: str, reason: str, remedy: str, *, kind: DoorKind = DoorKind.CAN_MINT) -> None:
        """Keep something open that the agent made and that no step closes: whether it is used is unknown."""
        if name not in self.friends:
            self.friends[name] = reason
            self.door(kind, name, reason, remedy)

    def door(self, kind: DoorKind, name: str, reason: str, remedy: str) -> None:
        """Say what stays open: it leaves the verdict at best unknown."""
        door = Door(kind, name[:500], reason, remedy, "", (), Verdict.UNKNOWN)
        self.proposed = self.proposed.plus(Proposed(doors=(ProposedDoor(door),)))

    def leave(self, resource: str, reason: str) -> None:
        """Say what is not touched."""
        self.proposed = self.proposed.plus(Proposed(not_touched=(NotTouched(resource[:500], reason),)))


def _joined(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))
