"""``host.account.lock``: the agent's account locked and expired, so that no login service lets it in."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json, JsonObject
from breakglass.errors import RecordDamaged, Unsettled
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
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import pam, shadow, sshd
from breakglass_host.accounts.account import Account
from breakglass_host.accounts.shadow import Entry, Read

_SHOWN_BY = (
    "providers/host/tests/test_s_accounts_lock.py: Linux-PAM 1.5.2, OpenSSH 9.2, sudo 1.9.13, cron 3.0pl1"
)
SPEC = ActionSpec(
    name="host.account.lock",
    capability=Capability.REVOKE_CREDENTIALS,
    summary=(
        "Locks the password of the agent's account and lets the account expire: ssh (keys too), su, sudo,"
        " cron, at and login refuse it. Who is logged in already stays so: another step ends sessions."
    ),
    permissions=("root: replace /etc/shadow under the lock of /etc/.pwd.lock",),
    blast_radius="Whoever else logs in as that account, or runs jobs as it, is refused too.",
    reversibility=Reversibility.FULL,
    undo="Puts the two fields of that line back; the whole file byte for byte if nothing else changed in it.",
    settle_s=0.0,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="host.account.lock account bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "pam_acct_mgmt(3); shadow(5), account expiration date"),
        Source("proof", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("undo", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("blast_radius", Authority.REAL_SYSTEM, _SHOWN_BY),
    ),
)
_KEY_LABEL = "key of the commitments to the shadow file"
DEADLINE_S = 60.0


class LockAccount:
    """Prefix the password, expire the account, and ask PAM."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the account's line: the line itself to the sealed store, since it holds a hash."""
        name, _ = accounts.from_params(resource.params)
        found = shadow.read(name)
        if found.entry is None:
            return State({_key(name): {"present": False}})
        value = found.inode.to_json() | {
            "locked": found.entry.is_locked,
            "password": _words(found.entry),
            "expiry": found.entry.expiry.decode("ascii", "replace"),
            "line": self._connection.sealed.put(_key(name), found.entry.line),
            "whole": found.digest(self._commitment_key()),
        }
        return State({_key(name): value})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - no token is taken: a locked line is not locked twice
        """Replace the line that was recorded.

        Raises:
            Unsettled: it changed since it was read.
            Transient: somebody else holds the lock of the file.
        """
        name, uid = accounts.from_params(resource.params)
        prior = self._prior(before, name)

        def locked(found: Read) -> tuple[Entry, int | None] | None:
            if found.entry is None or found.entry.is_locked:
                return None
            if prior is None or found.entry.line != prior.line:
                raise Unsettled("the account's line changed while it was read", where=shadow.FILE)
            return found.entry.locked(), None

        shadow.change(name, uid, locked)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: the password is locked and the account has expired."""
        name, _ = accounts.from_params(resource.params)
        found = state.objects.get(_key(name))
        if not isinstance(found, Mapping) or not found.get("present"):
            return Judgement(Verdict.UNKNOWN, f"{shadow.FILE} has no line for {name} any more", Grade.NONE)
        if found.get("locked") is not True:
            reason = f"password {found.get('password')}, expiry {found.get('expiry') or 'never'}"
            return Judgement(Verdict.NOT_CONTAINED, reason)
        return Judgement(Verdict.CONTAINED, "the password is locked and the account has expired")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the line is read again under the lock
        """Put the two fields back where they are as the stop left them."""
        name, uid = accounts.from_params(resource.params)
        key, value = _key(name), before.objects.get(_key(name))
        if not isinstance(value, Mapping) or not value.get("present"):
            return Reversal({key: Outcome.ALREADY}, "there was no such line")
        try:
            prior = self._prior(before, name)
        except RecordDamaged as error:
            return Reversal({key: Outcome.CANNOT}, error.what)
        if prior is None:
            return Reversal({key: Outcome.CANNOT}, "the line was not recorded")
        outcome, reason = Outcome.DRIFTED, "the line is not as the stop left it"

        def restored(found: Read) -> tuple[Entry, int | None] | None:
            nonlocal outcome, reason
            if found.entry is None:
                reason = "the account is gone"
                return None
            if found.entry.same_fields(prior):
                outcome, reason = Outcome.ALREADY, "is as before the stop"
                return None
            if (entry := found.entry.restored(prior)) is None:
                return None
            outcome, reason = Outcome.RESTORED, "has its password and expiry back"
            return entry, self._time(value, found, entry)

        shadow.change(name, uid, restored)
        return Reversal({key: outcome}, f"account {name} {reason}")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask PAM for every login service of this host."""
        name, _ = accounts.from_params(resource.params)
        asked = resource.params.get("services")
        wanted = [one for one in asked if isinstance(one, str)] if isinstance(asked, list) else []
        return pam.judge(pam.ask(name, wanted))

    def _prior(self, before: State, name: str) -> Entry | None:
        value = before.objects.get(_key(name))
        if not isinstance(value, Mapping) or "line" not in value:
            return None
        return Entry(self._connection.sealed.get(value["line"]))

    def _time(self, prior: JsonObject, found: Read, entry: Entry) -> int | None:
        """Return the file's own time of before, where every byte will be as it was then."""
        if found.entry is None:
            return None
        data = shadow.with_line(found.data, found.entry, entry)
        is_whole = shadow.commitment(data, self._commitment_key()) == prior.get("whole")
        return int(str(prior["mtime_ns"])) if is_whole else None

    def _commitment_key(self) -> str:
        return str(self._connection.sealed.put(_KEY_LABEL, b"")["commitment"])


