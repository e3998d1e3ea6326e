"""What an action is and may claim: capability, proof grade, verdict, blast radius, sources."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from breakglass.errors import EXIT_NOT_CONTAINED, EXIT_PROVEN, EXIT_UNKNOWN


class Phase(StrEnum):
    """What a capability's time counts towards."""

    PRESERVE = "preserve"
    ISOLATE = "isolate"
    REVOKE = "revoke"


class Capability(StrEnum):
    """What a provider can do to a resource (DESIGN 3)."""

    SNAPSHOT_LOGS = "snapshot_logs"
    CUT_EGRESS = "cut_egress"
    DISABLE_EVENT_SOURCES = "disable_event_sources"
    PAUSE_QUEUES = "pause_queues"
    STOP_WORKLOADS = "stop_workloads"
    BLOCK_RELAUNCH = "block_relaunch"
    FREEZE_CHANGE = "freeze_change"
    REVOKE_CREDENTIALS = "revoke_credentials"

    @property
    def phase(self) -> Phase:
        """Return the phase that this capability's time counts towards."""
        if self is Capability.SNAPSHOT_LOGS:
            return Phase.PRESERVE
        if self is Capability.REVOKE_CREDENTIALS:
            return Phase.REVOKE
        return Phase.ISOLATE


class Verdict(StrEnum):
    """What is known. Unknown is a value and never success."""

    CONTAINED = "contained"
    NOT_CONTAINED = "not_contained"
    UNKNOWN = "unknown"

    @property
    def exit_code(self) -> int:
        """Return the exit code of a run that ends with this verdict."""
        return {
            Verdict.CONTAINED: EXIT_PROVEN,
            Verdict.NOT_CONTAINED: EXIT_NOT_CONTAINED,
            Verdict.UNKNOWN: EXIT_UNKNOWN,
        }[self]


class Grade(StrEnum):
    """How strong a proof is, strongest first."""

    REFUSED_AS_AGENT = "refused_as_agent"
    PLATFORM_EVALUATOR = "platform_evaluator"
    READ_BACK = "read_back"
    NONE = "none"

    @property
    def strength(self) -> int:
        """Return 3 for the strongest, 0 for none."""
        return {"refused_as_agent": 3, "platform_evaluator": 2, "read_back": 1, "none": 0}[self.value]


class Reversibility(StrEnum):
    """Whether `revert` can put it back."""

    FULL = "full"
    PARTIAL = "partial"
    NONE = "none"


class Authority(StrEnum):
    """Who says that a claim is so."""

    VENDOR_TEXT = "vendor_text"
    REAL_SYSTEM = "real_system"
    OWN_SANDBOX = "own_sandbox"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a claim of an action comes from: `claim` names the field, e.g. ``settle``."""

    claim: str
    authority: Authority
    reference: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with its reason in words, and the grade of the proof behind it."""

    verdict: Verdict
    reason: str
    grade: Grade = Grade.READ_BACK


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """What an action declares. The CLI, the docs and doctor print this; nothing is written twice."""

    name: str
    """``provider.service.verb_object``, e.g. ``host.cgroup.freeze_tree``."""
    capability: Capability
    summary: str
    """What it does to the target, as a sentence for the operator."""
    permissions: tuple[str, ...]
    """The least that the executor needs, in the platform's own words."""
    blast_radius: str
    """What it breaks for neighbours."""
    reversibility: Reversibility
    undo: str
    """What `revert` does, or why nothing can."""
    settle_s: float
    """How long the platform may take to make it effective."""
    best_grade: Grade
    example: str
    sources: tuple[Source, ...]
    destroys_evidence: str = ""
    """What evidence it destroys; such a step waits for snapshots, at most 20 s. Empty: none."""
    service: str = ""
    """The service whose rate budget its calls draw from."""
    undo_permissions: tuple[str, ...] = ()
    """The least that `revert` needs beside what `observe` needs, where it differs from `permissions`."""
    withholds_only: bool = False
    """True for a credential made unreadable but still valid at its issuer: never counts as revoked."""
