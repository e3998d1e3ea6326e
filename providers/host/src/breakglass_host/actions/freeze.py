"""``host.cgroup.freeze_tree``: freezes the agent's whole process tree at once, reversibly."""

from __future__ import annotations

from breakglass.canon import Json, JsonObject
from breakglass.clock import Clock
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
from breakglass_host import cgroup, exclusive, hold, membership, procfs, tree
from breakglass_host.cgroup import Hierarchy
from breakglass_host.tree import Tree

SPEC = ActionSpec(
    name="host.cgroup.freeze_tree",
    capability=Capability.STOP_WORKLOADS,
    summary="Freezes every process of the agent at once, in a cgroup that only root can thaw.",
    permissions=("root: write to cgroup v2 (cgroup.freeze, cgroup.procs)",),
    blast_radius="Whoever waits for the agent's processes waits; locks that they hold stay held.",
    reversibility=Reversibility.FULL,
    undo="Moves the processes that still live back to their cgroups and thaws them.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.cgroup.freeze_tree cgroup:/system.slice/support-bot.service",
    sources=(
        Source(
            "proof",
            Authority.VENDOR_TEXT,
            "kernel Documentation/admin-guide/cgroup-v2.rst, cgroup.events frozen",
        ),
        Source("settle", Authority.OWN_SANDBOX, "providers/host/tests/test_a_freeze.py"),
    ),
)
ENDING_S, LOOK_S = 1.0, 0.02


def read_tree(wanted: Tree, hierarchy: Hierarchy | None, params: JsonObject | None = None) -> State:
    """Read the members, the tree's own cgroup and its hold; with the signed parameters, also its strays."""
    seen = membership.look(wanted)
    objects: dict[str, Json] = {}
    inside: dict[int, str] = {}
    if hierarchy is not None:
        for path in dict.fromkeys((wanted.cgroup, wanted.hold)):
            if path:
                objects[f"cgroup:{path}"] = read_cgroup(hierarchy, path)
                inside |= hierarchy.places(path)
    for one in seen.members:
        own = inside.get(one.pid)
        if one.headless or own is None:
            own = procfs.cgroup_of(one)
        objects[f"process:{one.id}"] = {"name": one.name, "cgroup": own or "", "state": one.state}
    if shared := shared_now(wanted, hierarchy, seen.table):
        objects["shared"] = list(shared)
    if strays := _strays(wanted, seen, params or {}):
        objects["strays"] = strays
    if seen.torn:
        return State(objects, complete=False, note="processes come and go faster than /proc can be read")
    return State(objects, complete=1 in seen.table or wanted.pidns != 0, note="process 1 is hidden")


def _strays(wanted: Tree, seen: membership.Seen, params: JsonObject) -> list[Json]:
    """Return what may have left the cgroup since planning, where nothing but the cgroup is named."""
    users, known = params.get("users"), params.get("strays")
    if wanted.uid is not None or not isinstance(users, list) or not isinstance(known, list):
        return []
    theirs = {one for one in users if isinstance(one, int)}
    found = exclusive.orphans(theirs, {one.pid for one in seen.members}, seen.table)
    new: list[Json] = [one.id for one in found if one.id not in known]
    return new[:20]


def shared_now(wanted: Tree, hierarchy: Hierarchy | None, table: procfs.Table) -> tuple[str, ...]:
    """Ask again, when running, whether the tree is still the agent's alone."""
    found: tuple[str, ...] = ()
    if wanted.cgroup:
        found += exclusive.cgroup_is_shared(hierarchy, wanted, table)
    return (
        found + exclusive.uid_is_shared(hierarchy, wanted, table) + exclusive.root_is_protected(wanted, table)
    )


def read_cgroup(hierarchy: Hierarchy, path: str) -> Json:
    """Return what can be put back of a cgroup, and what proves that it is frozen."""
    now = hierarchy.events(path)
    if now is None:
        return {"exists": False, "freeze": False, "frozen": False, "populated": False}
    return {
        "exists": True,
        "freeze": hierarchy.is_set_to_freeze(path),
        "frozen": now.frozen,
        "populated": now.populated and not _only_our_probe(hierarchy, path),
    }


def _only_our_probe(hierarchy: Hierarchy, path: str) -> bool:
    """Return True while nothing but a probe is in it; an empty list may be a process too quick to list."""
    inside = hierarchy.pids(path)
    return bool(inside) and inside <= exclusive.probe_pids(hierarchy, path)


def flag(state: State, path: str, key: str) -> bool:
    """Return one flag of a cgroup in a state."""
    found = state.objects.get(f"cgroup:{path}")
    return isinstance(found, dict) and found.get(key) is True


