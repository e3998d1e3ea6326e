"""Freezes change: what on this host would put the agent back, as the inventory's `deployers` name it."""

from __future__ import annotations

import os

from breakglass.canon import Json
from breakglass.errors import BreakglassError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Connection, Proposed, ProposedDoor
from breakglass_host import safepath
from breakglass_host.actions import deployer_jobs, deployer_units
from breakglass_host.systemd import relations, systemctl, unit_name

_FORM = "expected unit:NAME or cron:PATH"


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a guard waits for nothing
    """Propose to pause each deployer that the inventory names; what is not there stays a door."""
    found = Proposed()
    for text in texts(connection, "deployers"):
        kind, _, name = text.partition(":")
        if kind == "cron":
            found = found.plus(_job(name))
        elif kind == "unit":
            found = found.plus(_unit(name))
        else:
            found = found.plus(_open(text, _FORM, "correct the inventory"))
    return found


def texts(connection: Connection, key: str) -> tuple[str, ...]:
    """Return a list of the inventory, each entry once."""
    value = connection.reach.settings.get(key)
    items = value if isinstance(value, list) else []
    return tuple(dict.fromkeys(item for item in items if isinstance(item, str)))


def _job(path: str) -> Proposed:
    if why := deployer_jobs.complaint(path):
        return _open(f"cron:{path}", why, "name the file that cron reads, or pause it by hand")
    if os.geteuid() != 0:
        return _open(f"cron:{path}", "only root can set it aside", "run the executor as root on this host")
    if not deployer_jobs.stands(path):
        return _open(f"cron:{path}", "it is not there: it may deploy from elsewhere", "correct the inventory")
    return Proposed((deployer_jobs.proposal(path),))


def _unit(name: str) -> Proposed:
    shown = f"unit:{name}"
    if why := unit_name.complaint(name) or systemctl.absent():
        return _open(shown, why, "name the unit that deploys, or pause it by hand")
    try:
        if why := relations.refusal(name):
            return _open(shown, f"refused: {why}", "pause by hand what it deploys")
        if not deployer_units.is_there(name):
            return _open(
                shown, "there is no such unit: it may deploy from elsewhere", "correct the inventory"
            )
        units: list[Json] = [name, *deployer_units.starts(name)]
        found = relations.find({"units": units})
    except BreakglassError as error:
        return Proposed(incomplete=(f"deployer {shown}: {error.what}"[:500],))
    left = Proposed()
    for why in found.refused:
        left = left.plus(
            _open(f"{shown} and {why.partition(': ')[0]}", why.partition(": ")[2], "look by hand")
        )
    if not found.own and not found.triggers:
        return left.plus(_open(shown, "is no service, timer, socket or path", "name the unit that deploys"))
    return left.plus(Proposed((deployer_units.proposal(name, found),)))


def _open(name: str, reason: str, remedy: str) -> Proposed:
    shown = f"deployer {safepath.shown(name)[:500]}"
    door = Door(DoorKind.NO_STEP, shown, reason, remedy, "", (), Verdict.UNKNOWN)
    return Proposed(doors=(ProposedDoor(door),))


ACTION_CLASSES = (*deployer_jobs.ACTION_CLASSES, *deployer_units.ACTION_CLASSES)
SPECS = (deployer_jobs.SPEC, deployer_units.SPEC)
