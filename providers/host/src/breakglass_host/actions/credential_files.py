"""``host.credentials.withhold``: the agent's credential files set aside, where its user cannot read them."""

from __future__ import annotations

import errno
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
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_host import as_agent, safepath, setaside
from breakglass_host.setaside import Place

SPEC = ActionSpec(
    name="host.credentials.withhold",
    capability=Capability.REVOKE_CREDENTIALS,
    summary=(
        "Moves a credential file to where the agent's user cannot reach it. It stays valid at its issuer, and"
        " a process that has read it or holds it open keeps it until it ends."
    ),
    permissions=("root: rename, chown and chmod the file (CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN)",),
    blast_radius="Whoever else reads the same file finds nothing there.",
    reversibility=Reversibility.FULL,
    undo="Moves the same file back with mode, owner, times and attributes; never over something new.",
    settle_s=0.0,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="host.credentials.withhold /var/lib/support-bot/token",
    sources=(
        Source("proof", Authority.REAL_SYSTEM, "open(2) with the agent's filesystem uid, setfsuid(2)"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_b_credentials.py"),
        Source("blast_radius", Authority.REAL_SYSTEM, "providers/host/tests/test_b_credentials.py"),
    ),
    withholds_only=True,
)
_REFUSED = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP})


class WithholdCredential:
    """Move it, take its rights, and try to open it as the agent."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what stands at the path and what lies aside; never the content, only a commitment to it."""
        with safepath.refusals(resource.id):
            return setaside.observe(self._place(resource))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; a repeated move finds nothing
        """Move it away."""
        setaside.apply(self._place(resource), before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: nothing stands at the path, and no other name of the same file can be read."""
        found = state.objects.get(resource.id)
        present = found.get("present") if isinstance(found, Mapping) else None
        if present is None:
            return Judgement(Verdict.UNKNOWN, state.note or "the path could not be read", Grade.NONE)
        if present:
            return Judgement(Verdict.NOT_CONTAINED, "it can still be read")
        aside = found.get("aside") if isinstance(found, Mapping) else None
        for one in aside if isinstance(aside, list) else ():
            if isinstance(one, Mapping) and (why := _still_reachable(one)):
                return Judgement(Verdict.NOT_CONTAINED, why)
        return Judgement(Verdict.CONTAINED, "set aside" if aside else "no file stands there")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the move itself compares: it never replaces
        """Move the first-seen file back."""
        outcome, reason = setaside.put_back(self._place(resource), before)
        return Reversal({resource.id: outcome}, f"{resource.id} {reason}")

    def probe(self, resource: Resource) -> Judgement | None:
        """Open it with the file rights of the agent's user; the content is not read."""
        who = as_agent.from_params(resource.params)
        if who is None or not as_agent.is_possible(who):
            return None
        refusal = as_agent.attempt(who, lambda: _open(resource.id))
        if refusal is None:
            return Judgement(Verdict.NOT_CONTAINED, f"user {who.uid} could open it", Grade.REFUSED_AS_AGENT)
        if refusal.errno in _REFUSED:
            reason = f"user {who.uid} cannot open it: {refusal.strerror}"
            return Judgement(Verdict.CONTAINED, reason, Grade.REFUSED_AS_AGENT)
        return Judgement(Verdict.UNKNOWN, f"the attempt failed otherwise: {refusal}", Grade.NONE)

    def _place(self, resource: Resource) -> Place:
        incident, sealed = self._connection.incident, self._connection.sealed
        return Place(resource.id, incident, sealed, keeps_copy=False, tightens=True)


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part; withholding waits for nothing
    """Propose a step for each file that the inventory names."""
    settings = connection.reach.settings
    named, issuers = settings.get("credential_files"), settings.get("credential_issuers")
    paths = [path for path in named if isinstance(path, str)] if isinstance(named, list | tuple) else []
    if not paths:
        return Proposed()
    who = as_agent.identity(settings, connection.incident)
    proposals, doors = [], []
    for path in dict.fromkeys(paths):
        if why := safepath.complaint(path):
            doors.append(_refused(path, why))
            continue
        issuer = issuers.get(path) if isinstance(issuers, Mapping) else None
        params: dict[str, Json] = {"issuer": issuer if isinstance(issuer, str) else ""}
        proposals.append(
            Proposal(
                key=f"withhold:{path}",
                action=SPEC.name,
                target=Resource(
                    "credential-file",
                    safepath.resolved(path),
                    f"credential file {path}",
                    params | (who.params() if who else {}),
                ),
                best_grade=None if as_agent.is_possible(who) else Grade.READ_BACK,
                withholds=(f"file:{path}",),
            )
        )
    return Proposed(tuple(proposals), tuple(doors))


def _refused(path: str, why: str) -> ProposedDoor:
    name = f"credential file {safepath.shown(path)[:500]}"
    remedy = "name it by its plain, absolute path"
    return ProposedDoor(
        Door(DoorKind.NO_STEP, name, f"its name {why}", remedy, "", (), Verdict.NOT_CONTAINED)
    )


def _still_reachable(aside: Mapping[str, Json]) -> str:
    """Say how the content can be read although the path is empty; empty: not that we know."""
    if aside.get("kind") == "link":
        return "it was a link, and what it pointed to is not withheld: name that file in the inventory"
    links, mode = aside.get("links"), aside.get("mode")
    if isinstance(links, int) and links > 1 and mode != "0000":
        return f"the same file has {links - 1} other names, and can be read through them"
    return ""


def _open(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))


ACTION_CLASSES = (WithholdCredential,)
