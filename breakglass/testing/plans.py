"""A small plan that is valid in every field, for tests of what comes before and after planning."""

from __future__ import annotations

import base64
import secrets

from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.model.action import Capability, Grade, Reversibility
from breakglass.model.plan import (
    Activation,
    Mode,
    Pin,
    Plan,
    PlannedReach,
    Step,
    TwoPersonRule,
    Verb,
)
from breakglass.model.resource import Resource


def make_plan(
    trusted: TrustedRoster, now: Instant, *, action: str = "fake.thing.stop", life_s: int = 900
) -> Plan:
    """Return a stop of one thing that the first executor of the roster may run from now on."""
    roster = trusted.roster
    return Plan(
        v=1,
        type="plan",
        org=roster.org,
        plan_id="pln-test",
        incident="INC-TEST",
        agent="mailer-7",
        verb=Verb.CONTAIN,
        mode=Mode.EXECUTE,
        activation=Activation.PERSON,
        drill=roster.drill,
        reason="sends unapproved payments",
        requested_by="alice@example.com",
        issued_at=now,
        detection=None,
        runbook=Pin("runaway", 1, sha256(b"runbook")),
        kit=Pin("kit", 1, sha256(b"kit")),
        roster=Pin("roster", roster.version, trusted.sha256),
        executors=tuple(executor.name for executor in roster.executors[:1]),
        two_person_rule=TwoPersonRule.ENFORCED,
        nonce=base64.b64encode(secrets.token_bytes(16)).decode(),
        not_before=now,
        expires=now.plus(life_s),
        max_run_s=3600,
        parent=None,
        observations_sha256=sha256(b"{}"),
        reaches=(PlannedReach(0, "fake", "fake 1", "fake local", (), {}),),
        steps=(_step(action),),
        doors=(),
        not_touched=(),
        not_planned=(),
    )


def _step(action: str) -> Step:
    return Step(
        n=0,
        reach=0,
        capability=Capability.STOP_WORKLOADS,
        action=action,
        target=Resource("thing", "thing-1", "the thing", {}),
        after=(),
        settle_ms=0,
        deadline_ms=10_000,
        best_grade=Grade.READ_BACK,
        window_s=None,
        moot_by=(),
        reversibility=Reversibility.FULL,
        undo="starts it again",
        blast_radius="nothing else",
        destroys_evidence="",
        affects=(),
        withholds_only=False,
        observed=sha256(b"state"),
    )
