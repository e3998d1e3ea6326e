"""What the tests of many principals share: a class of roles, a signed plan over them, and the run of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.execute.context import StepEvent
from breakglass.execute.engine import Ports, execute
from breakglass.journal.history import StepHistory, replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Pin, Plan, TwoPersonRule, plan_digest
from breakglass.plan.builder import Header, build
from breakglass.plan.findings import Findings, ReachFindings
from breakglass.runbook.shelf import read_shelf
from breakglass.usecases.last_read import read_once_more
from breakglass.usecases.prepare import _observe
from breakglass_aws.connect import AwsProvider
from providers.aws.tests.identity_rig import TRUST
from providers.aws.tests.rig_aws import Rig

CLOCK = SystemClock()
SEEDERS = 4


def roles(rig: Rig, count: int, *, policy: str = "") -> list[str]:
    """Make so many roles; with `policy`, each carries it."""
    iam = rig.boto("iam")
    names = [f"bot-{n:04d}" for n in range(count)]

    def make(name: str) -> None:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)
        if policy:
            iam.attach_role_policy(RoleName=name, PolicyArn=policy)

    with ThreadPoolExecutor(SEEDERS) as pool:
        list(pool.map(make, names))
    return names


@dataclass(slots=True)
class Stop:
    """One stop of many: what planning and the run of it came to."""

    rig: Rig
    provider: AwsProvider
    plan: Plan
    since: int
    """How many calls there were before planning."""
    planned: int
    """And before the run."""
    planned_s: float
    incomplete: tuple[str, ...]
    events: list[StepEvent] = field(default_factory=list)
    histories: Mapping[int, StepHistory] = field(default_factory=dict)
    ran_s: float = 0.0

    def run(self) -> None:
        """Carry the plan out with a real journal."""
        raw = self.plan.to_bytes()
        path = self.rig.folder / "journal.jsonl"
        journal = Journal.create(path, CLOCK)
        ports = Ports(CLOCK, journal, self.events.append, lambda: False, random.Random(1))
        began_s = CLOCK.monotonic_s()
        try:
            assert execute(AuthorisedPlan(self.plan, plan_digest(raw), (), raw), {0: self.provider}, ports)
        finally:
            journal.close()
        self.ran_s = CLOCK.monotonic_s() - began_s
        self.histories = replay(read_journal(path).records)

    def look_again(self) -> int:
        """Read every proven step once more, as a run does before its end; return how many were not so."""
        path = self.rig.folder / "last.jsonl"
        journal = Journal.create(path, CLOCK)
        read_once_more(self.plan, self.histories, journal, {0: self.provider})
        journal.close()
        return len(read_journal(path).records)

    def verdicts(self) -> Counter[tuple[str, str, str]]:
        """Return how many steps of each action came to which verdict and grade."""
        return Counter(
            (self.plan.steps[n].action, str(one.verdict), str(one.grade)) for n, one in self.histories.items()
        )

    def first_s(self, action: str, stage: str) -> Sequence[float]:
        """Return when each step of an action reached a stage first, in seconds of the run."""
        found: dict[int, float] = {}
        for event in self.events:
            if event.stage == stage and self.plan.steps[event.n].action == action:
                found.setdefault(event.n, event.elapsed_s)
        return sorted(found.values())

    def calls(self, start: int | None = None, end: int | None = None) -> Sequence[Mapping[str, Any]]:
        """Return the executor's calls as the sandbox recorded them."""
        found: Sequence[Mapping[str, Any]] = self.rig.sandbox.control("calls", {})
        return found[self.since if start is None else start : end]


def stop(rig: Rig, names: Sequence[str], **settings: Json) -> Stop:
    """Discover, observe and build, as planning does."""
    provider = rig.provider(roles=[*names], **settings)
    since = len(rig.sandbox.control("calls", {}))
    began_s = CLOCK.monotonic_s()
    discovery = provider.discover()
    states = _observe(discovery, provider)
    planned_s = CLOCK.monotonic_s() - began_s
    specs = {name: action.spec for name, action in provider.actions.items()}
    reach = ReachFindings("aws", "aws 1", {}, discovery, specs, states, provider.budgets)
    plan, _ = build(_header(), Findings((reach,), ()), read_shelf()["prompt-injection"], ())
    provider.preflight(plan.steps)
    planned = len(rig.sandbox.control("calls", {}))
    return Stop(rig, provider, plan, since, planned, planned_s, discovery.incomplete)


def _header() -> Header:
    now = CLOCK.now()
    return Header(
        org="example.com",
        plan_id="pln-1",
        incident="inc-1",
        agent="rogue",
        reason="does what it should not",
        requested_by="alice@example.com",
        issued_at=now,
        detection=None,
        kit=Pin("kit", 1, "0" * 64),
        roster=Pin("roster", 1, "0" * 64),
        executors=("ops-1",),
        two_person_rule=TwoPersonRule.ADVISORY,
        nonce="AAAAAAAAAAAAAAAAAAAAAA==",
        expires=now.plus(1800),
        max_run_s=900,
        drill=True,
    )


def busiest(calls: Sequence[Mapping[str, Any]], operations: str, seconds: float) -> int:
    """Return the most IAM calls in any window of so many seconds; `operations` is ``read`` or ``write``."""
    reads = ("Get", "List", "Simulate")
    times = sorted(
        one["monotonic_us"] / 1e6
        for one in calls
        if one["service"] == "iam" and one["operation"].startswith(reads) is (operations == "read")
    )
    return max(_windows(times, seconds), default=0)


def _windows(times: Sequence[float], seconds: float) -> Iterator[int]:
    start = 0
    for end, at_s in enumerate(times):
        while at_s - times[start] > seconds:
            start += 1
        yield end - start + 1
