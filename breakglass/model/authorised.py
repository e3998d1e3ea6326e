"""The one thing that `execute` accepts: a plan with a proven quorum. Only `authorise.quorum` makes it."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.model.plan import Plan


@dataclass(frozen=True, slots=True)
class PlanSigner:
    """A person whose signature counted."""

    person: str
    fingerprint: str
    """``SHA256:...`` of the key."""
    hardware: bool


@dataclass(frozen=True, slots=True)
class AuthorisedPlan:
    """A plan, the digest of the very bytes that were signed, and who signed them."""

    plan: Plan
    digest: str
    signers: tuple[PlanSigner, ...]
    raw: bytes
