"""Counts what the agent really did: its allowed calls, by channel, and the beats of its flows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.platform.flows import FLOWS
from breakglass_aws.sandbox.platform.sessions import SESSIONS
from breakglass_aws.sandbox.platform.settings import SETTINGS

MARK = ":assumed-role/"
FREE = frozenset({"GetCallerIdentity"})
"""Needs no permission (STS API reference, GetCallerIdentity), so it is no effect."""


class Recorded(Protocol):
    """One call of the front's record."""

    @property
    def call(self) -> Call:
        """What was called, by whom."""

    @property
    def allowed(self) -> bool:
        """Whether it was carried out."""

    @property
    def at_ms(self) -> int:
        """When, on the wall clock."""

    @property
    def monotonic_us(self) -> int:
        """When, on this machine's own clock."""


def effects(record: Iterable[Recorded]) -> list[dict[str, Any]]:
    """Return each channel's count and last allowed call, from the front's own record."""
    found: dict[str, dict[str, Any]] = {}
    for one in record:
        channel = channel_of(one.call) if one.allowed and one.call.operation not in FREE else None
        if channel is None:
            continue
        seen = found.setdefault(channel, {"channel": channel, "count": 0})
        seen["count"] += 1
        seen["last_at_ms"], seen["last_monotonic_us"] = one.at_ms, one.monotonic_us
    for flow in list(FLOWS.all.values()):
        found[f"flow/{flow.name}"] = {
            "channel": f"flow/{flow.name}",
            "count": flow.count,
            "last_at_ms": flow.last_at_ms,
            "last_monotonic_us": flow.last_monotonic_us,
        }
    return [found[name] for name in sorted(found)]


def channel_of(call: Call) -> str | None:
    """Return the channel of a call, None if it is not the agent's.

    What the platform handed out is known by its key; everybody else counts if an agent's principal is a
    prefix of who called. The account's root never counts.
    """
    own = SESSIONS.channel_of(call.access_key)
    if own is not None:
        return own
    principal = call.caller
    if principal.endswith(":root") or not any(principal.startswith(one) for one in SETTINGS.agent_principals):
        return None
    if MARK in principal:
        return f"session/{principal.split(MARK, 1)[1]}"
    return f"key/{principal.rsplit('/', 1)[-1]}"
