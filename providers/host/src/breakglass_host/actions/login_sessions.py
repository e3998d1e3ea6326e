"""``host.login.end_sessions``: the agent's login sessions and its user manager ended."""

from __future__ import annotations

import os
from collections.abc import Mapping

from breakglass.canon import Json
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
from breakglass.provider import Connection, Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_host import procfs
from breakglass_host.accounts import account as accounts
from breakglass_host.accounts import logind
from breakglass_host.systemd import systemctl

_SHOWN_BY = "providers/host/tests/test_s_accounts_sessions.py: systemd 252"
SPEC = ActionSpec(
    name="host.login.end_sessions",
    capability=Capability.STOP_WORKLOADS,
    summary="Kills every login session of the agent's account and its user manager, and all in them.",
    permissions=("root: loginctl kill-session and terminate-session, systemctl kill and stop",),
    blast_radius="Whoever else is logged in as that account is thrown out.",
    reversibility=Reversibility.PARTIAL,
    undo="Sessions stay ended: who had one logs in again. Another step starts a lingering manager.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.login.end_sessions sessions of account bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "loginctl(1), kill-session and terminate-session"),
        Source("proof", Authority.REAL_SYSTEM, _SHOWN_BY),
    ),
    destroys_evidence="memory and open files of what runs in the sessions",
)
_AT_REST = ("inactive", "failed")
FREEZE_WAIT_S = 5.0
DEADLINE_S = 45.0
_STOP_S = 5.0


class EndSessions:
    """Kill, then have logind and systemd forget."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """List the sessions, and read the state of the user manager."""
        _, uid = accounts.from_params(resource.params)
        objects: dict[str, Json] = {f"session {one.id}": one.about for one in logind.sessions(uid)}
        shown = systemctl.show([logind.manager(uid)])[0]
        objects[logind.manager(uid)] = {"active": shown["ActiveState"], "load": shown["LoadState"]}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - no token is taken: what has ended is not ended twice
        """End the sessions that were recorded, and the manager; never the executor's own.

        Raises:
            Denied: the executor itself was reached through a login of this account.
        """
        name, uid = accounts.from_params(resource.params)
        table = procfs.scan()
        if any(uid in procfs.uids(pid) for pid in (os.getpid(), *procfs.ancestors(table, os.getpid()))):
            raise Denied(f"refused: the executor came through a login of account {name}")
        for key in before.objects:
            if key.startswith("session "):
                logind.end(key.removeprefix("session "))
        unit = logind.manager(uid)
        if _active(before, unit) not in _AT_REST:
            systemctl.order("kill", [unit], "--signal=SIGKILL", "--kill-who=all")
            systemctl.await_active([unit], frozenset(_AT_REST), _STOP_S)
            systemctl.order("stop", [unit], "--no-block")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: logind knows no session of the account, and its user manager does not run."""
        name, uid = accounts.from_params(resource.params)
        unit = logind.manager(uid)
        found = [key for key in state.objects if key.startswith("session ")]
        if found:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(found)} of account {name}: {', '.join(found[:5])}")
        active = _active(state, unit)
        if not active:
            return Judgement(Verdict.UNKNOWN, f"the state of {unit} could not be read", Grade.NONE)
        if active not in _AT_REST:
            return Judgement(Verdict.NOT_CONTAINED, f"{unit} is {active}")
        return Judgement(Verdict.CONTAINED, f"account {name} has no session, and {unit} is {active}")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - what ended stays so
        """Say what was ended: nothing brings a session back."""
        _, uid = accounts.from_params(resource.params)
        unit = logind.manager(uid)
        outcomes = {key: Outcome.ENDED for key in before.objects if key.startswith("session ")}
        outcomes[unit] = Outcome.ALREADY if _active(before, unit) in _AT_REST else Outcome.ENDED
        return Reversal(outcomes, "who had a session logs in again")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: a login is refused by the account's lock, and proven there."""
        return None


def propose(connection: Connection, freeze_key: str | None, kill_key: str) -> Proposed:  # noqa: ARG001 - the form of every part
    """Propose the end after the freeze: what is frozen starts nothing while its sessions go."""
    found, _ = accounts.of(connection)
    if found is None or logind.absent():
        return Proposed()
    label = f"sessions of account {found.name}"
    target = Resource("login-sessions", f"account {found.name}", label, found.params())
    waits = (WaitFor(freeze_key, FREEZE_WAIT_S),) if freeze_key else ()
    step = Proposal(f"sessions:{found.name}", SPEC.name, target, after=waits, deadline_s=DEADLINE_S)
    return Proposed((step,))


def _active(state: State, unit: str) -> str:
    about = state.objects.get(unit)
    value = about.get("active") if isinstance(about, Mapping) else None
    return value if isinstance(value, str) else ""


ACTION_CLASSES = (EndSessions,)
