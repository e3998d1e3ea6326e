"""``host.container.stop``: ends a container by its engine, so that the engine does not start it again."""

from __future__ import annotations

import time

from breakglass.errors import ProviderError, Transient
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
from breakglass_host.actions.container_pause import freeze
from breakglass_host.containers import reading
from breakglass_host.containers.engine import Engine
from breakglass_host.containers.facts import ENDED
from breakglass_host.containers.reading import GONE, Seen

SPEC = ActionSpec(
    name="host.container.stop",
    capability=Capability.STOP_WORKLOADS,
    summary="Kills every process of a container while it is frozen, by its engine and by its cgroup.",
    permissions=("root: podman kill, docker kill, docker stop", "root: write to cgroup v2 (cgroup.kill)"),
    blast_radius="Whatever the container was doing is lost. One made with --rm is only frozen.",
    reversibility=Reversibility.PARTIAL,
    undo="Starts it again by its engine if it ran: what it held in memory is lost.",
    # docker and podman restart what ends by itself at once; docker waits 100 ms and more between two tries.
    settle_s=2.0,
    best_grade=Grade.READ_BACK,
    example="host.container.stop podman:support-bot",
    destroys_evidence="memory, open files and environment of every process of the container",
    sources=(
        Source(
            "summary",
            Authority.REAL_SYSTEM,
            "providers/host/tests/test_s_containers.py: podman restarts what the kernel alone killed",
        ),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_containers.py: podman 4.3.1"),
        Source("settle", Authority.VENDOR_TEXT, "docs.docker.com: docker run, --restart: 100 ms, doubled"),
        Source("proof", Authority.UNVERIFIED, "docker: the same verbs, never run by this project"),
    ),
)
_KILL_S = 5.0
_END_S = 3.0
_NEVER = frozenset({"no", ""})


class StopContainer:
    """The engine's kill, since it remembers that the container was to end; then the kernel's."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what the name means now, by engine and kernel."""
        return reading.read(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - engines take no client token; ending twice is refused and harmless
        """End all of them; what may only be frozen is frozen.

        Raises:
            Transient: the engine does not answer, and it would start again what only the kernel ends.
        """
        engine, why = reading.named(resource).engine, reading.silence(before)
        errors = []
        for one in reading.seen_in(before):
            if is_over(one):
                continue
            freeze(one)
            if one.removes_itself:
                continue
            if why and one.restart not in _NEVER:
                errors.append(
                    f"{one.name} stays frozen: {why}; it would start it again if only the kernel ends it"
                )
                continue
            try:
                _end(engine, one, is_silent=bool(why))
            except ProviderError as error:
                errors.append(error.what)
        if errors:
            raise Transient(errors[0][:500])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: no process is left, and the engine says itself that it ended."""
        said = []
        for one in reading.seen_in(state):
            label = f"{one.name} ({one.id[:12]})"
            if one.removes_itself and one.lives and one.is_frozen:
                said.append(f"{label} frozen: made with --rm, ending it would delete its file system")
            elif one.lives:
                how = "is frozen and not ended" if one.is_frozen else "runs"
                return Judgement(Verdict.NOT_CONTAINED, f"{label} {how}: its engine says {one.status}")
            elif not is_over(one):
                why = reading.silence(state) or f"its engine says {one.status}"
                return Judgement(Verdict.UNKNOWN, f"{label} has no process, but {why}", Grade.NONE)
            else:
                said.append(f"{label} {one.status}, no process is left")
        if why := reading.silence(state):
            return Judgement(Verdict.UNKNOWN, f"{why}: one made again under the name is not seen", Grade.NONE)
        words = "; ".join(said)[:400] or "there is no such container any more"
        if limit := resource.params.get("limit"):
            return Judgement(Verdict.CONTAINED, f"{words}, but {limit}"[:500], Grade.NONE)
        return Judgement(Verdict.CONTAINED, words)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Start again what ran before the stop and has ended since."""
        engine = reading.named(resource).engine
        present = {one.id: one for one in reading.seen_in(now)}
        outcomes = {
            f"container:{one.id}": _start(engine, one, present.get(one.id)) for one in reading.seen_in(before)
        }
        return Reversal(outcomes, "started again by its engine; what it held in memory is lost")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nobody left to try."""
        return None


def is_over(one: Seen) -> bool:
    """Return True where nothing lives, and the engine says so too, or knows no such container."""
    return not one.lives and one.status in ENDED | {GONE}


def _end(engine: Engine, one: Seen, *, is_silent: bool) -> None:
    """Kill by the engine, then by the kernel what is left, and wait until it is noticed.

    Raises:
        ProviderError: the engine refused or did not answer, and something of it lives.
    """
    hierarchy, words = cgroup.writable(), ""
    if not is_silent:
        # A container between two restarts has nothing to kill: `stop` takes it out of its loop.
        verb = ("kill", "--signal", "KILL") if one.status != "restarting" else ("stop", "--time", "0")
        try:
            engine.order(*verb, one.id, timeout_s=_KILL_S)
        except ProviderError as error:
            words = error.what
    if hierarchy is not None and one.cgroup and (not words or one.restart in _NEVER):
        reading.refuse_own(one.cgroup)
        hierarchy.kill(one.cgroup)
        until = time.monotonic() + _END_S
        hierarchy.await_events(one.cgroup, within_s=until - time.monotonic(), frozen=False)
    if words:
        raise ProviderError(words)


def _start(engine: Engine, before: Seen, now: Seen | None) -> Outcome:
    """Start one again, as it was: paused where it had been paused."""
    if not before.lives or now is None:
        return Outcome.ALREADY if not before.lives else Outcome.CANNOT
    if now.lives:
        return Outcome.ALREADY
    if now.status == GONE:
        return Outcome.CANNOT
    if now.unit:
        return Outcome.ENDED
    hierarchy = cgroup.writable()
    if hierarchy is not None and now.cgroup:
        hierarchy.freeze(now.cgroup, on=False)  # an empty one that is still there would freeze the new start
    engine.order("start", now.id)
    if before.status == "paused":
        engine.order("pause", now.id)
    return Outcome.RESTORED


ACTION_CLASSES = (StopContainer,)
