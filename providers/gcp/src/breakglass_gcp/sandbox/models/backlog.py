"""What a Pub/Sub subscription retains: messages, their leases and acknowledgements; what seeks bring back.

google/pubsub/v1/pubsub.proto, Subscription: ``ack_deadline_seconds``, ``retain_acked_messages``,
``message_retention_duration``, ``expiration_policy``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

DEFAULT_RETENTION_S = 7 * 86_400
DEFAULT_EXPIRY_S = 31 * 86_400
DEFAULT_DEADLINE_S = 10


@dataclass(frozen=True, slots=True)
class Message:
    """One published message."""

    id: str
    data: bytes
    attributes: tuple[tuple[str, str], ...]
    ordering_key: str
    published_s: float

    def as_json(self) -> dict[str, Any]:
        """Return it as a push endpoint gets it; the sandbox's messages are text."""
        return {
            "id": self.id,
            "data": self.data.decode("utf-8", "replace"),
            "attributes": dict(self.attributes),
        }


@dataclass(slots=True)
class Retained:
    """One message in one subscription."""

    message: Message
    acked: bool = False
    leased_until_s: float = 0.0
    ack_id: str = ""
    attempts: int = 0


@dataclass(slots=True)
class Held:
    """One subscription and what it retains, oldest first."""

    config: Any
    active_s: float
    """When somebody last used it: it expires when idle for too long."""
    retained: dict[str, Retained] = field(default_factory=dict)

    def add(self, message: Message) -> None:
        """Retain a message; a detached subscription retains nothing."""
        if not self.config.detached:
            self.retained[message.id] = Retained(message)

    def unacked(self) -> list[Retained]:
        """Return what waits or is out."""
        return [one for one in self.retained.values() if not one.acked]

    def due(self, now_s: float) -> list[Retained]:
        """Return what may be handed out now."""
        return [one for one in self.unacked() if one.leased_until_s <= now_s]

    def lease(self, one: Retained, now_s: float, seconds: float) -> str:
        """Hand a message out for so long; return the id to acknowledge it by."""
        one.attempts += 1
        one.leased_until_s = now_s + seconds
        one.ack_id = f"{one.message.id}:{one.attempts}"
        return one.ack_id

    def by_ack_id(self, ack_ids: Iterable[str]) -> list[Retained]:
        """Return what these ids were handed out for, also where the lease has ended."""
        wanted = {one.partition(":")[0] for one in ack_ids}
        return [one for id_, one in self.retained.items() if id_ in wanted]

    def acknowledge(self, one: Retained) -> None:
        """Take a message as done."""
        one.acked, one.leased_until_s = True, 0.0
        if not self.config.retain_acked_messages:
            self.retained.pop(one.message.id, None)

    def forget_old(self, now_s: float) -> None:
        """Drop what is older than the retention."""
        retention_s = self.config.message_retention_duration.total_seconds()
        for id_, one in list(self.retained.items()):
            if now_s - one.message.published_s > retention_s:
                del self.retained[id_]

    def expired(self, now_s: float) -> bool:
        """Tell whether it was idle for longer than its expiration policy allows."""
        if "expiration_policy" in self.config and "ttl" not in self.config.expiration_policy:
            return False
        return bool(now_s - self.active_s > self.config.expiration_policy.ttl.total_seconds())

    def drop_all(self) -> None:
        """Detach: all retained messages are dropped (Publisher.DetachSubscription)."""
        self.retained.clear()

    def seek_time(self, to_s: float) -> None:
        """Mark what was published before as acknowledged, and what came later as not."""
        for one in list(self.retained.values()):
            if one.message.published_s < to_s:
                self.acknowledge(one)
            else:
                one.acked, one.leased_until_s = False, 0.0

    def seek_snapshot(self, messages: dict[str, Message]) -> None:
        """Take the state of acknowledgements that a snapshot holds."""
        for one in list(self.retained.values()):
            if one.message.id not in messages:
                self.acknowledge(one)
        kept = {id_: one for id_, one in self.retained.items() if one.acked}
        back = {id_: Retained(one) for id_, one in messages.items()}
        both = {**kept, **back}
        self.retained = dict(sorted(both.items(), key=lambda pair: pair[1].message.published_s))


@dataclass(slots=True)
class Snapshot:
    """What a snapshot guarantees to retain: the backlog, and all that is published after it."""

    name: str
    topic: str
    expires_s: float
    labels: dict[str, str]
    messages: dict[str, Message] = field(default_factory=dict)
