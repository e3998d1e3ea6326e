"""``host.spool.pause``: a spool folder closed to the agent's user, so that no new item is consumed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping

from breakglass.canon import Json
from breakglass.errors import Gone
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
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_host import as_agent, inode, safepath, vault

SPEC = ActionSpec(
    name="host.spool.pause",
    capability=Capability.PAUSE_QUEUES,
    summary=(
        "Gives a spool folder and every folder in it to root alone, mode 0700: the agent can take nothing"
        " more out of it and put nothing into it. What it holds open already stays readable until it ends."
    ),
    permissions=("root: chown and chmod the folder (CAP_CHOWN, CAP_FOWNER)",),
    blast_radius="Whoever else reads from or writes to the folder is refused too; what lies in it stays.",
    reversibility=Reversibility.FULL,
    undo="Gives owner and mode of each folder back where nobody changed them since.",
    settle_s=0.0,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="host.spool.pause /var/spool/support-bot",
    sources=(
        Source(
            "proof", Authority.REAL_SYSTEM, "opendir and create with the agent's filesystem uid, setfsuid(2)"
        ),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_b_spool.py"),
    ),
)
MAX_FOLDERS = 10_000
MAX_DEPTH = 100
_CLOSED = "0700"
_REFUSED = frozenset({errno.EACCES, errno.EPERM})


class PauseSpool:
    """Close the folder and all below it; a held descriptor of a folder inside would pass the outer one."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing: the target says everything."""

    def observe(self, resource: Resource) -> State:
        """Read owner and mode of the folder and of every folder in it."""
        objects: dict[str, Json] = {}
        with safepath.refusals(resource.id):
            try:
                for path in _folders(resource.id):
                    if len(objects) >= MAX_FOLDERS:
                        note = f"more than {MAX_FOLDERS} folders"
                        return State(objects, complete=False, note=note)
                    objects[path] = _read(path)
            except FileNotFoundError:
                if not objects:
                    return State({resource.id: {"present": False}})
                raise
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; the change is idempotent
        """Take the owner first, so that the agent cannot open it again in between; outer folders first."""
        for path in sorted(before.objects):
            with safepath.refusals(path):
                _close(path, before.objects[path])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: every folder is ours with mode 0700."""
        if not isinstance(found := state.objects.get(resource.id), Mapping):
            return Judgement(Verdict.UNKNOWN, "the folder could not be read", Grade.NONE)
        if found.get("present") is False:
            return Judgement(Verdict.CONTAINED, "there is no such folder")
        opened = [path for path, value in state.objects.items() if not _is_closed(value)]
        if opened:
            reason = f"{len(opened)} of {len(state.objects)} folders are open to others"
            return Judgement(Verdict.NOT_CONTAINED, reason)
        return Judgement(Verdict.CONTAINED, f"closed, with {len(state.objects) - 1} folders in it")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - each folder is compared when it is changed
        """Give owner and mode back, inner folders first, where they are as the stop left them."""
        outcomes = {}
        for path in sorted(before.objects, reverse=True):
            prior = before.objects[path]
            if isinstance(prior, Mapping) and prior.get("present"):
                with safepath.refusals(path):
                    outcomes[path] = _reopen(path, prior)
        return Reversal(outcomes, "opened again for its owner")

    def probe(self, resource: Resource) -> Judgement | None:
        """List it and create in it with the file rights of the agent's user."""
        who = as_agent.from_params(resource.params)
        if who is None or not as_agent.is_possible(who):
            return None
        for words, attempt in (("list", _list), ("write", _create)):
            refusal = as_agent.attempt(who, lambda attempt=attempt: attempt(resource.id))  # type: ignore[misc]  # mypy cannot infer a lambda with a default
            if refusal is None:
                reason = f"user {who.uid} could {words} it"
                return Judgement(Verdict.NOT_CONTAINED, reason, Grade.REFUSED_AS_AGENT)
            if refusal.errno not in _REFUSED | {errno.ENOENT}:
                return Judgement(Verdict.UNKNOWN, f"the attempt failed otherwise: {refusal}", Grade.NONE)
        reason = f"user {who.uid} can neither list it nor write to it"
        return Judgement(Verdict.CONTAINED, reason, Grade.REFUSED_AS_AGENT)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; pausing waits for nothing
    """Propose a step for each spool folder that the inventory names."""
    named = connection.reach.settings.get("spools")
    paths = [path for path in named if isinstance(path, str)] if isinstance(named, list | tuple) else []
    if not paths:
        return Proposed()
    who = as_agent.identity(connection.reach.settings, connection.incident)
    proposals, doors = [], []
    for path in dict.fromkeys(paths):
        if why := safepath.complaint(path) or _too_much(path):
            name = f"spool folder {safepath.shown(path)[:500]}"
            remedy = "name the agent's own spool folder"
            door = Door(DoorKind.NO_STEP, name, f"it {why}", remedy, "", (), Verdict.NOT_CONTAINED)
            doors.append(ProposedDoor(door))
            continue
        target = safepath.resolved(path)
        params = who.params() if who else {}
        proposals.append(
            Proposal(
                key=f"spool:{path}",
                action=SPEC.name,
                target=Resource("spool-folder", target, f"spool folder {path}", params),
                best_grade=None if as_agent.is_possible(who) else Grade.READ_BACK,
                affects=_others(target, who.uid if who else None),
            )
        )
    return Proposed(tuple(proposals), tuple(doors))


