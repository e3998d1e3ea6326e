"""Stops an agent at a real issuer, through the real planner and the real engine."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from breakglass.canon import Json
from breakglass.clock import Clock, SystemClock
from breakglass.errors import Denied
from breakglass.execute.engine import Ports, execute
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.journal.history import StepHistory, replay
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Pin, Plan, Step, TwoPersonRule, Verb, plan_digest
from breakglass.model.resource import AgentRef, Reach, State
from breakglass.plan.builder import Header, build
from breakglass.plan.findings import Findings, ReachFindings
from breakglass.provider import Action, Connection, Provider, Reversal
from breakglass.runbook.shelf import read_shelf
from breakglass.testing.memory_journal import MemoryJournal
from breakglass_oauth import CARD
from breakglass_oauth.sandbox import REVOKER, Sandbox

REVOKE = "oauth.token.revoke"
DISABLE = "oauth.client.disable"


@dataclass(frozen=True)
class Secrets:
    """The executor's credentials in a test."""

    secrets: Mapping[str, str]

    def secret(self, name: str) -> bytes:
        """Return one."""
        if name not in self.secrets:
            raise Denied(f"no credential {name}", where="test")
        return self.secrets[name].encode()


def connection(
    sandbox: Sandbox, settings: Mapping[str, Json], folder: Path, *, drill: bool = True, secret: str = ""
) -> Connection:
    """Return a connection whose sealed store lies in `folder`."""
    incident = IncidentFolder.open(folder) if (folder / "sealed").exists() else IncidentFolder.create(folder)
    return Connection(
        reach=Reach("oauth", settings, "agents/support-bot.yaml:3:5"),
        agent=AgentRef("support-bot", "support-platform", None),
        incident="INC-1",
        drill=drill,
        clock=SystemClock(),
        evidence=FolderEvidence(incident),
        sealed=FolderSealed(incident),
        credentials=Secrets({REVOKER: secret or sandbox.revoker_secret}),
    )


OPENED: list[Provider] = []
"""Connected providers; the fixture `closing` closes them."""


def connected(
    sandbox: Sandbox, settings: Mapping[str, Json], folder: Path, *, drill: bool = True, secret: str = ""
) -> Provider:
    """Connect the provider."""
    provider = CARD.connect(connection(sandbox, settings, folder, drill=drill, secret=secret))
    OPENED.append(provider)
    return provider


@dataclass
class Stop:
    """One stop: what was planned, and what the journal says of its run."""

    provider: Provider
    plan: Plan
    settings: Mapping[str, Json]
    clock: Clock = field(default_factory=SystemClock)
    journal: MemoryJournal = field(init=False)

    def step(self, action: str) -> Step:
        """Return the step with this action."""
        return next(step for step in self.plan.steps if step.action == action)

    def run(self, provider: Provider | None = None) -> Mapping[str, StepHistory]:
        """Execute the plan on threads; return what became of each action."""
        raw = self.plan.to_bytes()
        self.journal = MemoryJournal(self.clock)
        ports = Ports(
            clock=self.clock,
            journal=self.journal,
            observer=lambda _event: None,
            cancelled=lambda: False,
            rng=random.Random(1),
        )
        execute(AuthorisedPlan(self.plan, plan_digest(raw), (), raw), {0: provider or self.provider}, ports)
        histories = replay(self.journal.records)
        return {step.action: histories[step.n] for step in self.plan.steps}

    def revert(self, action: str) -> Reversal:
        """Put one step back, from the prior state that the journal recorded."""
        step = self.step(action)
        acting: Action = self.provider.actions[action]
        prior = replay(self.journal.records)[step.n].prior
        return acting.revert(step.target, State(prior), acting.observe(step.target))

    def documents(self) -> bytes:
        """Return everything that a person or another machine may ever see of this stop."""
        lines = [json.dumps(record.body, default=str) for record in self.journal.records]
        return self.plan.to_bytes() + "\n".join(lines).encode()


def plan_stop(provider: Provider, settings: Mapping[str, Json], *, deadline_s: int = 6) -> Stop:
    """Plan a stop of everything that the provider proposes."""
    discovery = provider.discover()
    states = {item.key: provider.actions[item.action].observe(item.target) for item in discovery.proposals}
    specs = {spec.name: spec for spec in CARD.specs}
    found = ReachFindings("oauth", "breakglass 0", {}, discovery, specs, states)
    clock = SystemClock()
    header = Header(
        org="example.com",
        plan_id="pln-1",
        incident="inc-1",
        agent="support-bot",
        reason="sends mail to strangers",
        requested_by="alice@example.com",
        issued_at=clock.now(),
        detection=None,
        kit=Pin("kit", 1, "0" * 64),
        roster=Pin("roster", 1, "0" * 64),
        executors=("ops-1",),
        two_person_rule=TwoPersonRule.ADVISORY,
        nonce="AAAAAAAAAAAAAAAAAAAAAA==",
        expires=clock.now().plus(1800),
        max_run_s=600,
        drill=True,
    )
    plan = build(header, Findings((found,), ()), read_shelf()["prompt-injection"], ())[0]
    assert plan.verb is Verb.CONTAIN
    return Stop(provider, shortened(plan, deadline_s), settings)


def shortened(plan: Plan, deadline_s: int) -> Plan:
    """Return the plan with short deadlines, so that a test of what never works ends soon."""
    steps = tuple(replace(step, deadline_ms=min(step.deadline_ms, deadline_s * 1000)) for step in plan.steps)
    return replace(plan, steps=steps)
