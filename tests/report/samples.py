"""Builds plans and journal records for the tests of report and screens."""

from __future__ import annotations

from dataclasses import replace

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.journal.history import replay
from breakglass.model.action import Capability, Grade, Reversibility, Verdict
from breakglass.model.plan import (
    Activation,
    Detection,
    Door,
    DoorKind,
    Mode,
    NotPlanned,
    NotTouched,
    Pin,
    Plan,
    PlannedReach,
    Step,
    TimeSource,
    TwoPersonRule,
    Verb,
)
from breakglass.model.records import Record
from breakglass.model.resource import Resource
from breakglass.report.build import Report, build
from breakglass.verify.judge import assess

START = Instant.parse("2026-11-20T03:16:20.000Z")
DIGEST = "ab" * 32


def a_step(
    n: int,
    capability: Capability = Capability.STOP_WORKLOADS,
    *,
    label: str = "",
    action: str = "host.cgroup.freeze_tree",
    **changes: object,
) -> Step:
    """Return a step; `changes` replace its fields."""
    step = Step(
        n=n,
        reach=0,
        capability=capability,
        action=action,
        target=Resource("process_tree", f"cgroup:/agents/bot/{n}", label or f"tree {n}", {}),
        after=(),
        settle_ms=0,
        deadline_ms=10_000,
        best_grade=Grade.READ_BACK,
        window_s=None,
        moot_by=(),
        reversibility=Reversibility.FULL,
        undo="thaw the tree",
        blast_radius="the agent only",
        destroys_evidence="",
        affects=(),
        withholds_only=False,
        observed=DIGEST,
    )
    return replace(step, **changes)  # type: ignore[arg-type]  # fields by name, checked by the dataclass


def a_plan(*steps: Step, **changes: object) -> Plan:
    """Return a drill's plan of these steps; `changes` replace its fields."""
    plan = Plan(
        v=1,
        type="plan",
        org="example.com",
        plan_id="plan-1",
        incident="inc-7k3f",
        agent="support-bot",
        verb=Verb.CONTAIN,
        mode=Mode.EXECUTE,
        activation=Activation.PERSON,
        drill=True,
        reason="exfiltrates tickets through the search tool",
        requested_by="alice@example.com",
        issued_at=START,
        detection=Detection(
            Instant.parse("2026-11-20T03:07:56Z"),
            Instant.parse("2026-11-20T03:12:08Z"),
            TimeSource.OBSERVED,
            "alertmanager",
        ),
        runbook=Pin("prompt-injection", 1, DIGEST),
        kit=Pin("kit", 3, DIGEST),
        roster=Pin("roster", 1, DIGEST),
        executors=("ops-bastion-1",),
        two_person_rule=TwoPersonRule.ENFORCED,
        nonce="AAAAAAAAAAAAAAAAAAAAAA==",
        not_before=START,
        expires=START.plus(1800),
        max_run_s=900,
        parent=None,
        observations_sha256=DIGEST,
        reaches=(PlannedReach(0, "host", "breakglass 0.1.0", "host local", (), {}),),
        steps=steps,
        doors=(),
        not_touched=(NotTouched("dbus session socket", "shared by the whole host"),),
        not_planned=(),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]  # fields by name, checked by the dataclass


def a_door(name: str = "model API key", *, verdict: Verdict = Verdict.NOT_CONTAINED) -> Door:
    """Return a tool without a step."""
    return Door(DoorKind.TOOL, name, "no step", "revoke at https://model.example", "platform", (), verdict)


def unreachable(scope: str = "aws 1234") -> NotPlanned:
    """Return a reach that could not be read."""
    return NotPlanned("aws", scope, "no answer in 5 s")


class Told:
    """Writes records with clocks that the test moves by hand."""

    def __init__(self, *, boot: str = "boot-1", opened: str = "run.opened") -> None:
        """Open the run at 03:16:20 UTC, with a monotonic clock that stands at 5000 s."""
        self.records: list[Record] = []
        self.elapsed_s = 0.0
        self.utc_step_s = 0.0
        self.monotonic_base_s = 5000.0
        self.add(opened, incident="inc-7k3f", boot=boot)

    def add(self, record_type: str, **body: Json) -> None:
        """Append one record at this moment."""
        self.records.append(
            Record(
                seq=len(self.records),
                at=START.plus(self.elapsed_s + self.utc_step_s),
                monotonic_us=round((self.monotonic_base_s + self.elapsed_s) * 1e6),
                type=record_type,
                body=body,
                prev=DIGEST,
                digest=DIGEST,
            )
        )

    def later(self, seconds: float) -> Told:
        """Let time pass."""
        self.elapsed_s += seconds
        return self

    def signed(self, person: str) -> Told:
        """Accept a signature."""
        self.add("signature.accepted", person=person, key=f"SHA256:{person[:5]}", sha256=DIGEST)
        return self

    def claimed(self) -> Told:
        """Claim the plan."""
        self.add("plan.claimed", plan_sha256=DIGEST, nonce="n", signers=[])
        return self

    def started(self, n: int) -> Told:
        """Start a step and write its intent."""
        objects: JsonObject = {"tree": {"frozen": False}}
        self.add("step.started", step=n)
        self.add("step.intent", step=n, round=0, token=DIGEST, objects=objects, complete=True)
        return self

    def read_back(self, n: int, verdict: Verdict = Verdict.CONTAINED) -> Told:
        """Accept the call and read the target back."""
        self.add("step.accepted", step=n, round=0, ok=True, detail="")
        self.add("step.read_back", step=n, round=0, verdict=verdict.value, reason="frozen 1", sha256=DIGEST)
        return self

    def closed(self, n: int, verdict: Verdict = Verdict.CONTAINED, grade: Grade = Grade.READ_BACK) -> Told:
        """Close a step."""
        self.add(
            "step.closed",
            step=n,
            verdict=verdict.value,
            grade=grade.value,
            reason="frozen 1, 214 processes",
            read_back_ms=0,
            proven_ms=0,
        )
        return self


def a_report(plan: Plan, told: Told) -> Report:
    """Judge and build, as a use case does."""
    assessment = assess(plan, replay(told.records))
    return build(plan, told.records, assessment, digest=DIGEST, journal="/incidents/inc-7k3f/journal.jsonl")


def a_contained_run() -> tuple[Plan, Told]:
    """Return a run of three steps that was signed by two and proven whole."""
    plan = a_plan(
        a_step(0),
        a_step(1, Capability.REVOKE_CREDENTIALS, action="oauth.token.revoke", label="token at issuer"),
        a_step(2, Capability.SNAPSHOT_LOGS, action="host.files.snapshot", label="/var/log/bot.log"),
    )
    told = Told().later(10).signed("alice@example.com").later(28.2).signed("bob@example.com").claimed()
    told.later(0.1)
    for n in range(3):
        told.started(n)
    told.later(0.2).read_back(0).closed(0)
    told.later(0.3).read_back(1).later(1).closed(1, grade=Grade.REFUSED_AS_AGENT)
    told.later(1).read_back(2).closed(2)
    return plan, told
