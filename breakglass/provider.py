"""The provider port: what a plug-in implements and what it is given. The core never imports a provider.

A provider package exposes one `Card` through the entry-point group ``breakglass.providers``. Laziness has
three steps: the name alone (package metadata), the card (no SDK import), and `Card.connect` (the SDK).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from breakglass.canon import Json, JsonObject
from breakglass.clock import Clock
from breakglass.model.action import ActionSpec, Capability, Grade, Judgement
from breakglass.model.plan import Door, NotTouched, Step
from breakglass.model.resource import AgentRef, Reach, Resource, State

API_VERSION = 1
ENTRY_POINT_GROUP = "breakglass.providers"


class Outcome(StrEnum):
    """What `revert` did with one object."""

    RESTORED = "restored"
    ALREADY = "already"
    """It was like that before the stop, or is like that now: nothing to do."""
    DRIFTED = "drifted"
    """It is not as the stop left it: left alone."""
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
    moot_by: tuple[str, ...] = ()
    """Keys; once all are proven, what this step leaves open does not matter any more."""
    affects: tuple[str, ...] = ()
    withholds: tuple[str, ...] = ()
    """Credentials that this step makes unreadable, as ``file:/path`` or ``keyring:service/name``."""
    revokes: tuple[str, ...] = ()
    """Credentials (same names) and ``issuer:URL`` that this step revokes at the issuer."""


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
    """Identities and workloads that are the agent's: one that appears after signing is *found, not signed*."""
    proposals: tuple[Proposal, ...]
    doors: tuple[ProposedDoor, ...] = ()
    not_touched: tuple[NotTouched, ...] = ()
    endpoints: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    """Listings that failed: the plan says so and the verdict is at best unknown."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `preflight` found for one step, before anyone signs."""

    step: int
    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One piece of evidence, durable in the incident's folder."""

    path: str
    sha256: str
    size: int
    source: str


class EvidenceSink(Protocol):
    """Where collected bytes go: redacted before they come here, digested at once, durable on return."""

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Write ``evidence/<name>`` (parents made, name checked); a second put of a name gets a suffix.

        Raises:
            ProviderError: the disk refused.
        """
        ...


class SealedStore(Protocol):
    """Where prior state that may hold secrets goes: 0600, executor only, never mirrored or bundled."""

    def put(self, label: str, data: bytes) -> JsonObject:
        """Keep the bytes; return ``{"sealed": name, "size": n, "commitment": hex}`` (salted) for a State.

        Idempotent: the same label and bytes give the same answer.
        """
        ...

    def get(self, reference: Json) -> bytes:
        """Return the bytes of a reference. Raises RecordDamaged when they do not match the commitment."""
        ...


class Credentials(Protocol):
    """The executor's own secrets, by the name that the inventory's ``as`` gives."""

    def secret(self, name: str) -> bytes:
        """Return the secret. Raises Denied, saying where it was looked for."""
        ...


@dataclass(frozen=True, slots=True)
class Connection:
    """All that a provider is given. `reach.settings` come from the signed plan once there is one."""

    reach: Reach
    agent: AgentRef
    incident: str
    drill: bool
    clock: Clock
    evidence: EvidenceSink
    sealed: SealedStore
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Budget:
    """A documented rate of one service: calls a second, and how many at once."""

    per_s: float
    burst: int


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


class SettingType(StrEnum):
    """The type of one key of a reach entry."""

    TEXT = "text"
    TEXTS = "texts"
    FLAG = "flag"
    MAPPING = "mapping"
    """A mapping of text to text."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that a reach entry of this provider knows."""

    name: str
    type: SettingType
    summary: str
    required: bool = False


class Started(Protocol):
    """What runs in a drill's sandbox."""

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        """Return the sockets that listen inside, to be served from outside, in the order asked for."""
        ...


class AgentHome(Protocol):
    """A place where a drill's agent lives, made by a provider; nobody else is in it."""

    @property
    def uid(self) -> int:
        """Return the user that the agent runs as."""
        ...

    @property
    def reach(self) -> Mapping[str, str]:
        """Return how an inventory names what runs here."""
        ...

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        listen: Sequence[tuple[str, int]] = (),
        output: Path | None = None,
    ) -> Started:
        """Start the agent. Raises Unsupported: the kernel refused."""
        ...

    def stop(self) -> None:
        """End what still runs and remove what was made; safe to repeat."""
        ...


class MakeHome(Protocol):
    """Makes a place for a drill's agent; `privileged`: with root's means, else as an ordinary user."""

    def __call__(self, name: str, folder: Path, *, privileged: bool) -> AgentHome:
        """Make it. Raises Unsupported: it cannot be made here."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a provider without importing its SDK."""

    name: str
    summary: str
    capabilities: tuple[Capability, ...]
    settings: tuple[Setting, ...]
    specs: tuple[ActionSpec, ...]
    connect: Callable[[Connection], Provider]
    """Imports the SDK and connects. Raises ProviderError, Unreachable or Unsupported."""
    requires: tuple[str, ...] = ()
    """Modules that must be importable; `extra` names what installs them."""
    extra: str = ""
    check: Callable[[Reach], Sequence[str]] = field(default=lambda _reach: ())
    """Rules over the whole entry (``exactly one of cgroup, user, pid_file``); each answer is a complaint."""
    redirects: tuple[str, ...] = ()
    """Environment variables that redirect calls: exit 2 for a real plan. A trailing ``*`` is a prefix."""
    ignores: tuple[str, ...] = ()
    """Environment variables that choose a region, profile or context: ignored, and named in the header."""
    home: MakeHome | None = None
    """Where a drill's agent can live; None: this provider has no such place."""
    api_version: int = API_VERSION
