"""The engine on real threads and the real journal: hangs, cancels, back-off, restore."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.execute.engine import Ports, execute
from breakglass.journal.history import StepHistory, replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.action import ActionSpec, Verdict
from breakglass.model.plan import Pin, Plan, Verb
from breakglass.model.resource import Resource, State
from breakglass.plan.restore import RestoreHeader, build_restore
from breakglass.provider import Action, Budget, Provider
from breakglass.testing.fake_cloud import SPEC, DeactivateKeys, FakeCloud, FakeProvider, Faults
from breakglass.verify.judge import assess
from tests.engine.worlds import NOON, authorised, plan_for

CLOCK = SystemClock()


def cloud(users: int = 3, **vices: object) -> FakeCloud:
    """Return a cloud on the real clock."""
    keys = {f"bot-{n}": {f"key-{n}": True, f"old-{n}": False} for n in range(users)}
    return FakeCloud(CLOCK, keys, **vices)  # type: ignore[arg-type]  # the vices are FakeCloud's own fields


def quick(plan: Plan, *, settle_ms: int = 50, deadline_ms: int = 3000) -> Plan:
    """Return the plan with times that a test can wait for."""
    steps = tuple(replace(step, settle_ms=settle_ms, deadline_ms=deadline_ms) for step in plan.steps)
    return replace(plan, steps=steps)


def run(
    folder: Path,
    plan: Plan,
    provider: Provider,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    prior: dict[int, object] | None = None,
) -> tuple[bool, dict[int, StepHistory]]:
    """Execute with a real journal; return whether it ended, and what the journal says."""
    path = folder / "journal.jsonl"
    journal = Journal.create(path, CLOCK)
    ports = Ports(CLOCK, journal, lambda _event: None, cancelled, random.Random(1))
    try:
        done = execute(authorised(plan), {0: provider}, ports, prior=prior)  # type: ignore[arg-type]  # JSON objects
    finally:
        journal.close()
    return done, replay(read_journal(path).records)


def test_a_stop_on_threads_is_recorded_and_proven(tmp_path: Path) -> None:
    """Every step has its instants, in order, in a journal that reads back."""
    provider = FakeProvider(cloud(20))
    plan = quick(plan_for(provider))

    done, histories = run(tmp_path, plan, provider)

    assert done
    assert assess(plan, histories).verdict is Verdict.CONTAINED
    for history in histories.values():
        instants = [history.requested, history.accepted, history.read_back, history.proven]
        assert None not in instants
        assert sorted(instants) == instants  # type: ignore[type-var]  # none of them is None


@dataclass(frozen=True, slots=True)
class HangingKeys:
    """The fake action, whose call for one user never returns until it is released."""

    inner: DeactivateKeys
    release: threading.Event

    @property
    def spec(self) -> ActionSpec:
        """Return the same as the inner action."""
        return SPEC

    def __getattr__(self, name: str) -> object:
        """Pass every other verb on."""
        return getattr(self.inner, name)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Hang for bot-0."""
        if resource.id == "bot-0":
            self.release.wait(30)
        self.inner.apply(resource, before, token)


@dataclass(frozen=True, slots=True)
class HangingProvider(FakeProvider):
    """A provider whose calls may hang."""

    release: threading.Event = field(default_factory=threading.Event)

    @property
    def actions(self) -> dict[str, Action]:
        """Return the hanging action."""
        return {SPEC.name: HangingKeys(DeactivateKeys(self.cloud), self.release)}  # type: ignore[dict-item]  # __getattr__ passes the verbs on


def test_a_call_that_never_returns_is_unknown_and_stops_no_other(tmp_path: Path) -> None:
    """The hung step ends unknown at its deadline; the others are proven; the late answer writes nothing."""
    world = cloud(3)
    plan = quick(plan_for(FakeProvider(world)), deadline_ms=500)
    provider = HangingProvider(world)

    done, histories = run(tmp_path, plan, provider)
    provider.release.set()
    time.sleep(0.2)

    assert done
    assert [Verdict.UNKNOWN, Verdict.CONTAINED, Verdict.CONTAINED] == [histories[n].verdict for n in range(3)]
    assert assess(plan, histories).verdict is Verdict.UNKNOWN
    assert histories == replay(read_journal(tmp_path / "journal.jsonl").records)


