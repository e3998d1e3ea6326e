"""Alice, Bob, Carol and an observer, an executor, their roster and a plan: what every attack begins from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from breakglass.authorise.counting import QuorumVerdict, SignatureFile
from breakglass.authorise.policy import Limits
from breakglass.authorise.quorum import authorise, examine
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.clock import Instant
from breakglass.errors import NotAuthorised
from breakglass.keys.signer import Signer
from breakglass.keys.sshsig import namespace
from breakglass.model.authorised import AuthorisedPlan
from breakglass.model.plan import Mode, Plan
from breakglass.model.roster import Role, Roster
from breakglass.testing.operators import (
    MemorySigner,
    Operator,
    make_executor,
    make_operator,
    make_roster,
    trust,
)
from breakglass.testing.plans import make_plan

ORG = "example.com"
NOON = Instant(1_767_225_600_000)
EXECUTOR = "example.com/ops-bastion-1"
ACTION = "fake.thing.stop"
ALL = (Role.RESPONDER, Role.APPROVER, Role.COMMANDER, Role.ADMIN)


class StillClock:
    """A clock that stands at noon."""

    def now(self) -> Instant:
        """Return noon."""
        return NOON

    def monotonic_s(self) -> float:
        """Return zero."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Do not wait."""
        del seconds


@dataclass(frozen=True, slots=True)
class Team:
    """A roster with everybody's keys, one plan, and what the executor knows."""

    alice: Operator
    bob: Operator
    carol: Operator
    oscar: Operator
    """An observer."""
    log_signer: MemorySigner
    roster: Roster
    plan: Plan
    limits: Limits
    trusted: TrustedRoster

    def with_roster(self, **changes: object) -> Team:
        """Return the team under a changed roster, which the plan is for."""
        roster = dataclasses.replace(self.roster, **changes)  # type: ignore[arg-type]  # any field, by name
        trusted = trust(roster)
        pin = dataclasses.replace(self.plan.roster, version=roster.version, sha256=trusted.sha256)
        plan = dataclasses.replace(self.plan, roster=pin)
        return dataclasses.replace(self, roster=roster, trusted=trusted, plan=plan)

    def with_plan(self, **changes: object) -> Team:
        """Return the team with a changed plan."""
        return dataclasses.replace(self, plan=dataclasses.replace(self.plan, **changes))  # type: ignore[arg-type]  # any field, by name

    def with_limits(self, **changes: object) -> Team:
        """Return the team on a changed executor."""
        return dataclasses.replace(self, limits=dataclasses.replace(self.limits, **changes))  # type: ignore[arg-type]  # any field, by name

    def sign(
        self, *signers: Operator | Signer, data: bytes | None = None, kind: str = "plan"
    ) -> list[SignatureFile]:
        """Have each sign the plan."""
        data = self.plan.to_bytes() if data is None else data
        keys = [item.signer if isinstance(item, Operator) else item for item in signers]
        return [SignatureFile(f"{n}.sig", key.sign(data, namespace(kind, ORG))) for n, key in enumerate(keys)]

    def authorise(
        self, signatures: Sequence[SignatureFile], *, data: bytes | None = None, now: Instant = NOON
    ) -> AuthorisedPlan:
        """Ask for the authorised plan."""
        data = self.plan.to_bytes() if data is None else data
        return authorise(data, signatures, self.trusted, self.limits, now)

    def count(self, signatures: Sequence[SignatureFile], *, data: bytes | None = None) -> QuorumVerdict:
        """Ask who signed."""
        data = self.plan.to_bytes() if data is None else data
        return examine(data, signatures, self.trusted, self.limits, NOON)[1]

    def refusal(
        self, signatures: Sequence[SignatureFile], *, data: bytes | None = None, now: Instant = NOON
    ) -> str:
        """Return the words with which the plan is refused; fail if it is not."""
        try:
            self.authorise(signatures, data=data, now=now)
        except NotAuthorised as error:
            return error.what
        raise AssertionError("the attack was authorised")


def make_team(*, drill: bool = False, signers: Sequence[Signer | None] = (None, None, None)) -> Team:
    """Enrol everybody; `signers` brings other keys for Alice, Bob and Carol."""
    clock = StillClock()
    names = ("alice", "bob", "carol")
    alice, bob, carol = (
        make_operator(f"{name}@{ORG}", ALL, clock, signer=signer)
        for name, signer in zip(names, signers, strict=True)
    )
    oscar = make_operator(f"oscar@{ORG}", (Role.OBSERVER,), clock)
    executor, log_signer = make_executor(EXECUTOR)
    roster = make_roster(ORG, [alice, bob, carol, oscar], [executor], clock, drill=drill)
    trusted = trust(roster)
    limits = Limits(
        executor=EXECUTOR,
        mode=Mode.EXECUTE,
        known_actions=frozenset({ACTION}),
        drill=drill,
        last_record_at=None,
    )
    plan = make_plan(trusted, NOON, action=ACTION)
    return Team(alice, bob, carol, oscar, log_signer, roster, plan, limits, trusted)
