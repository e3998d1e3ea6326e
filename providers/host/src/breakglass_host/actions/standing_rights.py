"""Names what the agent can have done, or have done for it, as somebody else: no step of ours ends that."""

from __future__ import annotations

import grp
import os

from breakglass.errors import BreakglassError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import Connection, Proposed, ProposedDoor
from breakglass_host import as_agent
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import root_rights, run_by_others
from breakglass_host.accounts.account import Account
from breakglass_host.actions.deployers import texts
from breakglass_host.systemd import relations, systemctl

_MOST = 20


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; there is no step
    """Keep a door open for each right by which it acts as somebody else, and each file that others run."""
    who = _account(connection)
    if who is None:
        return Proposed()
    groups = os.getgrouplist(who.name, who.gid)
    names = {one.gr_name for one in grp.getgrall() if one.gr_gid in groups}
    doors = [_right(who, why) for why in root_rights.of(who, groups, names)]
    led = run_by_others.look(who, groups, _ours(connection))
    if led is None:
        doors.append(_unread(who))
    doors += [_led(who, *one) for one in led or ()]
    return Proposed((), tuple(doors[:_MOST]) + ((_more(who, len(doors) - _MOST),) if doors[_MOST:] else ()))


def _account(connection: Connection) -> Account | None:
    """Return the agent's account: the one that is named, or the one that its processes share."""
    if os.geteuid() != 0:
        return None
    found, _ = accounts.of(connection)
    if found is not None:
        return found
    try:
        who = as_agent.identity(connection.reach.settings, connection.incident)
    except BreakglassError:
        return None
    return accounts.by_uid(who.uid) if who is not None else None


def _ours(connection: Connection) -> set[str]:
    """Return the units and tables that the plan closes: they run nothing meanwhile."""
    settings, found = connection.reach.settings, set[str]()
    for text in texts(connection, "deployers"):
        found.add(text.partition(":")[2])
    if relations.named(settings) and not systemctl.absent():
        try:
            units = relations.find(settings)
        except BreakglassError:
            return found
        found |= {*units.named, *units.own, *units.triggers}
    return found


def _right(who: Account, why: str) -> ProposedDoor:
    name = f"account {who.name} can act as others: {why}"[:500]
    reason = "what it did so, before the stop, is none of its processes: no step here finds or ends it"
    remedy = "look what was done with it; in doubt power the host off, or cut it off at the network"
    return _door(DoorKind.PRIVILEGED, name, reason, remedy)


def _led(who: Account, path: str, one: str) -> ProposedDoor:
    where, what = run_by_others.shown(path), run_by_others.shown(one)
    name = f"{where} leads to {what}"[:500] if path != one else f"{where} can be written by the agent"
    reason = f"others run it, and account {who.name} can write it: it is done although the agent is stopped"
    return _door(DoorKind.NO_STEP, name, reason[:500], "take the line out, or the file away, by hand")


def _unread(who: Account) -> ProposedDoor:
    name = f"files of account {who.name} that others run"
    return _door(DoorKind.NO_STEP, name, "a file system did not answer: nobody knows", "look by hand")


def _more(who: Account, count: int) -> ProposedDoor:
    name = f"{count} more rights and files of account {who.name}"
    return _door(DoorKind.NO_STEP, name, "too many to be listed", "look by hand")


def _door(kind: DoorKind, name: str, reason: str, remedy: str) -> ProposedDoor:
    return ProposedDoor(Door(kind, name, reason, remedy, "whoever runs this host", (), Verdict.UNKNOWN))
