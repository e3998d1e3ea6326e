"""Reads what identities did, from the API server's audit log (Kubernetes documentation, "Auditing").

The log is the server's own: nobody can put a line into it without having been its caller. What an event
says beside who, when, what and how it ended is the caller's, though, and hostile.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from breakglass.clock import Instant
from breakglass_kubernetes.audit_files import Limits, Tally, lines
from breakglass_kubernetes.objects import items, part, text
from breakglass_kubernetes.scope import Scope

__all__ = ["AuditEvent", "Limits", "Tally", "Wanted", "parse", "read"]
_NAME = re.compile(rb'"username"\s{0,8}:\s{0,8}"([^"]*)"')
_LONGEST_TIME = 40
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose events; an event of somebody who acts as one of these is one, too."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    """All service accounts of these."""
    everybody: bool = False

    @classmethod
    def of(cls, scope: Scope) -> Wanted:
        """Return all identities of an agent."""
        accounts = (f"{_ACCOUNT}{one.replace('/', ':')}" for one in scope.every_account)
        return cls(frozenset((*accounts, *scope.users)), frozenset(scope.groups), frozenset(scope.own))

    def name(self, name: str) -> bool:
        """Return whether a user is one of them by its name."""
        if self.everybody or name in self.users:
            return True
        return name.startswith(_ACCOUNT) and name.split(":")[2] in self.namespaces

    def may_be(self, line: bytes) -> bool:
        """Return quickly whether a line may be one of theirs: most are somebody else's."""
        if self.everybody or any(group.encode() in line for group in self.groups):
            return True
        for found in _NAME.findall(line):
            # Escaped characters: look closely.
            if b"\\" in found or self.name(found.decode("utf-8", "replace")):
                return True
        return False

    def takes(self, event: AuditEvent) -> bool:
        """Return whether an event is one of theirs."""
        who = (event.user, event.impersonated)
        groups = {*event.groups, *event.impersonated_groups}
        return any(name and self.name(name) for name in who) or not self.groups.isdisjoint(groups)


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One request, as the server saw it."""

    at: Instant
    """When it was received."""
    user: str
    impersonated: str
    """In whose place `user` asked; empty: for itself."""
    verb: str
    resource: str
    group: str
    namespace: str
    name: str
    """Empty where the request names none: a creation's name may be in `uri` of a later one alone."""
    subresource: str
    code: int
    """HTTP status of the answer; 0: there is none yet."""
    stage: str
    ended: Instant
    """When this stage was reached."""
    audit_id: str = ""
    uri: str = ""
    groups: tuple[str, ...] = ()
    impersonated_groups: tuple[str, ...] = ()
    raw: bytes = b""
    """The line."""

    @property
    def allowed(self) -> bool:
        """Return whether it did what was asked: 101 is an exec or a port-forward that began."""
        return self.code == 101 or 200 <= self.code < 300  # noqa: PLR2004 - RFC 9110 15


def read(
    path: Path,
    wanted: Wanted,
    since: Instant | None,
    limits: Limits | None = None,
    tally: Tally | None = None,
) -> Iterator[AuditEvent]:
    """Yield the events of these identities since then, oldest file first; `tally` says what was left out.

    Raises:
        Gone: no log lies there.
        Denied: it cannot be read, or it is no plain file.
    """
    count = tally if tally is not None else Tally()
    for line in lines(path, since, limits or Limits(), count):
        if not wanted.may_be(line):
            # A line that is no event at all is counted where it would have been looked at.
            if not line.startswith(b"{"):
                count.unreadable += 1
            continue
        event = parse(line)
        if event is None:
            count.unreadable += 1
        elif wanted.takes(event) and (since is None or event.ended >= since):
            count.events += 1
            yield event


def parse(line: bytes) -> AuditEvent | None:
    """Read one line; None: it is no event."""
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, Mapping):
        return None
    came = _instant(text(body, "requestReceivedTimestamp"))
    ended = _instant(text(body, "stageTimestamp")) or came
    if came is None or ended is None or not text(body, "verb"):
        return None
    about, code = part(body, "objectRef"), part(body, "responseStatus").get("code")
    return AuditEvent(
        at=came,
        user=text(body, "user", "username"),
        impersonated=text(body, "impersonatedUser", "username"),
        verb=text(body, "verb"),
        resource=text(about, "resource"),
        group=text(about, "apiGroup"),
        namespace=text(about, "namespace"),
        name=text(about, "name"),
        subresource=text(about, "subresource"),
        code=code if isinstance(code, int) else 0,
        stage=text(body, "stage"),
        ended=ended,
        audit_id=text(body, "auditID"),
        uri=text(body, "requestURI"),
        groups=_texts(body, "user"),
        impersonated_groups=_texts(body, "impersonatedUser"),
        raw=line,
    )


def _texts(body: Mapping[str, Any], who: str) -> tuple[str, ...]:
    return tuple(one for one in items(body, who, "groups") if isinstance(one, str))


def _instant(stamp: str) -> Instant | None:
    """Read ``2026-01-31T03:12:08.123456Z`` (meta/v1 MicroTime)."""
    if not stamp.endswith("Z") or len(stamp) > _LONGEST_TIME:
        return None
    try:
        found = datetime.fromisoformat(stamp)
    except ValueError:
        return None
    return Instant(int(found.timestamp() * 1000))
