"""``host.sudo.set_aside``: the sudoers drop-ins that name the agent's account alone, set aside."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import ProviderError
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
from breakglass_host import safepath, setaside
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import folder_times, programs, sudo_claims, sudo_rules
from breakglass_host.accounts.account import Account
from breakglass_host.accounts.sudo_claims import Subject
from breakglass_host.actions import account_lock
from breakglass_host.setaside import Place

_SHOWN_BY = "providers/host/tests/test_s_accounts_sudo.py: sudo 1.9.13"
SPEC = ActionSpec(
    name="host.sudo.set_aside",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="Moves the sudoers drop-ins that let the agent's account, and nobody else, act as others.",
    permissions=("root: rename in /etc/sudoers.d (CAP_DAC_OVERRIDE), run sudo -l -U",),
    blast_radius="None for others: a file that names anybody else is not touched.",
    reversibility=Reversibility.FULL,
    undo="Moves the same files back with mode, owner, times and attributes; never over something new.",
    settle_s=0.0,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="host.sudo.set_aside rules for account bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "sudo(8), -l with -U; sudoers(5), @includedir"),
        Source("proof", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("undo", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("blast_radius", Authority.REAL_SYSTEM, _SHOWN_BY),
    ),
)
_REFUSED = "is not allowed to run sudo on"
_STRONG_GROUPS = (
    *("sudo", "wheel", "admin", "root", "docker", "lxd", "incus", "incus-admin", "libvirt", "kvm", "podman"),
    *("disk", "shadow", "adm", "systemd-journal", "staff", "kmem", "tty", "video", "input", "render"),
)
_NOT_READ = "sudo asks there too (nsswitch.conf), and what it is told is not read"
_NAMES_NOT = "the inventory names it, and it is not there or lets the account do nothing"


class SetSudoRulesAside:
    """Every drop-in that was signed, and sudo's own answer afterwards."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what stands at each path and what lies aside of it."""
        objects = folder_times.of(_targets(resource))
        complete, notes = True, list[str]()
        for path in _targets(resource):
            with safepath.refusals(path):
                found = setaside.observe(self._place(path))
            objects |= found.objects
            complete, notes = complete and found.complete, [*notes, found.note]
        return State(objects, complete=complete, note="; ".join(filter(None, notes)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - no token is taken: a repeated move finds nothing
        """Move each away."""
        for path in _targets(resource):
            setaside.apply(self._place(path), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: none of the drop-ins is where sudo looks."""
        found = {path: state.objects.get(path) for path in _targets(resource)}
        if any(not isinstance(value, Mapping) or value.get("present") is None for value in found.values()):
            return Judgement(Verdict.UNKNOWN, state.note or "a path could not be read", Grade.NONE)
        present = [path for path, value in found.items() if isinstance(value, Mapping) and value["present"]]
        if present:
            return Judgement(Verdict.NOT_CONTAINED, f"still there: {', '.join(present[:3])}")
        return Judgement(Verdict.CONTAINED, f"{len(found)} drop-ins are set aside")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each move compares: it never replaces
        """Move the first-seen files back."""
        outcomes: dict[str, Outcome] = {}
        reasons: list[str] = []
        for path in _targets(resource):
            outcomes[path], reason = setaside.put_back(self._place(path), before)
            reasons.append(f"{path} {reason}")
        folder_times.give_back(before)
        return Reversal(outcomes, "; ".join(reasons[:5]) or "there was nothing")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask sudo what the account may do."""
        name, _ = accounts.from_params(resource.params)
        try:
            done = programs.run("sudo", ["-l", "-U", name])
        except ProviderError as error:
            return Judgement(Verdict.UNKNOWN, str(error), Grade.NONE)
        if _REFUSED in done.out:
            return Judgement(
                Verdict.CONTAINED, f"sudo: {name} {_REFUSED} this host", Grade.PLATFORM_EVALUATOR
            )
        if "may run the following" in done.out:
            reason = f"sudo still lists rules for {name}"
            return Judgement(Verdict.NOT_CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
        return Judgement(Verdict.UNKNOWN, f"sudo gave no clear answer: {done.said}", Grade.NONE)

    def _place(self, path: str) -> Place:
        return Place(path, self._connection.incident, self._connection.sealed, keeps_copy=True)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a reversible cut waits for nothing
    """Propose one step for the account's own drop-ins, and a door for each rule that stands among others'."""
    found, _ = accounts.of(connection)
    if found is None:
        return Proposed()
    said = _said(found)
    if not programs.find("sudo"):
        return Proposed(not_touched=(NotTouched("sudo rules", "sudo is not installed here"), *said))
    named = connection.reach.settings.get("sudoers")
    extra = [path for path in named if isinstance(path, str)] if isinstance(named, list | tuple) else []
    claims = sudo_claims.of(sudo_rules.load(extra), subject(found))
    closed_by = account_lock.refuses(found, "sudo") if claims.asks_account else ()
    unsignable = tuple((path, f"its name {why}") for path in claims.own if (why := safepath.complaint(path)))
    elsewhere = tuple((name, _NOT_READ) for name in accounts.sources("sudoers") if name != "files")
    doors = tuple(_door(found, *one, closed_by) for one in (*claims.shared, *unsignable, *elsewhere))
    known = {*claims.own, *(path for path, _ in claims.shared)}
    said += tuple(NotTouched(safepath.shown(path)[:500], _NAMES_NOT) for path in extra if path not in known)
    paths: list[Json] = [safepath.resolved(path) for path in claims.own if path not in dict(unsignable)]
    if not paths:
        return Proposed((), doors, said)
    params: dict[str, Json] = {**found.params(), "paths": paths}
    target = Resource("sudo-rules", f"account {found.name}", f"sudo rules for account {found.name}", params)
    grade = Grade.READ_BACK if doors else None
    return Proposed((Proposal(f"sudo:{found.name}", SPEC.name, target, best_grade=grade),), doors, said)


def subject(found: Account) -> Subject:
    """Return the account as sudo sees it, with the groups that have no other member."""
    groups: dict[str, int] = {}
    own = set()
    for one in grp.getgrall():
        if one.gr_gid not in found.groups:
            continue
        groups[one.gr_name] = one.gr_gid
        first = {user.pw_name for user in pwd.getpwall() if user.pw_gid == one.gr_gid}
        if {*one.gr_mem, *first} == {found.name}:
            own.add(one.gr_name)
    return Subject(found.name, found.uid, groups, frozenset(own))


def _said(found: Account) -> tuple[NotTouched, ...]:
    """Name what else gives rights to whoever runs as the account: its processes end, no new one starts."""
    names = sorted(set(subject(found).groups) & set(_STRONG_GROUPS))
    why = "it gives rights to what runs as the account: its processes end, and logins are refused"
    return tuple(NotTouched(f"membership of {found.name} in group {name}", why) for name in names)


def _door(found: Account, path: str, why: str, closed_by: tuple[str, ...]) -> ProposedDoor:
    name = f"sudo rules for {found.name} in {safepath.shown(path)[:400]}"
    remedy = "take the account out of it by hand (visudo -f)"
    door = Door(
        DoorKind.NO_STEP,
        name,
        safepath.shown(why)[:500],
        remedy,
        "whoever runs this host",
        (),
        Verdict.NOT_CONTAINED,
    )
    return ProposedDoor(door, closed_by)


def _targets(resource: Resource) -> list[str]:
    paths = resource.params.get("paths")
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list | tuple) else []


ACTION_CLASSES = (SetSudoRulesAside,)
