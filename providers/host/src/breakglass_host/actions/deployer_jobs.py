"""``host.cron.pause_deployer``: a cron table that would put the agent back, set aside byte for byte."""

from __future__ import annotations

import os
from collections.abc import Mapping

from breakglass.errors import Denied
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Proposal, Reversal
from breakglass_host import safepath, schedules, setaside
from breakglass_host.setaside import Place

SPEC = ActionSpec(
    name="host.cron.pause_deployer",
    capability=Capability.FREEZE_CHANGE,
    summary="Moves a cron table or script that deploys the agent to where cron does not look.",
    permissions=("root: rename in the folders that cron reads",),
    blast_radius="It deploys nothing at all, for nobody. A run that cron has begun goes on to its end.",
    reversibility=Reversibility.FULL,
    undo="Moves the same file back, never over something new.",
    # cron reads its folders anew before each minute's jobs; a job that is being started right now runs.
    settle_s=1.0,
    best_grade=Grade.READ_BACK,
    example="host.cron.pause_deployer cron:/etc/cron.d/deploy-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "cron(8): looks each minute whether a folder's time changed"),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_deployers_cron.py: cron 3.0pl1"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_s_deployers_cron.py"),
    ),
)
FOLDERS = (
    *schedules.CRONTAB_FOLDERS,
    "/etc/cron.d",
    *(f"/etc/cron.{every}" for every in ("hourly", "daily", "weekly", "monthly", "yearly")),
)
"""What cron and run-parts(8) read, file by file. /etc/crontab is the system's own table and never moved."""


class PauseJob:
    """Keep one path empty; a table that appears under the same name is set aside too."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what stands at the path, and seal its bytes."""
        with safepath.refusals(resource.id):
            return setaside.observe(self._place(resource))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; a repeated move finds nothing
        """Move it away, and make sure that cron notices."""
        place = self._place(resource)
        with schedules.noticed(place.folder):
            setaside.apply(place, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: nothing stands where cron would read it."""
        found = state.objects.get(_path(resource))
        if not isinstance(found, Mapping) or found.get("present") is None:
            return Judgement(Verdict.UNKNOWN, state.note or "the path could not be read", Grade.NONE)
        if found.get("present") is not False:
            return Judgement(Verdict.NOT_CONTAINED, "it still stands where cron reads it")
        return Judgement(Verdict.CONTAINED, "cron does not find it; a run that had begun goes on")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the move compares: it never replaces
        """Move the first-seen file back."""
        place = self._place(resource)
        with schedules.noticed(place.folder):
            outcome, reason = setaside.put_back(place, before)
        return Reversal({place.path: outcome}, f"{place.path} {reason}")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: waiting for the next minute proves less than an empty place."""
        return None

    def _place(self, resource: Resource) -> Place:
        path = _path(resource)
        if why := complaint(path):
            raise Denied(f"refused: {why}", where=safepath.shown(path))
        return Place(path, self._connection.incident, self._connection.sealed, keeps_copy=True)


def complaint(path: str) -> str:
    """Say why a path is no table or script that cron would read by itself; empty: it may be one."""
    if why := safepath.complaint(path):
        return why
    folder, name = path.rsplit("/", 1)
    if name.startswith("."):
        return "begins with a dot: cron reads no such file"
    if path in FOLDERS:
        return "is a folder of many jobs: name the file"
    return "" if folder in FOLDERS else f"does not lie in one of {', '.join(FOLDERS)}"


def proposal(path: str) -> Proposal:
    """Propose to pause it; it waits for nothing."""
    target = Resource("deployer", f"cron:{path}", f"deployer {path}", {"path": path})
    return Proposal(f"deployer:cron/{path}", SPEC.name, target, revokes=(f"deployer:cron/{path}",))


def stands(path: str) -> bool:
    """Return True where there is something to pause."""
    return os.path.lexists(path)


def _path(resource: Resource) -> str:
    return safepath.text_param(resource, "path")


ACTION_CLASSES = (PauseJob,)
