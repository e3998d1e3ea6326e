"""What the tests that act on a whole machine share: one that runs, and the host provider connected to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from breakglass.canon import Json
from breakglass.provider import Provider
from breakglass_host import CARD
from breakglass_host.machine import Machine, obstacle, start
from breakglass_host.machine_network import Network
from providers.host.tests.rig_b import connection
from tests.backends import need


@contextmanager
def fresh(name: str = "", *, network: Network | None = None) -> Iterator[Machine]:
    """Start a machine and end it after the test, whatever happened."""
    why = obstacle()
    need("systemd", not why, why)
    with start(name, network=network) as machine:
        yield machine


def connect_to(
    machine: Machine,
    settings: Mapping[str, Json] | None = None,
    *,
    folder: Path | None = None,
    incident: str = "inc-1",
) -> Provider:
    """Connect the host provider to a machine over ssh; `settings` are the other keys of the reach."""
    reach: dict[str, Json] = {
        "host": machine.url,
        "host_key": machine.host_key,
        "ssh_config": str(machine.ssh_config),
        **(settings or {}),
    }
    where = folder or machine.place.folder / f"executor-{incident}"
    return CARD.connect(connection(where, reach, incident))
