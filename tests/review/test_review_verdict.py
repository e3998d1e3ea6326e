"""A wrong "contained" is the worst thing that the program can say: ways in which it once could."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from breakglass.canon import sha256
from breakglass.clock import SystemClock
from breakglass.errors import Denied
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import Moment, StepHistory
from breakglass.model.action import ActionSpec, Capability, Grade, Verdict
from breakglass.model.plan import Pin, Plan, TwoPersonRule
from breakglass.model.resource import Resource
from breakglass.plan.builder import Header, build
from breakglass.plan.findings import Findings, ReachFindings, observations
from breakglass.provider import Discovery, Proposal
from breakglass.testing.fake_cloud import SPEC, FakeCloud, FakeProvider
from breakglass.testing.memory_journal import MemoryJournal
from breakglass.usecases.judgement import judge
from breakglass.usecases.look_again import look_again
from breakglass.verify.judge import assess
from tests.engine.worlds import NOON, plan_for, runbook, world

CLOCK = SystemClock()
SNAPSHOT = replace(SPEC, name="fake.logs.copy", capability=Capability.SNAPSHOT_LOGS)


def proven(n: int) -> StepHistory:
    """Return a step that ended with the strongest proof."""
    return StepHistory(n, closed=True, verdict=Verdict.CONTAINED, grade=Grade.REFUSED_AS_AGENT)


def plan_of(*reaches: ReachFindings) -> Plan:
    """Build the plan of a stop from what was found."""
    header = Header(
        org="example.com", plan_id="pln-1", incident="inc-1", agent="support-bot", reason="r",
        requested_by="alice", issued_at=NOON, detection=None, kit=Pin("kit", 1, "0" * 64),
        roster=Pin("roster", 1, "0" * 64), executors=("ops-1",),
        two_person_rule=TwoPersonRule.ADVISORY, nonce="AAAAAAAAAAAAAAAAAAAAAA==",
        expires=NOON.plus(1800), max_run_s=600, drill=True,
    )  # fmt: skip
    return build(header, Findings(reaches, ()), runbook(), ())[0]


def reach(*specs: ActionSpec, scope: str = "fake cloud") -> ReachFindings:
    """Return a reach in which one step of each action was proposed."""
    target = Resource("user", "bot", "bot", {})
    proposals = tuple(Proposal(spec.name, spec.name, target) for spec in specs)
    return ReachFindings(
        "fake", "fake 1", {}, Discovery(scope, (), proposals), {s.name: s for s in specs}, {}
    )


def test_a_plan_without_a_step_is_never_contained() -> None:
    """A discovery that returns nothing, a misspelt cgroup for example, stops nothing."""
    plan = plan_of(reach())

    assert () == plan.steps
    assert Verdict.UNKNOWN is assess(plan, {}).verdict
    assert Verdict.UNKNOWN is assess(replace(plan, doors=()), {}).verdict


def test_a_plan_that_only_keeps_evidence_is_never_contained() -> None:
    """Copies of logs stop nobody, however well they are proven."""
    plan = plan_of(reach(SNAPSHOT))

    assert Verdict.UNKNOWN is assess(plan, {0: proven(0)}).verdict
    assert Verdict.UNKNOWN is assess(replace(plan, doors=()), {0: proven(0)}).verdict


def test_a_reach_in_which_nothing_was_found_stays_open_beside_one_that_was_stopped() -> None:
    """The inventory says that the agent acts there; an empty answer does not say that it does not."""
    plan = plan_of(reach(SPEC), reach(scope="other cloud"))

    found = assess(plan, {0: proven(0)})

    assert Verdict.UNKNOWN is found.verdict
    assert ["fake other cloud"] == [item.name for item in found.open]


def test_a_run_that_has_not_ended_is_not_contained_although_every_step_is_proven() -> None:
    """After Ctrl-C or a crash nobody looked again for what had appeared, and nothing was sealed."""
    run = world(1)
    run.process()
    assert run.journal is not None
    records = run.journal.records
    assert Verdict.CONTAINED is judge(run.plan, records, ending=True).verdict

    assert Verdict.UNKNOWN is judge(run.plan, records).verdict
    run.journal.append("run.interrupted", {"reason": "cancelled by the operator"})
    assert Verdict.UNKNOWN is judge(run.plan, records).verdict
    run.journal.append("run.sealed", {"verdict": "contained", "open": []})
    assert Verdict.CONTAINED is judge(run.plan, records).verdict


def test_a_verdict_never_gets_better_after_it_was_sealed() -> None:
    """What was sealed as unknown is unknown to whoever computes it again."""
    run = world(1)
    run.process()
    assert run.journal is not None
    run.journal.append("run.sealed", {"verdict": "unknown", "open": []})

    assert Verdict.UNKNOWN is judge(run.plan, run.journal.records).verdict


def windowed(plan: Plan) -> Plan:
    """Give the only step no proof, and a window of 900 s."""
    return replace(plan, steps=(replace(plan.steps[0], best_grade=Grade.NONE, window_s=900),))


def ended(read_back: Moment, *, settled: bool = True) -> StepHistory:
    """Return a step whose window began when it was read back."""
    return StepHistory(0, accepted=Moment(NOON, 0), read_back=read_back, closed=True, settled=settled)


@pytest.mark.parametrize(
    ("now", "why"),
    [
        (Moment(NOON.plus(5000), 10_000_000), "the wall clock was set forward"),
        (Moment(NOON.plus(10), 5_000_000_000), "the machine was up for longer after a reboot"),
        (Moment(NOON.plus(-5000), 10_000_000), "the wall clock was set back"),
    ],
)
def test_a_clock_that_steps_ends_no_window(now: Moment, why: str) -> None:
    """Both clocks must have passed the window; the one that went less far decides."""
    plan = windowed(plan_for(FakeProvider(FakeCloud(CLOCK, {"bot": {"key": True}}))))

    assert Verdict.UNKNOWN is assess(plan, {0: ended(Moment(NOON, 0))}, now=now).verdict, why


def test_a_window_counts_from_the_last_change_and_not_from_the_first_answer() -> None:
    """A later change whose answer was lost begins it anew: only the read after it tells."""
    plan = windowed(plan_for(FakeProvider(FakeCloud(CLOCK, {"bot": {"key": True}}))))
    late = Moment(NOON.plus(800), 800_000_000)
    now = Moment(NOON.plus(1000), 1_000_000_000)

    assert Verdict.UNKNOWN is assess(plan, {0: ended(late)}, now=now).verdict


def test_a_window_of_a_step_that_could_not_be_read_again_never_ends() -> None:
    """It was read once as done and then not at all: nobody knows when the last change was."""
    plan = windowed(plan_for(FakeProvider(FakeCloud(CLOCK, {"bot": {"key": True}}))))
    now = Moment(NOON.plus(5000), 5_000_000_000)

    assert Verdict.UNKNOWN is assess(plan, {0: ended(Moment(NOON, 0), settled=False)}, now=now).verdict
    assert Verdict.CONTAINED is assess(plan, {0: ended(Moment(NOON, 0))}, now=now).verdict


@dataclass(frozen=True, slots=True)
class Looked(FakeProvider):
    """A provider whose second look fails in part or as a whole."""

    incomplete: Sequence[str] = ()
    denied: bool = False

    def discover(self) -> Discovery:
        """Answer as told."""
        if self.denied:
            raise Denied("the listing was denied")
        return Discovery("fake cloud", (), (), incomplete=tuple(self.incomplete))


@pytest.mark.parametrize("provider_says", ["incomplete", "denied", "not connected"])
def test_a_second_look_that_fails_makes_the_verdict_unknown(tmp_path: Path, provider_says: str) -> None:
    """Who could not look for new principals cannot say that there are none, nor that there is one."""
    cloud = FakeCloud(CLOCK, {"bot": {"key": True}})
    observed = observations(Findings((), ()), ())
    plan = replace(plan_for(FakeProvider(cloud)), observations_sha256=sha256(observed))
    folder = IncidentFolder.create(tmp_path / "inc")
    folder.write("observations.json", observed)
    journal = MemoryJournal(CLOCK)
    journal.append("step.closed", {"step": 0, "verdict": "contained", "grade": "read_back", "reason": "r"})
    provider = Looked(
        cloud, None, ["users: denied"] * (provider_says == "incomplete"), provider_says == "denied"
    )

    look_again(plan, folder, journal, {} if provider_says == "not connected" else {0: provider})

    found = judge(plan, journal.records, ending=True)
    assert Verdict.UNKNOWN is found.verdict
    assert ["not_looked_again"] == [item.kind for item in found.open]


def test_a_principal_with_a_name_that_nobody_can_read_is_found_and_told(tmp_path: Path) -> None:
    """A line feed or a broken character in it once made the run impossible to end."""
    cloud = FakeCloud(CLOCK, {"bot": {"key": True}})
    provider = FakeProvider(cloud)
    observed = observations(Findings((), ()), ())
    plan = replace(plan_for(provider), observations_sha256=sha256(observed))
    folder = IncidentFolder.create(tmp_path / "inc")
    folder.write("observations.json", observed)
    cloud.users["evil\n\x1b[2J\udcff" + "x" * 5000] = {"key": True}
    journal = MemoryJournal(CLOCK)

    look_again(plan, folder, journal, {0: provider})

    assert Verdict.NOT_CONTAINED is judge(plan, journal.records, ending=True).verdict
