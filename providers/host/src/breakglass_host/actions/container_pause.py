"""``host.container.pause``: freezes a container by its cgroup, or pauses it by its own engine."""

from __future__ import annotations

import contextlib

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
from breakglass_host import cgroup
from breakglass_host.containers import reading
from breakglass_host.containers.engine import Engine
from breakglass_host.containers.facts import ENDED
from breakglass_host.containers.reading import GONE, UNKNOWN, Seen

SPEC = ActionSpec(
    name="host.container.pause",
    capability=Capability.STOP_WORKLOADS,
    summary="Freezes every process of a container at once by its cgroup, or by its engine where it has none.",
    permissions=("root: write to cgroup v2 (cgroup.freeze)", "root: podman pause, docker pause"),
    blast_radius="Whoever waits for the container waits; locks that it holds stay held.",
    reversibility=Reversibility.FULL,
    undo="Lets it go on by its engine and thaws its cgroup, unless it was paused before.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.container.pause podman:support-bot",
    sources=(
        Source(
            "proof",
            Authority.VENDOR_TEXT,
            "kernel Documentation/admin-guide/cgroup-v2.rst, cgroup.events frozen",
        ),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_containers.py: podman 4.3.1"),
        Source("undo", Authority.UNVERIFIED, "docker, and the engine's own pause: never run by this project"),
    ),
)
_PAUSE_S = 3.0
_FREEZE_S = 0.5


class PauseContainer:
    """The kernel, with one write, however long the engine thinks; the engine where the kernel has no means.

    Not both: runc(8) takes a container that is frozen already for a paused one, and refuses.
    """

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what the name means now, by engine and kernel."""
        return reading.read(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - engines take no client token; pausing twice is refused and harmless
        """Freeze all of them; ask the engine about those that the kernel did not freeze.

        Raises:
            ProviderError: neither the kernel nor the engine stopped one of them.
        """
        engine = reading.named(resource).engine
        for one in reading.seen_in(before):
            freeze(one)
        if reading.silence(before):
            return
        refused = [words for one in reading.seen_in(before) if (words := _pause(engine, one))]
        if refused:
            raise ProviderError(refused[0])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: each container that the name means is frozen, or nothing of it runs."""
        said = []
        for one in reading.seen_in(state):
            label = f"{one.name} ({one.id[:12]})"
            if one.status == UNKNOWN and not one.cgroup:
                why = f"{label}: {reading.silence(state)}, and it has no cgroup of its own"
                return Judgement(Verdict.UNKNOWN, why, Grade.NONE)
            if one.lives and not one.is_frozen:
                return Judgement(Verdict.NOT_CONTAINED, f"{label} runs: its engine says {one.status}")
            if not one.lives and (one.status not in ENDED | {GONE, UNKNOWN, "paused"} or _may_return(one)):
                # Between two starts: one that restarts itself has no process for a moment.
                why = f"{label} has no process, but is {one.status} with restart policy {one.restart}"
                return Judgement(Verdict.UNKNOWN, why, Grade.NONE)
            said.append(f"{label} {'frozen' if one.lives else 'has no process'}")
        if why := reading.silence(state):
            said.append(f"the engine does not answer ({why}), the kernel does")
        return _limited(resource, "; ".join(said) or "there is no such container any more")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Let go on what ran before, and is still only paused."""
        engine = reading.named(resource).engine
        prior = {one.id: one for one in reading.seen_in(before)}
        outcomes = {
            f"container:{one.id}": _go_on(engine, prior[one.id], one)
            for one in reading.seen_in(now)
            if one.id in prior
        }
        ended = sum(1 for outcome in outcomes.values() if outcome is Outcome.ENDED)
        return Reversal(outcomes, f"{ended} have ended" if ended else "goes on")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: a frozen process cannot be asked to try."""
        return None


def freeze(one: Seen) -> None:
    """Freeze by the kernel alone; does nothing where it has no cgroup of its own, or we may not write.

    Raises:
        Denied: the executor lives in it, or the kernel refuses.
    """
    hierarchy = cgroup.writable()
    if hierarchy is None or not one.cgroup or not one.populated:
        return
    reading.refuse_own(one.cgroup)
    try:
        hierarchy.freeze(one.cgroup, on=True)
    except OSError as error:
        raise Denied(f"the kernel refused to freeze {one.cgroup}: {error}") from error
    hierarchy.await_events(one.cgroup, within_s=_FREEZE_S, frozen=True)


def _may_return(one: Seen) -> bool:
    return one.status in ENDED and one.restart not in ("no", "")


def _pause(engine: Engine, one: Seen) -> str:
    """Ask the engine where the kernel froze nothing; return what it said against it."""
    hierarchy = cgroup.find()
    now = hierarchy.events(one.cgroup) if hierarchy is not None and one.cgroup else None
    is_held = now is not None and (now.frozen or not now.populated)
    if is_held or one.status not in ("running", "stopping", "restarting"):
        return ""
    try:
        engine.order("pause", one.id, timeout_s=_PAUSE_S)
    except ProviderError as error:
        return error.what
    return ""


def _go_on(engine: Engine, before: Seen, now: Seen) -> Outcome:
    """Undo the pause of one container; the engine first: it thaws the cgroup itself."""
    if not now.lives:
        return Outcome.ENDED if before.lives else Outcome.ALREADY
    if before.status == "paused" or before.freeze or not before.lives:
        return Outcome.ALREADY
    is_ours = now.status == "paused" or now.freeze
    if now.status == "paused":
        engine.order("unpause", now.id)
    hierarchy = cgroup.find()
    if hierarchy is not None and now.cgroup and hierarchy.is_set_to_freeze(now.cgroup):
        with contextlib.suppress(OSError):
            hierarchy.freeze(now.cgroup, on=False)
        if hierarchy.is_set_to_freeze(now.cgroup):
            return Outcome.CANNOT
    return Outcome.RESTORED if is_ours else Outcome.ALREADY


def _limited(resource: Resource, said: str) -> Judgement:
    """Say contained, with the grade that the container's own powers leave."""
    if limit := resource.params.get("limit"):
        return Judgement(Verdict.CONTAINED, f"{said}, but {limit}"[:500], Grade.NONE)
    return Judgement(Verdict.CONTAINED, said[:500])


ACTION_CLASSES = (PauseContainer,)