def test_a_cancel_settles_the_running_calls_and_leaves_the_rest_for_resume(tmp_path: Path) -> None:
    """After Ctrl-C no step is closed, and none is half recorded."""
    world = cloud(4, lag_s=0.3)
    plan = quick(plan_for(FakeProvider(world)), settle_ms=2000, deadline_ms=9000)
    started = time.monotonic()

    done, histories = run(
        tmp_path, plan, FakeProvider(world), cancelled=lambda: time.monotonic() - started > 0.2
    )

    assert not done
    assert time.monotonic() - started < 8
    assert not any(history.closed or history.in_doubt for history in histories.values())


def test_the_rate_budget_is_the_limit_and_not_the_threads(tmp_path: Path) -> None:
    """Twenty steps of at least four calls at 200 a second take at least 0.3 s."""
    provider = FakeProvider(cloud(20), rate=Budget(per_s=200, burst=10))
    plan = quick(plan_for(provider), settle_ms=0)
    provider.cloud.calls.clear()
    started = time.monotonic()

    run(tmp_path, plan, provider)

    took_s = time.monotonic() - started
    assert len(provider.cloud.calls) <= 200 * took_s + 11


def restore_header() -> RestoreHeader:
    """Return the header of a restore."""
    pin = Pin("roster", 1, "0" * 64)
    return RestoreHeader("pln-2", "fixed", "alice", NOON, NOON.plus(900), "B" * 22 + "==", pin, "0" * 64)


def test_restore_puts_back_what_was_on_and_nothing_that_was_off(tmp_path: Path) -> None:
    """Undo never revives a key that was off before the stop."""
    world = cloud(3)
    before = {user: dict(keys) for user, keys in world.users.items()}
    plan = quick(plan_for(FakeProvider(world)))
    (tmp_path / "stop").mkdir()
    _, histories = run(tmp_path / "stop", plan, FakeProvider(world))

    restore, undone = build_restore(plan, histories, restore_header())
    prior = {n: histories[of].prior for n, of in enumerate(undone)}
    (tmp_path / "restore").mkdir()
    run(tmp_path / "restore", restore, FakeProvider(world), prior=prior)  # type: ignore[arg-type]  # JSON objects

    assert Verb.RESTORE is restore.verb
    assert before == world.users


def test_restore_leaves_alone_what_drifted_and_says_so(tmp_path: Path) -> None:
    """A key that somebody deleted since is not made again."""
    world = cloud(2)
    plan = quick(plan_for(FakeProvider(world)))
    (tmp_path / "stop").mkdir()
    _, histories = run(tmp_path / "stop", plan, FakeProvider(world))
    del world.users["bot-1"]["key-1"]
    world.set_key("bot-1", "old-1", active=False)

    restore, undone = build_restore(plan, histories, restore_header())
    (tmp_path / "restore").mkdir()
    prior = {n: histories[of].prior for n, of in enumerate(undone)}
    _, restored = run(tmp_path / "restore", restore, FakeProvider(world), prior=prior)  # type: ignore[arg-type]  # JSON objects

    assert assess(restore, restored).verdict is Verdict.NOT_CONTAINED
    assert {"bot-0": {"key-0": True, "old-0": False}, "bot-1": {"old-1": False}} == world.users


def test_a_throttled_cloud_slows_the_stop_and_does_not_break_it(tmp_path: Path) -> None:
    """Back-off with the platform's own hint, until every step is proven."""
    world = cloud(3, faults=Faults(throttled=0.3, transient=0.2))
    quiet, world.faults = world.faults, Faults()
    plan = quick(plan_for(FakeProvider(world)), deadline_ms=20_000)
    world.faults = quiet

    _, histories = run(tmp_path, plan, FakeProvider(world))

    assert assess(plan, histories).verdict is Verdict.CONTAINED
