"""A call whose answer was lost is not made again before the world was read again: stop and restore."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.errors import InDoubt, Unsettled
from breakglass.execute.engine import Ports, execute
from breakglass.journal.history import StepHistory, replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.action import ActionSpec, Judgement, Verdict
from breakglass.model.plan import Pin, Plan
from breakglass.model.resource import Resource, State
from breakglass.plan.restore import RestoreHeader, build_restore
from breakglass.provider import Action, Reversal
from breakglass.testing.fake_cloud import SPEC, DeactivateKeys, FakeCloud, FakeProvider
from breakglass.testing.virtual import VirtualClock
from breakglass.verify.judge import assess
from tests.engine.worlds import NOON, Run, authorised, plan_for

CLOCK = SystemClock()


@dataclass(frozen=True, slots=True)
class CutKeys:
    """The fake action over a connection that is cut after, or before, each verb's first change."""

    inner: DeactivateKeys
    is_done: bool
    times: int = 1
    cuts: list[str] = field(default_factory=list)

    @property
    def spec(self) -> ActionSpec:
        """Return the same as the inner action."""
        return SPEC

    def observe(self, resource: Resource) -> State:
        """Pass on."""
        return self.inner.observe(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Lose the first answers."""
        if self.cuts.count("apply") >= self.times or self.is_done:
            self.inner.apply(resource, before, token)
        self._cut("apply")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Pass on."""
        return self.inner.judge(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Lose the first answers."""
        if self.cuts.count("revert") >= self.times:
            return self.inner.revert(resource, before, now)
        if self.is_done:
            self.inner.revert(resource, before, now)
        self._cut("revert")
        raise AssertionError

    def probe(self, resource: Resource) -> Judgement | None:
        """Pass on."""
        return self.inner.probe(resource)

    def _cut(self, verb: str) -> None:
        if self.cuts.count(verb) < self.times:
            self.cuts.append(verb)
            raise InDoubt(f"the connection was cut during {verb}")


@dataclass(slots=True)
class LateKeys:
    """The fake cloud's action where a state that was read once says that something is still on its way."""

    inner: DeactivateKeys
    first: State | None = None
    read_late: State | None = None

    @property
    def spec(self) -> ActionSpec:
        """Pass on."""
        return self.inner.spec

    def observe(self, resource: Resource) -> State:
        """Pass on."""
        return self.inner.observe(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Refuse the first state that is given, however often it is given."""
        self.read_late = self.read_late or before
        if before is self.read_late:
            raise Unsettled("is another one by now")
        self.inner.apply(resource, before, token)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Pass on."""
        return self.inner.judge(resource, state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Refuse the first state that is given, however often it is given."""
        self.first = self.first or now
        if now is self.first:
            raise Unsettled("is still on its way")
        return self.inner.revert(resource, before, now)

    def probe(self, resource: Resource) -> Judgement | None:
        """Pass on."""
        return self.inner.probe(resource)


@dataclass(frozen=True, slots=True)
class CutProvider(FakeProvider):
    """A provider behind such a connection."""

    made: dict[str, Action] = field(default_factory=dict)

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the one action."""
        return self.made


def cut_world(*, is_done: bool, times: int = 1) -> tuple[FakeCloud, CutProvider]:
    """Return a cloud with one user, and its provider behind a connection that is cut."""
    cloud = FakeCloud(CLOCK, {"bot": {"key": True, "old": False}})
    return cloud, CutProvider(cloud, None, {SPEC.name: CutKeys(DeactivateKeys(cloud), is_done, times)})


def run(folder: Path, plan: Plan, provider: CutProvider, prior: dict[int, object] | None = None) -> object:
    """Execute with a real journal; return what the journal says."""
    folder.mkdir()
    journal = Journal.create(folder / "journal.jsonl", CLOCK)
    ports = Ports(CLOCK, journal, lambda _event: None, lambda: False, random.Random(1))
    try:
        execute(authorised(plan), {0: provider}, ports, prior=prior)  # type: ignore[arg-type]  # JSON objects
    finally:
        journal.close()
    return replay(read_journal(folder / "journal.jsonl").records)


def verbs(cloud: FakeCloud) -> list[str]:
    """Return what reached the cloud, without the proofs, and take it away."""
    found = [verb for verb, _, _ in cloud.calls if verb != "probe"]
    cloud.calls.clear()
    return found


def stop_and_restore(
    folder: Path, *, is_done: bool, times: int = 1
) -> tuple[FakeCloud, list[str], list[str]]:
    """Stop and restore with so many cuts in each; return the calls of both."""
    cloud, provider = cut_world(is_done=is_done, times=times)
    return (cloud, *carried_out(folder, cloud, provider))


def carried_out(folder: Path, cloud: FakeCloud, provider: CutProvider) -> tuple[list[str], list[str]]:
    """Stop and restore; return the calls of both."""
    plan = plan_for(provider)
    cloud.calls.clear()
    histories: dict[int, StepHistory] = run(folder / "stop", plan, provider)  # type: ignore[assignment]  # what replay gives
    assert Verdict.CONTAINED is assess(plan, histories).verdict
    assert not cloud.accepts("bot")
    stopped = verbs(cloud)
    header = RestoreHeader(
        "pln-2", "fixed", "alice", NOON, NOON.plus(900), "B" * 22 + "==", Pin("roster", 1, "0" * 64), "0" * 64
    )
    restore, undone = build_restore(plan, histories, header)
    prior: dict[int, object] = {n: histories[of].prior for n, of in enumerate(undone)}
    restored: dict[int, StepHistory] = run(folder / "restore", restore, provider, prior)  # type: ignore[assignment]  # the same
    assert Verdict.CONTAINED is assess(restore, restored).verdict
    return stopped, verbs(cloud)


def test_a_change_that_was_made_and_not_answered_is_read_and_not_made_twice(tmp_path: Path) -> None:
    """After the cut the next call is a read; it finds the change made."""
    cloud, stopped, restored = stop_and_restore(tmp_path, is_done=True)

    assert ["observe", "apply", "observe"] == stopped[:3]
    assert 1 == stopped.count("apply")
    assert ["observe", "revert", "observe", "revert"] == restored
    assert {"bot": {"key": True, "old": False}} == cloud.users


def test_a_change_that_was_not_made_is_made_after_a_new_read(tmp_path: Path) -> None:
    """After the cut the next call is a read; it finds that nothing was done."""
    cloud, stopped, restored = stop_and_restore(tmp_path, is_done=False)

    assert ["observe", "observe", "apply", "observe"] == stopped[:4]
    assert "observe" == restored[0]
    assert ["observe", "observe", "revert"] == restored[:3]
    assert {"bot": {"key": True, "old": False}} == cloud.users


def test_an_undo_that_is_cut_again_and_again_goes_on_for_as_long_as_it_has_time(tmp_path: Path) -> None:
    """Cuts count against the step's deadline, never against the rounds in which the world kept changing."""
    cloud, _, restored = stop_and_restore(tmp_path, is_done=False, times=8)

    assert ["observe"] * 9 + ["revert", "observe", "revert"] == restored
    assert {"bot": {"key": True, "old": False}} == cloud.users


def test_an_undo_that_waits_for_what_is_on_its_way_reads_again_before_it_tries_again(tmp_path: Path) -> None:
    """What it was told before would be the same for ever."""
    cloud, _ = cut_world(is_done=True)
    provider = CutProvider(cloud, None, {SPEC.name: LateKeys(DeactivateKeys(cloud))})

    _, restored = carried_out(tmp_path, cloud, provider)

    assert ["observe", "observe", "revert"] == restored[:3]
    assert cloud.accepts("bot")


def test_a_change_that_finds_something_else_than_was_read_reads_again_at_once() -> None:
    """An agent that swaps a file after it was read was left alone until the step's time ended."""
    clock = VirtualClock(NOON)
    cloud = FakeCloud(clock, {"bot": {"key": True}})
    provider = CutProvider(cloud, None, {SPEC.name: LateKeys(DeactivateKeys(cloud))})
    going = Run(clock, provider, plan_for(provider), seed=1)
    cloud.calls.clear()
    began_s = clock.monotonic_s()

    assert going.process()
    assert Verdict.CONTAINED is assess(going.plan, going.histories()).verdict
    assert ["observe", "observe", "apply"] == verbs(cloud)[:3]
    assert clock.monotonic_s() - began_s < 10 + max(step.settle_ms for step in going.plan.steps) / 1000
