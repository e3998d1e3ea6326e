"""What a runbook says, as values. A runbook is data of the kit: signed with it and named in every plan."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.canon import canonical, sha256
from breakglass.model.action import Capability
from breakglass.model.plan import Pin
from breakglass.shape import encode


@dataclass(frozen=True, slots=True)
class RunbookStep:
    """One capability of the response, in its place in the order."""

    capability: Capability
    deadline_s: int
    """When the step gives up and is unknown, counted from its own start."""
    probe: bool
    """Whether a probe as the agent is made where one exists."""


@dataclass(frozen=True, slots=True)
class Playbook:
    """What the operator reads: each entry one thing to know or to do."""

    what_happened: str
    look_at: tuple[str, ...]
    impact: tuple[str, ...]
    next_steps: tuple[str, ...]
    tell: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Runbook:
    """Which capabilities run, in which order, and the playbook in words."""

    name: str
    version: int
    title: str
    steps: tuple[RunbookStep, ...]
    playbook: Playbook

    @property
    def sha256(self) -> str:
        """Return the digest of the canonical JSON of what was parsed: comments and layout do not count."""
        return sha256(canonical(encode(self)))

    @property
    def pin(self) -> Pin:
        """Return what a plan records of it."""
        return Pin(self.name, self.version, self.sha256)

    def step(self, capability: Capability) -> RunbookStep | None:
        """Return the step of a capability; None where the runbook leaves it out."""
        return next((step for step in self.steps if step.capability is capability), None)
