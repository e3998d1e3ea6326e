"""``host.cron.set_aside``: the crontab and the at jobs of the agent's user set aside byte for byte."""

from __future__ import annotations

import os
from collections.abc import Mapping

from breakglass.canon import Json
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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_host import as_agent, safepath, schedules, setaside, tree
from breakglass_host.accounts import account as accounts
from breakglass_host.actions import account_lock
from breakglass_host.setaside import Place

SPEC = ActionSpec(
    name="host.cron.set_aside",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Moves the crontab and each waiting at job of the agent's user to where cron and at do not look.",
    permissions=("root: rename in the spool folders of cron and at (CAP_DAC_OVERRIDE)",),
    blast_radius="All scheduled jobs of that user stop, whoever wrote them.",
    reversibility=Reversibility.FULL,
    undo="Moves the same files back, never over something new; an at job whose time has passed stays aside.",
    # cron reads its spool anew before each minute's jobs; a job that is being started right now runs.
    settle_s=1.0,
    best_grade=Grade.READ_BACK,
    example="host.cron.set_aside jobs of user bot",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "cron(8): looks each minute whether its spool's time changed",
        ),
        Source(
            "proof",
            Authority.REAL_SYSTEM,
            "providers/host/tests/test_b_cron.py: cron 3.0pl1, at 3.2.5",
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_b_scheduled_jobs.py"),
    ),
)


