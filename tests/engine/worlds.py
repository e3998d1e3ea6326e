"""Worlds for the engine's tests: a fake cloud, a plan over it, and runs that may crash."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass.execute.engine import Ports, execute
from breakglass.journal.history import StepHistory, replay
from breakglass.kit.model import Tool
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Pin, Plan, TwoPersonRule, plan_digest
from breakglass.plan.builder import Header, build
from breakglass.plan.findings import Findings, ReachFindings
from breakglass.runbook.model import Runbook
from breakglass.runbook.shelf import read_shelf
from breakglass.testing.fake_cloud import SPEC, FakeCloud, FakeProvider
from breakglass.testing.memory_journal import Crash, MemoryJournal
from breakglass.testing.virtual import SeededRunner, VirtualClock

NOON = Instant(1_767_225_600_000)


def runbook() -> Runbook:
    """Return a shipped runbook."""
    return read_shelf()["prompt-injection"]


def header() -> Header:
    """Return what of a plan does not come from the world."""
    return Header(
        org="example.com",
        plan_id="pln-1",
        incident="inc-1",
        agent="support-bot",
        reason="sends mail to strangers",
        requested_by="alice@example.com",
        issued_at=NOON,
        detection=None,
        kit=Pin("kit", 1, "0" * 64),
        roster=Pin("roster", 1, "0" * 64),
        executors=("ops-1",),
        two_person_rule=TwoPersonRule.ADVISORY,
        nonce="AAAAAAAAAAAAAAAAAAAAAA==",
        expires=NOON.plus(1800),
        max_run_s=600,
        drill=True,
    )


def plan_for(provider: FakeProvider, tools: tuple[Tool, ...] = ()) -> Plan:
    """Build the plan of a stop of everything in the fake cloud."""
    discovery = provider.discover()
    action = provider.actions[SPEC.name]
    states = {item.key: action.observe(item.target) for item in discovery.proposals}
    reach = ReachFindings("fake", "fake 1", {}, discovery, {SPEC.name: SPEC}, states)
    return build(header(), Findings((reach,), ()), runbook(), tools)[0]


def authorised(plan: Plan) -> AuthorisedPlan:
    """Return the plan as if signed: the quorum has its own tests."""
    raw = plan.to_bytes()
    return AuthorisedPlan(plan, plan_digest(raw), (), raw)


@dataclass(slots=True)
class Run:
    """One run of a plan in simulation, over as many processes as it takes."""

    clock: VirtualClock
    provider: FakeProvider
    plan: Plan
    seed: int
    records: list[object] = field(default_factory=list)
    cancelled: bool = False
    prior: Mapping[int, Mapping[str, Json]] = field(default_factory=dict)
    journal: MemoryJournal | None = None

    def process(self, *, die_after: int | None = None, lose: bool = False) -> bool:
        """Run until done, or until the process dies; return whether it lived."""
        old = () if self.journal is None else tuple(self.journal.records)
        self.journal = MemoryJournal(self.clock, old, die_after=die_after, lose=lose)
        ports = Ports(
            clock=self.clock,
            journal=self.journal,
            observer=lambda _event: None,
            cancelled=lambda: self.cancelled,
            rng=random.Random(self.seed),
        )
        try:
            execute(
                authorised(self.plan),
                {0: self.provider},
                ports,
                history=replay(old),
                prior=self.prior,
                runner=lambda p, b, k: SeededRunner(p, b, k, seed=self.seed),
            )
        except Crash:
            return False
        return True

    def histories(self) -> dict[int, StepHistory]:
        """Return what the journal says."""
        assert self.journal is not None
        return replay(self.journal.records)


def world(seed: int, users: int = 3, **vices: object) -> Run:
    """Return a run over a cloud with some users, each with two keys, one of them off already."""
    clock = VirtualClock(NOON)
    keys = {f"bot-{n}": {f"key-{n}-a": True, f"key-{n}-b": n % 2 == 0} for n in range(users)}
    cloud = FakeCloud(clock, keys, rng=random.Random(seed), **vices)  # type: ignore[arg-type]  # the vices are FakeCloud's own fields
    provider = FakeProvider(cloud)
    quiet, cloud.faults = cloud.faults, type(cloud.faults)()
    rogue, cloud.rogue = cloud.rogue, lambda _cloud: None
    plan = plan_for(provider)
    cloud.faults, cloud.rogue = quiet, rogue
    cloud.calls.clear()
    return Run(clock, provider, plan, seed)
