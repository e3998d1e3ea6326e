"""``host.cgroup.kill_tree``: ends the frozen tree with one write; nothing of it is ever thawed."""

from __future__ import annotations

from breakglass.errors import Denied, ProviderError
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
from breakglass_host import cgroup, hold, membership, tree
from breakglass_host.actions.freeze import flag, lost_exclusivity, processes, read_tree
from breakglass_host.tree import Tree

SPEC = ActionSpec(
    name="host.cgroup.kill_tree",
    capability=Capability.STOP_WORKLOADS,
    summary="Kills every process of the agent at once, while it is frozen.",
    permissions=("root: write to cgroup v2 (cgroup.kill, cgroup.procs)",),
    blast_radius="Whatever the agent was doing is lost; files that it was writing stay half-written.",
    reversibility=Reversibility.NONE,
    undo="Nothing brings an ended process back: its owner must start the agent again.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.cgroup.kill_tree cgroup:/system.slice/support-bot.service",
    destroys_evidence="memory, open files and environment of every process of the agent",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "kernel Documentation/admin-guide/cgroup-v2.rst, cgroup.kill"),
        Source("settle", Authority.OWN_SANDBOX, "providers/host/tests/test_a_freeze.py"),
    ),
)


def judge_ended(resource: Resource, state: State) -> Judgement:
    """Contained: nothing of the tree lives; where it is not closed, that does not prove "no copy left"."""
    wanted = tree.of(resource)
    if why := lost_exclusivity(state):
        return Judgement(Verdict.UNKNOWN, f"not the agent's alone: {why}", Grade.NONE)
    found = processes(state)
    if _is_left(wanted, state):
        return Judgement(Verdict.NOT_CONTAINED, f"{len(found)} processes of the agent still live")
    if why := _strays(state):
        return Judgement(Verdict.UNKNOWN, why, Grade.NONE)
    if limit := resource.params.get("limit"):
        return Judgement(Verdict.CONTAINED, f"nothing that is known of it runs, but {limit}", Grade.NONE)
    if wanted.hold:
        return Judgement(Verdict.CONTAINED, "populated 0, and nothing of the agent is left")
    return Judgement(Verdict.CONTAINED, "two scans found nothing of the agent left")


def _is_left(wanted: Tree, state: State) -> bool:
    return bool(processes(state)) or any(
        flag(state, path, "populated") for path in (wanted.hold, wanted.cgroup)
    )


def _strays(state: State) -> str:
    """Say which processes appeared since planning that may be copies; empty: none."""
    found = state.objects.get("strays")
    if not isinstance(found, list) or not found:
        return ""
    return (
        f"process {found[0]} is of its user and nobody else started it: it may be a copy that left its cgroup"
    )


def _end(wanted: Tree) -> None:
    """Gather, then kill; one that escapes for as long as we look must not keep the others alive."""
    try:
        hold.gather(wanted)
    except Denied:
        raise
    except ProviderError:
        hold.end(wanted)
        raise
    hold.end(wanted)


def ended(before: State, now: State) -> Reversal:
    """Say of each process that it cannot be brought back."""
    alive = processes(now)
    outcomes = {
        f"process:{name}": Outcome.ALREADY if name in alive else Outcome.ENDED for name in processes(before)
    }
    return Reversal(outcomes, "an ended process cannot be brought back: its owner must start the agent again")


class KillTree:
    """Gather once more, then cgroup.kill."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the members, the tree's own cgroup and its hold."""
        return read_tree(tree.of(resource), cgroup.find(), resource.params)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; the writes are idempotent
        """Kill the gathered tree; what appeared since the freeze is gathered first."""
        wanted = tree.of(resource)
        if why := lost_exclusivity(before):
            _end(membership.what_is_left(wanted, why))
            raise Denied(f"refused: {why}; the rest is ended")
        if not _is_left(wanted, before) and (why := _strays(before)):
            raise Denied(why)
        _end(wanted)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: populated 0 and nothing of the agent left."""
        return judge_ended(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Say what cannot be brought back; the hold goes where this step, and no freeze, made it."""
        wanted, found = tree.of(resource), ended(before, now)
        if not flag(now, wanted.hold, "exists") or flag(before, wanted.hold, "exists"):
            return found
        gone = hold.hierarchy_of(wanted).remove(wanted.hold)
        outcome = Outcome.RESTORED if gone else Outcome.DRIFTED
        return Reversal({**found.objects, f"cgroup:{wanted.hold}": outcome}, found.reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nobody left to try."""
        return None


ACTION_CLASSES = (KillTree,)
