"""``host.ssh.set_aside_keys``: the files with which sshd lets somebody in as the agent, set aside."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath

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
from breakglass_host import as_agent, inode, safepath, setaside, tree
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import folder_times, own_keys, sshd
from breakglass_host.accounts.account import Account
from breakglass_host.actions import account_lock
from breakglass_host.setaside import Place

_SHOWN_BY = "providers/host/tests/test_s_accounts_ssh.py: OpenSSH 9.2"
SPEC = ActionSpec(
    name="host.ssh.set_aside_keys",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="Moves the authorized_keys files of the agent's account to where sshd does not look.",
    permissions=("root: rename in the account's home (CAP_DAC_OVERRIDE), run sshd -T",),
    blast_radius="Whoever else logs in with a key as that account is refused.",
    reversibility=Reversibility.FULL,
    undo="Moves the same files back with mode, owner, times and attributes; never over something new.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.ssh.set_aside_keys keys of account bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "sshd_config(5), AuthorizedKeysFile; sshd(8), -T and -C"),
        Source("proof", Authority.REAL_SYSTEM, _SHOWN_BY),
        Source("undo", Authority.REAL_SYSTEM, _SHOWN_BY),
    ),
)
_MAX_NAMED = 20
_UNREAD = "the file does not answer: whether a key of the agent stands in it is not known"


class SetKeysAside:
    """Every key file of one account, and each link that the agent puts into the way to one."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what stands at each path; a folder that is a link stands for all behind it."""
        objects = folder_times.of(_components(resource))
        complete, notes = True, list[str]()
        with safepath.refusals(resource.id):
            for path in _targets(resource):
                found = setaside.observe(self._place(_in_the_way(path, _trusted(resource, path))))
                objects |= found.objects
                complete, notes = complete and found.complete, [*notes, found.note]
        return State(objects, complete=complete, note="; ".join(filter(None, notes)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - no token is taken: a repeated move finds nothing
        """Move away what was recorded."""
        for path in _paths(resource, before):
            if not _is_absent(before.objects[path]):
                setaside.apply(self._place(path), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: sshd finds no key file of this account."""
        found = {path: state.objects[path] for path in _paths(resource, state)}
        if any(not isinstance(value, Mapping) or value.get("present") is None for value in found.values()):
            return Judgement(Verdict.UNKNOWN, state.note or "a path could not be read", Grade.NONE)
        present = [path for path, value in found.items() if not _is_absent(value)]
        if present:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(present)} still there: {', '.join(present[:3])}")
        return Judgement(Verdict.CONTAINED, f"sshd finds no keys at {len(_targets(resource))} paths")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each move compares: it never replaces
        """Move the first-seen files back, folders that were links first."""
        outcomes: dict[str, Outcome] = {}
        reasons: list[str] = []
        for path in sorted(_paths(resource, before)):
            outcomes[path], reason = setaside.put_back(self._place(path), before)
            reasons.append(f"{path} {reason}")
        folder_times.give_back(before)
        return Reversal(outcomes, "; ".join(reasons[:5]) or "there was nothing")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: what sshd does is proven by the account's lock."""
        return None

    def _place(self, path: str) -> Place:
        return Place(path, self._connection.incident, self._connection.sealed, keeps_copy=True)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; a reversible cut waits for nothing
    """Propose one step for the key files of the agent's account, and name what else sshd would believe."""
    found, _ = accounts.of(connection)
    if found is None:
        return Proposed((), _of_an_unnamed(connection))
    if not sshd.is_installed():
        return Proposed(not_touched=(NotTouched("keys for ssh", "no sshd is installed here"),))
    asked = sshd.ask(found)
    settled = {path: sshd.settled(path, found) for path in asked.files}
    doors = [_unsignable(path, why) for path in asked.files if (why := safepath.complaint(path))]
    depths: dict[str, Json] = {
        real: depth for real, depth in settled.values() if not safepath.complaint(real)
    }
    paths: list[Json] = [*depths]
    closed_by = () if sshd.reads_no_expiry() else account_lock.refuses(found, "sshd")
    doors += [_shared(path, found, closed_by) for path in asked.shared]
    doors += [_unanswered(asked.problem, closed_by)] if asked.problem else []
    opens, hanging = own_keys.elsewhere(found)
    doors += [_opens_others(*one) for one in opens]
    steps: tuple[Proposal, ...] = ()
    if paths:
        params: dict[str, Json] = {**found.params(), "paths": paths, "trusted": [*depths.values()]}
        target = Resource("ssh-keys", f"account {found.name}", f"keys of account {found.name}", params)
        steps = (Proposal(f"ssh-keys:{found.name}", SPEC.name, target, moot_by=closed_by),)
    return Proposed(steps, tuple(doors), _said(found, asked, hanging))


def _said(found: Account, asked: sshd.Sshd, hanging: list[str]) -> tuple[NotTouched, ...]:
    """Name the other ways in, which the lock refuses, and the private keys, which open other hosts."""
    other = "the account itself is locked, and sshd refuses whoever comes in this way"
    key = "a private key may open other hosts: name it in credential_files to withhold it"
    folder, names = safepath.shown(f"{found.home}/.ssh"), own_keys.names(found)
    return (
        *(NotTouched(f"sshd: {safepath.shown(way)}"[:500], other) for way in asked.other_ways),
        *(NotTouched(f"{folder}/{safepath.shown(name)}"[:500], key) for name in names[:_MAX_NAMED]),
        *((NotTouched(f"{len(names) - _MAX_NAMED} more in {folder}", key),) if names[_MAX_NAMED:] else ()),
        *(NotTouched(safepath.shown(path)[:500], _UNREAD) for path in hanging),
    )


def _shared(path: str, found: Account, closed_by: tuple[str, ...]) -> ProposedDoor:
    name = f"keys for every account in {safepath.shown(path)[:400]}"
    reason = f"they let somebody in as {found.name}, and as others: the file is not touched"
    remedy = "take the agent's keys out by hand"
    door = Door(DoorKind.NO_STEP, name, reason, remedy, "whoever runs this host", (), Verdict.NOT_CONTAINED)
    return ProposedDoor(door, closed_by)


def _of_an_unnamed(connection: Connection) -> tuple[ProposedDoor, ...]:
    """Keep open where a key lets somebody in as the user that the agent runs as, and nobody named it."""
    settings = connection.reach.settings
    if tree.setting(settings, "user") or os.geteuid() != 0 or not sshd.is_installed():
        return ()
    who = as_agent.identity(settings, connection.incident)
    if who is None or (account := accounts.by_uid(who.uid)) is None:
        return ()
    found = [path for path in sshd.ask(account).files if os.path.lexists(path)]
    name = f"logins of account {safepath.shown(account.name)[:200]}"
    reason = "the agent runs as it, a key for ssh lets somebody in, and the inventory does not name the user"
    remedy = "name the user in the inventory, if it is the agent's alone; then stop it again"
    door = Door(DoorKind.NO_STEP, name, reason, remedy, "", (), Verdict.UNKNOWN)
    return (ProposedDoor(door),) if found else ()


def _unanswered(problem: str, closed_by: tuple[str, ...]) -> ProposedDoor:
    remedy = "have sshd -T answer, then stop it again"
    reason = f"sshd does not say where it looks, so its defaults were assumed: {problem}"[:500]
    door = Door(DoorKind.NO_STEP, "key files of sshd", reason, remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(door, closed_by)


def _opens_others(key: str, other: str, path: str) -> ProposedDoor:
    name = f"ssh key {safepath.shown(key)[:200]} opens account {safepath.shown(other)[:100]}"
    reason = f"who holds a copy of it logs in there: it stands in {safepath.shown(path)[:300]}"
    remedy = "take that line out by hand"
    return ProposedDoor(Door(DoorKind.NO_STEP, name, reason, remedy, other[:200], (), Verdict.NOT_CONTAINED))


def _unsignable(path: str, why: str) -> ProposedDoor:
    name, remedy = f"key file {safepath.shown(path)[:400]}", "take it away by hand"
    door = Door(DoorKind.NO_STEP, name, f"its name {why}", remedy, "", (), Verdict.NOT_CONTAINED)
    return ProposedDoor(door)


def _targets(resource: Resource) -> list[str]:
    paths = resource.params.get("paths")
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list | tuple) else []


def _trusted(resource: Resource, path: str) -> int:
    """Return how many parts of a path the agent cannot swap, as signed."""
    depths = resource.params.get("trusted")
    known = dict(zip(_targets(resource), depths, strict=False)) if isinstance(depths, list | tuple) else {}
    depth = known.get(path)
    return depth if isinstance(depth, int) else len(PurePosixPath(path).parts)


def _below(path: str, trusted: int) -> list[str]:
    """Return the folders of a path that the agent can swap, outermost first, and the path itself."""
    parts = PurePosixPath(path).parts
    return [str(PurePosixPath(*parts[:n])) for n in range(trusted + 1, len(parts) + 1)] or [path]


def _in_the_way(path: str, trusted: int) -> str:
    """Return the first part of the path that is no folder, such as a link that sshd would follow."""
    return next((part for part in _below(path, trusted)[:-1] if _kind(part) not in ("", "folder")), path)


def _kind(path: str) -> str:
    folder, _, name = path.rpartition("/")
    try:
        with safepath.folder(folder or "/") as at:
            found = inode.read(name, at)
    except OSError:
        return ""
    return found.kind if found else ""


def _paths(resource: Resource, state: State) -> list[str]:
    """Return the objects that are paths; the others are records of single versions."""
    known = set(_components(resource))
    return [key for key in state.objects if key in known]


def _components(resource: Resource) -> list[str]:
    """Return every path that may be moved."""
    return [one for path in _targets(resource) for one in _below(path, _trusted(resource, path))]


def _is_absent(value: Json) -> bool:
    return isinstance(value, Mapping) and value.get("present") is False


ACTION_CLASSES = (SetKeysAside,)
