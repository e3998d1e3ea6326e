"""What the authoriser sees of IAM and Organizations: as it was `delay_s` ago.

IAM is eventually consistent ("Changes that I make are not always immediately visible", IAM User Guide
"Troubleshooting IAM"): reads of the API see a write at once, enforcement sees it later. Each entity keeps its
versions with their times; a write re-reads only what it touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from breakglass_aws.sandbox import iam_entities, org_entities
from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.iam_entities import Entity, GroupView, KeyView, PolicyView, RoleView, UserView
from breakglass_aws.sandbox.org_entities import OrgView

T = TypeVar("T")
BEGINNING = float("-inf")
ORG: Entity = ("org", "", "")
NOW: float = float("inf")
"""As a time: the newest version, whatever the delay."""


@dataclass(slots=True)
class Views:
    """Versions of every entity that was looked at or touched."""

    delay_s: float = 0.0
    _versions: dict[Entity, list[tuple[float, object]]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def before(self, call: Call) -> None:
        """Remember what a write is about to change, if nobody has looked yet."""
        with self._lock:
            for entity in touched(call):
                self._base(entity)

    def after(self, call: Call, now_s: float) -> None:
        """Read again what a write has touched."""
        with self._lock:
            for entity in touched(call):
                known = self._versions.setdefault(entity, [(BEGINNING, None)])
                fresh = _read(entity)
                if fresh != known[-1][1]:
                    known.append((now_s, fresh))
                    self._drop_old(known, now_s)

    def forget(self) -> None:
        """Forget every version and the delay."""
        with self._lock:
            self._versions.clear()
            self.delay_s = 0.0

    def role(self, account: str, name: str, now_s: float) -> RoleView | None:
        """Return a role as enforcement sees it."""
        return self._seen(("role", account, name), now_s, RoleView)

    def user(self, account: str, name: str, now_s: float) -> UserView | None:
        """Return a user as enforcement sees it."""
        return self._seen(("user", account, name), now_s, UserView)

    def group(self, account: str, name: str, now_s: float) -> GroupView | None:
        """Return a group as enforcement sees it."""
        return self._seen(("group", account, name), now_s, GroupView)

    def policy(self, account: str, arn: str, now_s: float) -> PolicyView | None:
        """Return the default version of a managed policy as enforcement sees it."""
        return self._seen(("policy", account, arn), now_s, PolicyView)

    def access_key(self, key_id: str, now_s: float) -> KeyView | None:
        """Return a user's access key as enforcement sees it; None: unknown, not seen yet or deleted."""
        return self._seen(("key", "", key_id), now_s, KeyView)

    def organization(self, now_s: float) -> OrgView | None:
        """Return the organization as enforcement sees it."""
        return self._seen(ORG, now_s, OrgView)

    def _seen(self, entity: Entity, now_s: float, kind: type[T]) -> T | None:
        with self._lock:
            known = self._base(entity)
            horizon = now_s - self.delay_s
            view = next(view for at, view in reversed(known) if at <= horizon)
        return view if isinstance(view, kind) else None

    def _base(self, entity: Entity) -> list[tuple[float, object]]:
        known = self._versions.get(entity)
        if known is None:
            known = [(BEGINNING, _read(entity))]
            self._versions[entity] = known
        return known

    def _drop_old(self, known: list[tuple[float, object]], now_s: float) -> None:
        """Keep the newest version that is old enough, and all younger ones."""
        while len(known) > 1 and known[1][0] <= now_s - self.delay_s:
            del known[0]
        known[0] = (BEGINNING, known[0][1])


VIEWS = Views()
"""The one that this process enforces by."""
access_key = VIEWS.access_key
before, after = VIEWS.before, VIEWS.after


def set_delay(delay_s: float) -> None:
    """Let enforcement see writes of IAM and Organizations this much later."""
    VIEWS.delay_s = delay_s


RESETS: tuple[Callable[[], None], ...] = (VIEWS.forget,)


def touched(call: Call) -> tuple[Entity, ...]:
    """Return what a call may change; reads touch nothing."""
    if call.operation.startswith(("Get", "List", "Describe", "Simulate", "Generate")):
        return ()
    if call.service == "organizations":
        return (ORG,)
    return iam_entities.touched(call) if call.service == "iam" else ()


def _read(entity: Entity) -> object:
    return org_entities.read() if entity == ORG else iam_entities.read(entity)
