"""Holds what one machine may still cost the executor, over all connections of one run: pure.

A machine whose root is hostile could else fill the disk that the journal lies on, or keep the processor that
every other stop needs busy with reading what it says.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass.errors import MalformedInput, ProviderError

MAX_EVIDENCE = 4 * 1024**3
MAX_ITEMS = 4096
"""Of evidence: each is a file, and a record of the journal."""
MAX_SEALS = 16_384
"""Of sealed state: an agent may have thousands of jobs, and their number must not keep them going."""
MAX_SEALED = 256 * 1024**2
MAX_ONE_LABEL = 128
"""Each is compared with all of its name before it."""
MOST_SAID = 96 * 1024**2
MORE_A_SECOND = 4 * 1024**2


@dataclass(slots=True)
class Allowance:
    """What one machine may still do."""

    evidence_left: int = MAX_EVIDENCE
    items_left: int = MAX_ITEMS
    sealed_left: int = MAX_SEALED
    sealed: set[tuple[str, bytes]] = field(default_factory=set)
    labels: Counter[str] = field(default_factory=Counter)
    said_left: float = MOST_SAID
    said_s: float | None = None
    """When it was last heard, on the monotonic clock."""
    commitments: set[str] = field(default_factory=set)
    """Of sealed state that came from it or was sent to it."""
    has_acted: bool = False
    """Something may have been changed there."""

    def allow(self, value: object) -> None:
        """Let it ask for every sealed object that `value`, which is sent to it, refers to."""
        if isinstance(value, Mapping):
            commitment = value.get("commitment")
            if isinstance(commitment, str):
                self.commitments.add(commitment)
            for one in value.values():
                self.allow(one)
        elif isinstance(value, list | tuple):
            for one in value:
                self.allow(one)

    def hear(self, size: int, now_s: float) -> None:
        """Count what it says; evidence has a limit of its own.

        Raises:
            MalformedInput: it is more than any machine has to say.
        """
        since_s = 0.0 if self.said_s is None else now_s - self.said_s
        self.said_s = now_s
        self.said_left = min(MOST_SAID, self.said_left + since_s * MORE_A_SECOND) - size
        if self.said_left < 0:
            raise MalformedInput("more than is listened to")

    def item(self) -> None:
        """Count a piece of evidence. Raises ProviderError: they are too many."""
        self.items_left -= 1
        if self.items_left < 0:
            raise ProviderError(f"more than {MAX_ITEMS} pieces of evidence of one host", where="evidence")

    def evidence(self, size: int) -> None:
        """Count bytes of evidence. Raises ProviderError: they are too many."""
        self.evidence_left -= size
        if self.evidence_left < 0:
            raise ProviderError(f"more evidence than {MAX_EVIDENCE} bytes of one host", where="evidence")

    def seal(self, label: str, data: bytes) -> None:
        """Count prior state that is kept here, once for the same bytes: each look at it gives it again.

        Raises:
            ProviderError: it is too much.
        """
        one = hashlib.sha256(data).digest()
        if (label, one) in self.sealed:
            return
        self.sealed.add((label, one))
        self.labels[label] += 1
        self.sealed_left -= len(data)
        if self.labels[label] > MAX_ONE_LABEL or len(self.sealed) > MAX_SEALS or self.sealed_left < 0:
            raise ProviderError("more prior state than is kept of one host", where="sealed")