def processes(state: State) -> dict[str, str]:
    """Return the cgroup of each process in a state, by ``PID@START``."""
    return {
        key.removeprefix("process:"): str(value.get("cgroup", ""))
        for key, value in state.objects.items()
        if key.startswith("process:") and isinstance(value, dict)
    }


def lost_exclusivity(state: State) -> str:
    """Return why the tree is not the agent's alone any more; empty: it still is."""
    found = state.objects.get("shared")
    return str(found[0]) if isinstance(found, list) and found else ""


class FreezeTree:
    """Freeze, list, move, list again."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the members, the tree's own cgroup and its hold."""
        return read_tree(tree.of(resource), cgroup.find())

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the kernel takes no client token; the writes are idempotent
        """Freeze and gather; what is not the agent's alone any more is left out, and then refused."""
        wanted = tree.of(resource)
        if why := lost_exclusivity(before):
            hold.gather(membership.what_is_left(wanted, why))
            raise Denied(f"refused: {why}; the rest is frozen")
        hold.gather(wanted)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: the hold is frozen and no member is outside of it, or nothing of the tree runs."""
        wanted = tree.of(resource)
        if why := lost_exclusivity(state):
            return Judgement(Verdict.UNKNOWN, f"not the agent's alone: {why}", Grade.NONE)
        found = processes(state)
        strays = [one for one, path in found.items() if not cgroup.is_at_or_below(path, wanted.hold)]
        if strays or (wanted.cgroup and flag(state, wanted.cgroup, "populated")):
            return Judgement(Verdict.NOT_CONTAINED, f"{len(strays)} of {len(found)} processes are not frozen")
        if not found and not flag(state, wanted.hold, "populated"):
            return Judgement(Verdict.CONTAINED, "nothing of the tree runs")
        if not flag(state, wanted.hold, "frozen"):
            return Judgement(Verdict.NOT_CONTAINED, "the kernel has not frozen all of them yet")
        return Judgement(Verdict.CONTAINED, f"{len(found)} processes frozen, cgroup.events says frozen 1")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Move those that live back to where they were, thaw, and remove the hold."""
        wanted = tree.of(resource)
        hierarchy = hold.hierarchy_of(wanted)
        outcomes = {
            f"process:{name}": _put_back(hierarchy, wanted, name, path, processes(now))
            for name, path in processes(before).items()
        }
        if wanted.cgroup:
            outcomes[f"cgroup:{wanted.cgroup}"] = _thaw(hierarchy, wanted, before, now)
        was_there = flag(now, wanted.hold, "exists")
        gone = _removed(hierarchy, wanted.hold, self._connection.clock)
        outcomes[f"cgroup:{wanted.hold}"] = (
            (Outcome.RESTORED if was_there else Outcome.ALREADY) if gone else Outcome.DRIFTED
        )
        ended = sum(1 for outcome in outcomes.values() if outcome is Outcome.ENDED)
        reason = f"{ended} processes have ended: their owner must start them again" if ended else "thawed"
        return Reversal(outcomes, reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: a frozen process cannot be asked to try."""
        return None


def _removed(hierarchy: Hierarchy, path: str, clock: Clock) -> bool:
    """Remove the hold: a process that is ending keeps it for an instant; False: something lives in it."""
    until_s = clock.monotonic_s() + ENDING_S
    while not hierarchy.remove(path):
        if clock.monotonic_s() >= until_s:
            return False
        clock.sleep(LOOK_S)
    return True


def _put_back(hierarchy: Hierarchy, wanted: Tree, name: str, path: str, now: dict[str, str]) -> Outcome:
    """Move one process that the stop gathered back to its first cgroup."""
    if name not in now:
        return Outcome.ENDED
    if not cgroup.is_at_or_below(now[name], wanted.hold):
        return Outcome.ALREADY
    pid, top = int(name.partition("@")[0]), wanted.cgroup or "/"
    # A cgroup of its own below may be gone since, or take no processes any more: then the one above.
    for back in (top if cgroup.is_at_or_below(path, wanted.hold) else path, top):
        try:
            if hierarchy.move(pid, back):
                return Outcome.RESTORED
        except OSError:
            continue
    return Outcome.DRIFTED


def _thaw(hierarchy: Hierarchy, wanted: Tree, before: State, now: State) -> Outcome:
    """Thaw the agent's own cgroup unless it was frozen before the stop."""
    path = wanted.cgroup
    if not flag(now, path, "exists"):
        if wanted.is_unit:
            return Outcome.ENDED  # systemd removes the cgroup of a unit that ended, and makes it at a start
        return Outcome.DRIFTED if flag(before, path, "exists") else Outcome.ALREADY
    if flag(before, path, "freeze") or not flag(now, path, "freeze"):
        return Outcome.ALREADY
    return Outcome.RESTORED if hierarchy.freeze(path, on=False) else Outcome.DRIFTED


ACTION_CLASSES = (FreezeTree,)
