"""What a plug-in is given: its reach, a clock, and places for evidence and for sealed state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from breakglass.canon import Json, JsonObject
from breakglass.clock import Clock, Instant
from breakglass.model.resource import AgentRef, Reach


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One piece of evidence, durable in the incident's folder."""

    path: str
    sha256: str
    size: int
    source: str


class EvidenceSink(Protocol):
    """Where collected bytes go: redacted before they come here, digested at once, durable on return."""

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Write ``evidence/<name>`` (parents made, name checked); a second put of a name gets a suffix.

        Raises:
            ProviderError: the disk refused.
        """
        ...


class SealedStore(Protocol):
    """Where prior state that may hold secrets goes: 0600, executor only, never mirrored or bundled."""

    def put(self, label: str, data: bytes) -> JsonObject:
        """Keep the bytes; return ``{"sealed": name, "size": n, "commitment": hex}`` (salted) for a State.

        Idempotent: the same label and bytes give the same answer.
        """
        ...

    def get(self, reference: Json) -> bytes:
        """Return the bytes of a reference. Raises RecordDamaged when they do not match the commitment."""
        ...


class Credentials(Protocol):
    """The executor's own secrets, by the name that the inventory's ``as`` gives."""

    def secret(self, name: str) -> bytes:
        """Return the secret. Raises Denied, saying where it was looked for."""
        ...


class Machines(Protocol):
    """The machines that the other reaches of the same agent are connected to."""

    def read_file(self, host: str, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a file there; `host` is the bare name of the machine.

        Raises:
            Gone: nothing lies there.
            Denied: no reach of this agent is connected to that machine, or it refuses.
            ProviderError: it does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a provider is given. `reach.settings` come from the signed plan once there is one."""

    reach: Reach
    agent: AgentRef
    incident: str
    drill: bool
    clock: Clock
    evidence: EvidenceSink
    sealed: SealedStore
    credentials: Credentials
    since: Instant | None = None
    """When the harm began, so that evidence starts there; None: unknown."""
    machines: Machines | None = None
    """None: a connection of its own, with no others beside it."""
