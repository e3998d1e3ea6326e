"""``host.process.pause_tree`` and ``stop_tree``: the same by signals, where cgroup v2 or root is missing."""

from __future__ import annotations

import signal

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
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host import cgroup, membership, signals, tree
from breakglass_host.actions.end_tree import ended, judge_ended
from breakglass_host.actions.freeze import lost_exclusivity, processes, read_tree
from breakglass_host.tree import Tree

PAUSE_SPEC = ActionSpec(
    name="host.process.pause_tree",
    capability=Capability.STOP_WORKLOADS,
    summary="Stops every process of the agent with SIGSTOP until two scans agree that none runs.",
    permissions=("the right to signal the agent's processes",),
    blast_radius="Whoever waits for the agent's processes waits; locks that they hold stay held.",
    reversibility=Reversibility.FULL,
    undo="Sends SIGCONT to the processes that still live and were running before.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.process.pause_tree pid-file:/run/support-bot.pid",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "signal(7): SIGSTOP cannot be caught; proc(5) state T"),
        Source("settle", Authority.OWN_SANDBOX, "providers/host/tests/test_a_signals.py"),
    ),
)
STOP_SPEC = ActionSpec(
    name="host.process.stop_tree",
    capability=Capability.STOP_WORKLOADS,
    summary="Kills every process of the agent with SIGKILL until two scans find none of them.",
    permissions=("the right to signal the agent's processes",),
    blast_radius="Whatever the agent was doing is lost; files that it was writing stay half-written.",
    reversibility=Reversibility.NONE,
    undo="Nothing brings an ended process back: its owner must start the agent again.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.process.stop_tree pid-file:/run/support-bot.pid",
    destroys_evidence="memory, open files and environment of every process of the agent",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "pid_namespaces(7): its first process ends all of them"),
        Source("settle", Authority.OWN_SANDBOX, "providers/host/tests/test_a_signals.py"),
    ),
)


def _wanted(resource: Resource, why: str) -> Tree:
    """Return the tree, without what is not the agent's alone any more."""
    found = tree.of(resource)
    return membership.what_is_left(found, why) if why else found


class PauseTree:
    """SIGSTOP, look, and again."""

    spec = PAUSE_SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the members and their states."""
        return read_tree(tree.of(resource), cgroup.find())

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - signals take no client token; repeating them is harmless
        """Stop every member; what is not the agent's alone any more is left out, and then refused."""
        wanted = _wanted(resource, why := lost_exclusivity(before))
        signals.stop_until_still(lambda: membership.look(wanted), uid=wanted.uid, within_s=2.0)
        if why:
            raise Denied(f"refused: {why}; the rest is stopped")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: each member that is known is stopped; a tree that is not closed proves no more."""
        if why := lost_exclusivity(state):
            return Judgement(Verdict.UNKNOWN, f"not the agent's alone: {why}", Grade.NONE)
        running = [name for name, stopped in _stopped(state).items() if not stopped]
        if running:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(running)} processes of the agent run")
        limit = resource.params.get("limit")
        words = f"{len(processes(state))} processes stopped" + (f", but {limit}" if limit else "")
        return Judgement(Verdict.CONTAINED, words, Grade.NONE if limit else Grade.READ_BACK)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Let those go on that were running before the stop."""
        alive = {f"process:{one.id}": one for one in membership.look(tree.of(resource)).members}
        was, is_now, outcomes = _stopped(before), _stopped(now), {}
        for key, was_stopped in was.items():
            if key not in alive:
                outcomes[key] = Outcome.ENDED
            elif was_stopped or not is_now.get(key, False):
                outcomes[key] = Outcome.ALREADY
            else:
                signals.send_all([alive[key]], signal.SIGCONT)
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "processes that still live go on")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: a stopped process cannot be asked to try."""
        return None


def _stopped(state: State) -> dict[str, bool]:
    return {
        key: str(value.get("state", "")) in ("T", "t")
        for key, value in state.objects.items()
        if key.startswith("process:") and isinstance(value, dict)
    }


class StopTree:
    """SIGKILL, look, and again; the first process of the agent's own pid namespace first."""

    spec = STOP_SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the members."""
        return read_tree(tree.of(resource), cgroup.find())

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - signals take no client token; repeating them is harmless
        """Kill every member; what is not the agent's alone any more is left out, and then refused."""
        wanted = _wanted(resource, why := lost_exclusivity(before))
        first = wanted.root if wanted.pidns else None
        signals.kill_until_gone(lambda: membership.look(wanted), uid=wanted.uid, first=first, within_s=3.0)
        if why:
            raise Denied(f"refused: {why}; the rest is ended")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: nothing of the tree lives, where the tree is closed."""
        return judge_ended(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Say what cannot be brought back."""
        return ended(before, now)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nobody left to try."""
        return None


ACTION_CLASSES = (PauseTree, StopTree)
