"""Reads all users and roles of an account in a few calls, for planning only.

GetAccountAuthorizationDetails gives up to 1,000 entities a page, with their policies, boundary, trust policy
and tags (IAM API reference); read one by one, 1,000 principals are minutes at the rate that IAM allows. What
it says is used between a discovery and the look at the executor's own rights, while it is young, and never
once this connection has changed anything: what a stop is judged by is read afresh, one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass.clock import Clock

YOUNG_S = 30.0
MOST_SINGLE_READS = 200
"""So many principals are read one by one when planning, where no bulk listing tells of a thing (access keys:
the credential report may be 4 hours old, IAM User Guide "Getting credential reports"): 5 s at IAM's rate."""


@dataclass(frozen=True, slots=True)
class Entity:
    """One user or role as the bulk listing tells of it."""

    id: str
    arn: str
    path: str
    attached: tuple[str, ...]
    boundary: str | None
    inline: Mapping[str, str]
    """Name -> the text of the document, byte for byte."""
    trust: str
    """Empty for a user."""


@dataclass(slots=True)
class Bulk:
    """What the last listing said, while it may be used."""

    clock: Clock
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _entities: Mapping[str, Entity] = field(default_factory=dict)
    _until_s: float = 0.0
    _single_reads: int = 0
    _changed: bool = False

    def keep(self, entities: Mapping[str, Entity], began_s: float) -> None:
        """Use a whole listing from now on; `began_s` is when its first page was asked for."""
        with self._gate:
            self._entities, self._until_s, self._single_reads = entities, began_s + YOUNG_S, 0

    def end(self) -> None:
        """Planning is over: from now on everything is read afresh."""
        with self._gate:
            self._entities, self._until_s = {}, 0.0

    def changed(self) -> None:
        """Use no listing any more: this connection changed something, or is about to."""
        self._changed = True
        if self._until_s:
            self.end()

    def entity(self, short: str) -> Entity | None:
        """Return ``user/NAME`` or ``role/NAME``; None: read it."""
        with self._gate:
            return self._entities.get(short) if self._usable() else None

    def spares(self) -> bool:
        """Return whether planning should not read one more principal by itself."""
        with self._gate:
            if not self._usable():
                return False
            self._single_reads += 1
            return self._single_reads > MOST_SINGLE_READS

    def _usable(self) -> bool:
        return not self._changed and self.clock.monotonic_s() < self._until_s


def entity(kind: str, item: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> tuple[str, Entity]:
    """Return the short name and the entity of one item of the listing; `kind` is ``Role`` or ``User``."""
    name = str(item[f"{kind}Name"])
    own = texts.get(f"{kind}/{name}", {})
    boundary = (item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    return f"{kind.lower()}/{name}", Entity(
        id=str(item[f"{kind}Id"]),
        arn=str(item["Arn"]),
        path=str(item.get("Path", "/")),
        attached=tuple(sorted(str(one["PolicyArn"]) for one in item.get("AttachedManagedPolicies") or ())),
        boundary=str(boundary) if boundary else None,
        inline={key: text for key, text in own.items() if key},
        trust=own.get("", ""),
    )
