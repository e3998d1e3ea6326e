"""What a plug-in implements: actions with five verbs, and what it finds and proposes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from breakglass.model.action import ActionSpec, Grade, Judgement
from breakglass.model.plan import Door, NotTouched, Step
from breakglass.model.resource import Resource, State


class Outcome(StrEnum):
    """What `revert` did with one object."""

    RESTORED = "restored"
    ALREADY = "already"
    """It was like that before the stop, or is like that now: nothing to do."""
    DRIFTED = "drifted"
    """It is not as the stop left it: left alone."""
    ENDED = "ended"
    """A process or session that the stop ended, as its plan said: its owner starts it again."""
    CANNOT = "cannot"
    """Nothing can put it back (an ended process, a revoked token)."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What `revert` did, object by object, and why."""

    objects: Mapping[str, Outcome]
    reason: str


class Action(Protocol):
    """One named operation with five verbs. Stateless: everything it needs is in the arguments or the step."""

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        ...

    def observe(self, resource: Resource) -> State:
        """Read live state: all that is needed to put it back byte for byte. Raises ProviderError."""
        ...

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Make the change; idempotent. `before` is the newest observation. Raises ProviderError."""
        ...

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide, purely, whether `state` is contained. An incomplete state is unknown."""
        ...

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back `before` (the union of first-seen prior states) by compare-and-set against `now`.

        Refuses objects that drifted and skips what was already so. Raises ProviderError.
        """
        ...

    def probe(self, resource: Resource) -> Judgement | None:
        """Try it as the agent, or ask the platform's evaluator; None where no probe exists.

        The judgement carries the grade that it reached. A probe that cannot be made *yet* answers unknown
        and is asked again until the step's deadline.
        """
        ...


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Start after the proposal `key` was read back, or `at_most_s` after its own dependencies."""

    key: str
    at_most_s: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A step that a provider proposes; the core numbers, filters and orders them."""

    key: str
    """Unique within one discovery, e.g. ``freeze:/agents/bot``."""
    action: str
    target: Resource
    after: tuple[WaitFor, ...] = ()
    best_grade: Grade | None = None
    """The strongest proof that exists for this target; None: what the action declares."""
    settle_s: float | None = None
    deadline_s: float | None = None
    window_s: int | None = None
    calls: int | None = None
    """How many calls it makes at its service's rate; None: the few that every step makes."""
    moot_by: tuple[str, ...] = ()
    """Keys; once all are proven, what this step leaves open does not matter any more."""
    affects: tuple[str, ...] = ()
    withholds: tuple[str, ...] = ()
    """Credentials that this step makes unreadable, as ``file:/path`` or ``keyring:service/name``."""
    revokes: tuple[str, ...] = ()
    """What this step closes for good: credentials (same names), ``issuer:URL``, ``deployer:KIND/NAME``."""


@dataclass(frozen=True, slots=True)
class ProposedDoor:
    """A door whose `closed_by` still names proposals by key."""

    door: Door
    closed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found in one reach."""

    scope: str
    """In the operator's words and unique in the plan, e.g. ``host local``."""
    principals: tuple[Resource, ...]
    """What is the agent's: an identity or workload that appears after signing is *found, not signed*."""
    proposals: tuple[Proposal, ...]
    doors: tuple[ProposedDoor, ...] = ()
    not_touched: tuple[NotTouched, ...] = ()
    endpoints: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    """Listings that failed: the plan says so and the verdict is at best unknown."""
    runner: str = ""
    """sha256 of the program that is sent there and acts there; empty: none is sent."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `preflight` found for one step, before anyone signs."""

    step: int
    ok: bool
    message: str
    alone: bool = False
    """Where it is not ok: this step cannot run and the others of the reach can; else none of them runs."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A documented rate of one service: calls a second, and how many at once."""

    per_s: float
    burst: int


@runtime_checkable
class ReadsFiles(Protocol):
    """What a provider of machines may offer beside `Provider`: the file of an agent, for another provider."""

    def read_file(self, path: str, *, max_bytes: int) -> bytes:
        """Return the bytes of a regular file; secrets in it stay in memory. Raises ProviderError."""
        ...


class Provider(Protocol):
    """A connected provider: one reach, one scope."""

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the actions by name."""
        ...

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return the rate budgets by service (``ActionSpec.service``); absent: not limited."""
        ...

    def discover(self) -> Discovery:
        """Find what the agent is, uses and is driven by in this reach. Raises ProviderError."""
        ...

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Check the executor's own rights and the refusals (own branch) for each step of this reach."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
