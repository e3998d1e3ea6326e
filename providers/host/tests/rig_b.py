"""What the tests of files, schedules and evidence share: a real incident's folder and a connection to it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import Denied
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Action, Connection

AGENT_UID = 47_113
"""A user of the agent's own: no account on any machine that runs these tests."""


class NoCredentials:
    """The host provider needs none."""

    def secret(self, name: str) -> bytes:
        """Refuse."""
        raise Denied(f"no secret {name}")


def connection(folder: Path, settings: dict[str, Json] | None = None, incident: str = "inc-1") -> Connection:
    """Return a connection whose evidence and sealed state lie in `folder`."""
    where = IncidentFolder.open(folder) if folder.exists() else IncidentFolder.create(folder)
    return Connection(
        reach=Reach("host", settings or {}, where="kit:1"),
        agent=AgentRef("bot", "platform", None),
        incident=incident,
        drill=True,
        clock=SystemClock(),
        evidence=FolderEvidence(where),
        sealed=FolderSealed(where),
        credentials=NoCredentials(),
    )


def stop(action: Action, target: Resource, rounds: int = 1) -> State:
    """Do as the engine does: record what is new, apply, read again; return the union of prior states."""
    union: dict[str, Json] = {}
    for round_ in range(rounds):
        before = action.observe(target)
        union = {**before.objects, **union}
        action.apply(target, before, f"token-{round_}")
    return State(union)


@contextlib.contextmanager
def public_folder() -> Iterator[Path]:
    """Make a folder that other users can reach; pytest closes its own to them at each start of a session."""
    with tempfile.TemporaryDirectory(prefix="breakglass-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