def key(account: Account) -> str:
    """Return the proposal's key."""
    return f"lock:{account.name}"


def refuses(account: Account, *services: str) -> tuple[str, ...]:
    """Return the keys of the steps that make a service refuse the account, proven by PAM; empty: none."""
    is_asked = not _kept_here(account) and bool({*services} & {*_services(account)})
    return (key(account),) if is_asked and not pam.ask(account.name, ()).error else ()


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a class deny waits for nothing
    """Propose the lock where the agent's account is kept in this host's own files."""
    found, why = accounts.of(connection)
    if found is None:
        return Proposed(not_touched=(NotTouched("accounts and logins", why[:500]),))
    doors = tuple(_homonym(found, other) for other in accounts.homonyms(found))
    if not shadow.exists():
        doors += (_elsewhere(found, f"this host has no {shadow.FILE}"),)
    elif where := _kept_here(found):
        doors += (_elsewhere(found, where),)
    else:
        wanted: list[Json] = [*_services(found)]
        can_ask = bool(wanted) and not pam.ask(found.name, ()).error
        target = Resource(
            "account",
            f"account {found.name}",
            f"account {found.name}",
            {**found.params(), "services": wanted},
        )
        grade = None if can_ask else Grade.READ_BACK
        step = Proposal(key(found), SPEC.name, target, best_grade=grade, deadline_s=DEADLINE_S)
        return Proposed((step,), doors)
    return Proposed((), doors)


def _services(found: Account) -> tuple[str, ...]:
    """Return the services that PAM guards; an sshd that does not ask PAM reads the shadow line itself."""
    asks_pam = not sshd.is_installed() or sshd.ask(found).uses_pam
    return pam.services(sshd_asks_pam=asks_pam)


def _kept_here(found: Account) -> str:
    """Say why /etc/shadow does not decide about the account; empty: it does."""
    if where := accounts.lives_in(found):
        return f"its account lives in {where}"
    if accounts.password_elsewhere(found):
        return "its password stands in /etc/passwd, so that nobody asks /etc/shadow (pwconv(8) moves it)"
    if not shadow.exists() or shadow.read(found.name).entry is None:
        return f"{shadow.FILE} has no line for it"
    return ""


def _elsewhere(found: Account, why: str) -> ProposedDoor:
    name, remedy = f"logins of account {found.name}", "lock it there"
    return ProposedDoor(
        Door(DoorKind.NO_STEP, name, why, remedy, "whoever runs this host", (), Verdict.NOT_CONTAINED)
    )


def _homonym(found: Account, other: str) -> ProposedDoor:
    name, why = f"account {other}", f"it has the uid of {found.name}, and a login of its own"
    remedy = "lock it by hand, or give it a uid of its own"
    return ProposedDoor(Door(DoorKind.NO_STEP, name, why, remedy, "", (), Verdict.NOT_CONTAINED))


def _key(name: str) -> str:
    return f"{shadow.FILE} {name}"


def _words(entry: Entry) -> str:
    if not entry.password:
        return "empty"
    return "locked" if entry.password[:1] in b"!*" else "set"


ACTION_CLASSES = (LockAccount,)
