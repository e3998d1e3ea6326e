"""Lets the projects of one run that have the same executor share its credentials, clients and connections.

Two hundred projects would otherwise make eight thousand clients, ask for two hundred tokens and open a
connection each to every service. Rates stay each project's own (`pace`).
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass

from breakglass.provider import Connection
from breakglass_gcp.executor import Executor
from breakglass_gcp.first_looks import FirstLooks
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire


@dataclass(slots=True)
class _Open:
    connection: Connection
    """Of the first project; what its identity is a key of must not be freed."""
    executor: Executor
    wire: Wire
    first_looks: FirstLooks
    users: int = 0


@dataclass(slots=True)
class Shared:
    """An executor's credentials and clients, as one project has them."""

    executor: Executor
    wire: Wire
    first_looks: FirstLooks
    _key: Hashable
    _held: bool = True

    def close(self) -> None:
        """Let go; the last one closes the connections. Safe to repeat."""
        with _GATE:
            if not self._held:
                return
            self._held = False
            opened = _OPEN[self._key]
            opened.users -= 1
            if opened.users:
                return
            del _OPEN[self._key]
        opened.wire.close()


def share(settings: GcpSettings, connection: Connection) -> Shared:
    """Return what projects of the same executor share; made once, on the main thread (DESIGN 10).

    Raises:
        UsageError: a sandbox's endpoint stands in a real plan.
        Denied: there are no credentials.
    """
    key = _key(settings, connection)
    with _GATE:
        opened = _OPEN.get(key)
        if opened is None:
            executor = Executor(settings, connection)
            wire = Wire(settings, executor.token, drill=connection.drill)
            opened = _OPEN[key] = _Open(connection, executor, wire, FirstLooks(connection.clock))
        opened.users += 1
    return Shared(opened.executor, opened.wire, opened.first_looks, key)


def _key(settings: GcpSettings, connection: Connection) -> Hashable:
    """Return what says that two projects act as the same executor, against the same services, in one run."""
    return (
        id(connection.credentials),
        id(connection.clock),
        connection.drill,
        settings.text("credential"),
        settings.text("as"),
        tuple(sorted(settings.mapping("endpoints").items())),
    )


_OPEN: dict[Hashable, _Open] = {}
_GATE = threading.Lock()
