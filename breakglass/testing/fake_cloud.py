"""An in-memory cloud with the vices of real ones: lag, throttling, lies, and an agent that fights back.

It holds users with access keys. A key works as long as it is active in the *true* state; what `observe`
reads lags behind by `lag_s`, as IAM does. `rogue` is called before each call and may act as the agent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from breakglass.canon import Json
from breakglass.clock import Clock
from breakglass.errors import Denied, Throttled, Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import Step
from breakglass.model.resource import Resource, State
from breakglass.provider import (
    Action,
    Budget,
    Discovery,
    Finding,
    Outcome,
    Proposal,
    Reversal,
)

SPEC = ActionSpec(
    name="fake.keys.deactivate",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="deactivate every access key of a user",
    permissions=("fake:UpdateKey",),
    blast_radius="everything else that uses the user's keys",
    reversibility=Reversibility.FULL,
    undo="activate the keys that were active before the stop",
    settle_s=1.0,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="fake user support-bot",
    sources=(Source("settle", Authority.OWN_SANDBOX, "this module"),),
    service="keys",
)


@dataclass(frozen=True, slots=True)
class Faults:
    """How badly the cloud behaves; each number is a probability for one call."""

    transient: float = 0.0
    throttled: float = 0.0
    lie: float = 0.0
    """An apply answers 200 and does nothing."""
    lost_answer: float = 0.0
    """An apply takes effect and then fails."""
    denied: bool = False


@dataclass(slots=True)
class FakeCloud:
    """The true state, and what was visible when."""

    clock: Clock
    users: dict[str, dict[str, bool]]
    lag_s: float = 0.0
    faults: Faults = field(default_factory=Faults)
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - faults, not secrets
    rogue: Callable[[FakeCloud], None] = lambda _cloud: None
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """(verb, user, token) of each call that reached the cloud."""
    history: list[tuple[float, dict[str, dict[str, bool]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the first state visible at once."""
        self.history.append((self.clock.monotonic_s() - self.lag_s, self._copy()))

    def set_key(self, user: str, key: str, *, active: bool) -> None:
        """Change one key, for anybody: the operator, the agent, a friend."""
        self.users[user][key] = active
        self.history.append((self.clock.monotonic_s(), self._copy()))

    def accepts(self, user: str) -> bool:
        """Return whether any key of the user still works: the truth."""
        return any(self.users[user].values())

    def visible(self, user: str) -> Mapping[str, bool]:
        """Return the keys as a reader sees them now."""
        horizon_s = self.clock.monotonic_s() - self.lag_s
        seen = [state for at_s, state in self.history if at_s <= horizon_s]
        return seen[-1][user]

    def enter(self, verb: str, user: str, token: str = "") -> None:
        """Let the agent act, then fail the call as the faults say."""
        self.rogue(self)
        if self.faults.denied and verb == "apply":
            raise Denied("not authorised to perform fake:UpdateKey")
        if self.rng.random() < self.faults.throttled:
            raise Throttled("rate exceeded", retry_after_s=0.2)
        if self.rng.random() < self.faults.transient:
            raise Transient("connection reset")
        self.calls.append((verb, user, token))

    def _copy(self) -> dict[str, dict[str, bool]]:
        return {user: dict(keys) for user, keys in self.users.items()}


@dataclass(frozen=True, slots=True)
class DeactivateKeys:
    """The one action of the fake cloud."""

    cloud: FakeCloud

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return SPEC

    def observe(self, resource: Resource) -> State:
        """Read every key of the user."""
        self.cloud.enter("observe", resource.id)
        keys: dict[str, Json] = {
            key: {"active": active} for key, active in self.cloud.visible(resource.id).items()
        }
        return State(keys)

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Deactivate every key that was seen active."""
        self.cloud.enter("apply", resource.id, token)
        faults, rng = self.cloud.faults, self.cloud.rng
        if rng.random() < faults.lie:
            return
        for key, value in before.objects.items():
            if value == {"active": True}:
                self.cloud.set_key(resource.id, key, active=False)
        if rng.random() < faults.lost_answer:
            raise Transient("connection reset after the change")

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained when no key is active."""
        active = sorted(key for key, value in state.objects.items() if value == {"active": True})
        if active:
            return Judgement(Verdict.NOT_CONTAINED, f"{resource.id} has active keys: {', '.join(active)}")
        return Judgement(Verdict.CONTAINED, f"no key of {resource.id} is active")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Activate what was active, unless it is gone."""
        self.cloud.enter("revert", resource.id)
        outcomes: dict[str, Outcome] = {}
        for key, value in before.objects.items():
            if key not in now.objects:
                outcomes[key] = Outcome.DRIFTED
            elif now.objects[key] == value:
                outcomes[key] = Outcome.ALREADY
            else:
                self.cloud.set_key(resource.id, key, active=value == {"active": True})
                outcomes[key] = Outcome.RESTORED
        return Reversal(outcomes, "keys as before the stop")

    def probe(self, resource: Resource) -> Judgement | None:
        """Use the agent's keys."""
        self.cloud.enter("probe", resource.id)
        if self.cloud.accepts(resource.id):
            return Judgement(Verdict.NOT_CONTAINED, "a key of the agent was accepted", Grade.REFUSED_AS_AGENT)
        return Judgement(Verdict.CONTAINED, "every key of the agent was refused", Grade.REFUSED_AS_AGENT)


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """A connected provider of the fake cloud."""

    cloud: FakeCloud
    rate: Budget | None = None

    @property
    def actions(self) -> Mapping[str, Action]:
        """Return the one action."""
        return {SPEC.name: DeactivateKeys(self.cloud)}

    @property
    def budgets(self) -> Mapping[str, Budget]:
        """Return the budget, where one was given."""
        return {} if self.rate is None else {"keys": self.rate}

    def discover(self) -> Discovery:
        """Find every user."""
        users = tuple(Resource("user", user, user, {}) for user in sorted(self.cloud.users))
        return Discovery(
            scope="fake cloud",
            principals=users,
            proposals=tuple(Proposal(f"keys:{user.id}", SPEC.name, user) for user in users),
        )

    def preflight(self, steps: Sequence[Step]) -> Sequence[Finding]:
        """Find nothing wrong."""
        return tuple(Finding(step.n, ok=True, message="") for step in steps)

    def close(self) -> None:
        """Hold nothing."""
