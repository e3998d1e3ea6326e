"""What the engine knows of a journal: that a record is durable when `append` returns."""

from __future__ import annotations

from typing import Protocol

from breakglass.canon import JsonObject
from breakglass.model.records import Record


class JournalPort(Protocol):
    """Where records go."""

    def append(self, type: str, body: JsonObject) -> Record:  # noqa: A002 - the field's own name
        """Write one record and return once it is durable.

        Raises:
            DiskRefused: it is not durable; nothing that depends on it may be done.
        """
        ...