class SetSchedulesAside:
    """Every crontab and at job of one user, also those that appear until the step ends."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the crontab's path and every at job that is the user's now."""
        objects: dict[str, Json] = {}
        complete, notes = True, []
        with safepath.refusals(resource.id):
            if crontab := safepath.text_param(resource, "crontab"):
                found = setaside.observe(self._place(crontab))
                objects |= found.objects
                complete, notes = found.complete, [found.note]
            jobs, is_all = self._jobs(resource)
            for path in jobs:
                found = setaside.observe(self._place(path))
                if not _is_absent(found.objects.get(path)):
                    objects |= found.objects
                complete, notes = complete and found.complete, [*notes, found.note]
        if not is_all:
            complete, notes = False, [*notes, f"more than {schedules.MAX_JOBS} at jobs"]
        return State(objects, complete=complete, note="; ".join(filter(None, notes)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; a repeated move finds nothing
        """Move away what was recorded, and make sure that the daemons notice."""
        for path in _paths(resource, before):
            if _is_absent(before.objects[path]):
                continue
            place = self._place(path)
            with schedules.noticed(place.folder):
                setaside.apply(place, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: neither a crontab nor an at job of the user lies where it would be run."""
        found = {path: state.objects[path] for path in _paths(resource, state)}
        if any(not isinstance(value, Mapping) or value.get("present") is None for value in found.values()):
            return Judgement(Verdict.UNKNOWN, state.note or "a path could not be read", Grade.NONE)
        present = [path for path, value in found.items() if not _is_absent(value)]
        if present:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(present)} still there: {', '.join(present[:3])}")
        return Judgement(Verdict.CONTAINED, "no crontab and no at job of the user is left")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each move compares: it never replaces
        """Move the first-seen files back, except at jobs that would run late at once."""
        outcomes: dict[str, Outcome] = {}
        reasons: list[str] = []
        for path in _paths(resource, before):
            if _is_absent(before.objects[path]):
                outcomes[path] = Outcome.ALREADY
                continue
            place = self._place(path)
            due = schedules.due_at(path) if path != safepath.text_param(resource, "crontab") else None
            if due is not None and due <= self._connection.clock.now().epoch_ms // 1000 and not _stands(path):
                outcomes[path] = Outcome.CANNOT
                reasons.append(f"{path} was due meanwhile and would run at once: it stays aside")
                continue
            with schedules.noticed(place.folder):
                outcomes[path], reason = setaside.put_back(place, before)
            reasons.append(f"{path} {reason}")
        return Reversal(outcomes, "; ".join(reasons[:5]) or "there was nothing")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: waiting for the next minute proves less than an empty spool."""
        return None

    def _place(self, path: str) -> Place:
        return Place(path, self._connection.incident, self._connection.sealed, keeps_copy=True)

    def _jobs(self, resource: Resource) -> tuple[list[str], bool]:
        at_spool, uid = safepath.text_param(resource, "at_spool"), safepath.number_param(resource, "uid")
        return schedules.at_jobs(at_spool, uid) if at_spool and uid is not None else ([], True)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a reversible cut waits for nothing
    """Propose one step for all jobs of the agent's user, and name the system's own jobs that run as it."""
    settings = connection.reach.settings
    who = as_agent.identity(settings, connection.incident)
    found = schedules.of(settings, who)
    doors = _system_jobs(connection, who.account) if who and who.account and os.geteuid() == 0 else ()
    if not found.crontab and not found.at_spool:
        why = "the agent has no user of its own here that cron or at would run jobs for"
        is_open = freeze_key is not None and not tree.setting(settings, "user")
        unknown = _unknown_user(as_agent.users(settings, connection.incident)) if is_open else ()
        return Proposed((), (*doors, *unknown), (NotTouched("crontabs and at jobs", why),))
    for path in (found.crontab, found.at_spool):
        if path and (why := safepath.complaint(path)):
            name = f"scheduled jobs in {safepath.shown(path)[:500]}"
            remedy = "name it by its plain, absolute path"
            door = Door(DoorKind.NO_STEP, name, f"its name {why}", remedy, "", (), Verdict.NOT_CONTAINED)
            return Proposed((), (*doors, ProposedDoor(door)))
    crontab, at_spool = (safepath.resolved(path) if path else "" for path in (found.crontab, found.at_spool))
    label = f"jobs of user {who.account or who.uid}" if who else f"jobs in {crontab}"
    params: dict[str, Json] = {"crontab": crontab, "at_spool": at_spool, **(who.params() if who else {})}
    step = Proposal(
        key=f"schedules:{crontab or at_spool}",
        action=SPEC.name,
        target=Resource("scheduled-jobs", crontab or f"{at_spool} of {params.get('uid')}", label, params),
    )
    return Proposed((step,), doors)


def _unknown_user(users: set[int]) -> tuple[ProposedDoor, ...]:
    """Keep open whose jobs would start the agent again, where its processes do not tell one user."""
    if users <= {0, os.geteuid()} and users:
        return ()
    why = f"its processes run as users {sorted(users)}" if users else "nothing of it runs now"
    door = Door(
        DoorKind.NO_STEP,
        "crontabs and at jobs",
        f"{why}, and the inventory does not name its user: its jobs, if it has any, start it again",
        "name the user in the inventory, then stop it again",
        "",
        (),
        Verdict.UNKNOWN,
    )
    return (ProposedDoor(door),)


def _system_jobs(connection: Connection, account: str) -> tuple[ProposedDoor, ...]:
    """Name what nobody sets aside: tables that belong to the system and run something as the agent's user.

    A cron that asks PAM runs nothing for an account that has expired.
    """
    own, _ = accounts.of(connection)
    closed_by = account_lock.refuses(own, "cron", "crond") if own and own.name == account else ()
    return tuple(
        ProposedDoor(
            Door(
                DoorKind.NO_STEP,
                f"system job in {path}",
                f"it runs something as {account}, and the file is the system's own",
                "comment the line out by hand",
                "whoever runs this host",
                (),
                Verdict.NOT_CONTAINED,
            ),
            closed_by,
        )
        for path in schedules.system_lines(account)
    )


def _paths(resource: Resource, state: State) -> list[str]:
    """Return the objects that are paths; the others are records of single versions."""
    crontab, at_spool = (safepath.text_param(resource, key) for key in ("crontab", "at_spool"))
    return [
        key
        for key in state.objects
        if key == crontab
        or (at_spool and key.rpartition("/")[0] == at_spool and schedules.due_at(key) is not None)
    ]


def _is_absent(value: Json) -> bool:
    return isinstance(value, Mapping) and value.get("present") is False


def _stands(path: str) -> bool:
    return os.path.lexists(path)


ACTION_CLASSES = (SetSchedulesAside,)
