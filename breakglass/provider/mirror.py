"""A write-once store outside of the executor: claims of plans, and a second copy of each journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from breakglass.canon import Json
from breakglass.clock import Clock
from breakglass.provider.connection import Credentials


class Mirror(Protocol):
    """One mirror. What was once written can be neither changed nor removed before its retention ends."""

    @property
    def name(self) -> str:
        """Return what messages call it, e.g. ``s3 bucket acme-breakglass``."""
        ...

    def claim(self, name: str, data: bytes) -> bool:
        """Create it if it does not exist: True, it is ours now; False, it was there before.

        A lost answer is resolved by reading back: the same bytes are ours.

        Raises:
            ProviderError: whether it exists is not known.
        """
        ...

    def read(self, name: str) -> bytes | None:
        """Return the first version ever written; None: there is none.

        Raises:
            ProviderError: it cannot be read.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Write it once, durably; the same bytes again are fine.

        Raises:
            ProviderError: it is not known to be there, or other bytes are.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class OpenMirror(Protocol):
    """Makes a mirror ready to be written as the executor."""

    def __call__(
        self, settings: Mapping[str, Json], credentials: Credentials, clock: Clock, *, drill: bool
    ) -> Mirror:
        """Make it ready without any call: one that hangs must not delay a stop that nobody has signed yet.

        Raises:
            UsageError: the entry is wrong.
            ProviderError: it cannot be used.
        """
        ...