def _too_much(path: str) -> str:
    """Refuse folders that half of the machine works in."""
    is_top = path.count("/") < 2 or path in {"/var/spool", "/var/lib", "/var/tmp", "/usr/bin"}  # noqa: S108, PLR2004 - a list of what to refuse, and the depth of /x
    return "is a folder of the whole system" if is_top else ""


def _others(path: str, uid: int | None) -> tuple[str, ...]:
    """Name whom the folder is open to beside the agent."""
    try:
        about = os.stat(path)  # noqa: PTH116 - kept as text, as it is signed
    except OSError:
        return ()
    found = [f"owner {about.st_uid} of {path}"] if about.st_uid not in (uid, 0) else []
    if about.st_mode & stat.S_IRWXG:
        found.append(f"group {about.st_gid}, which may use {path}")
    if about.st_mode & stat.S_IRWXO:
        found.append(f"everybody, who may use {path}")
    return tuple(found)


def _folders(path: str) -> Iterator[str]:
    """Yield a folder and those in it, never through a link; one whose name nobody can read is refused."""
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one.count("/") - path.count("/") > MAX_DEPTH:
            raise OSError(errno.ENAMETOOLONG, f"folders are nested more than {MAX_DEPTH} deep")
        try:
            with safepath.folder(one) as at:
                below = [name for name in vault.names(at) if _is_folder(name, at)]
        except FileNotFoundError:
            if one == path:
                raise
            continue
        yield one
        for name in sorted(below, reverse=True):
            inner = f"{one}/{name}"
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise OSError(
                    errno.EILSEQ, f"a folder's name is not UTF-8: {safepath.shown(inner)}"
                ) from error
            waiting.append(inner)


def _is_folder(name: str, folder_fd: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _read(path: str) -> dict[str, Json]:
    with safepath.folder(path) as at:
        found = inode.read(".", at)
    if found is None:
        raise Gone("is not there any more", where=safepath.shown(path))
    return found.to_json()


def _is_closed(value: Json) -> bool:
    return isinstance(value, Mapping) and (value.get("uid"), value.get("mode")) == (os.geteuid(), _CLOSED)


def _close(path: str, seen: Json) -> None:
    """Close one folder, if it is the one that was recorded."""
    try:
        with safepath.folder(path) as at:
            found = inode.read(".", at)
            if found is None or not isinstance(seen, Mapping) or found.id != seen.get("inode"):
                return
            if os.geteuid() == 0:
                os.chown(f"/proc/self/fd/{at}", 0, 0)
            os.chmod(f"/proc/self/fd/{at}", int(_CLOSED, 8))  # noqa: PTH101 - the link of /proc names the inode, not a path
    except FileNotFoundError:
        return


def _reopen(path: str, prior: Mapping[str, Json]) -> Outcome:
    try:
        with safepath.folder(path) as at:
            found = inode.read(".", at)
            if found is None or found.id != prior["inode"]:
                return Outcome.DRIFTED
            if inode.same_rights(found, prior):
                return Outcome.ALREADY
            # A kill between chown and chmod leaves half of either state, which is still ours.
            if found.uid not in (os.geteuid(), prior["uid"]) or f"{found.mode:04o}" not in (
                _CLOSED,
                prior["mode"],
            ):
                return Outcome.DRIFTED
            if os.geteuid() == 0:
                os.chown(f"/proc/self/fd/{at}", int(str(prior["uid"])), int(str(prior["gid"])))
            os.chmod(f"/proc/self/fd/{at}", int(str(prior["mode"]), 8))  # noqa: PTH101 - the link of /proc names the inode, not a path
    except FileNotFoundError:
        return Outcome.CANNOT
    return Outcome.RESTORED


def _list(path: str) -> None:
    os.listdir(path)  # noqa: PTH208 - an attempt, not a listing


def _create(path: str) -> None:
    probe = f"{path}/.breakglass-probe"
    os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    os.unlink(probe)  # noqa: PTH108 - with the same rights, at once


ACTION_CLASSES = (PauseSpool,)
