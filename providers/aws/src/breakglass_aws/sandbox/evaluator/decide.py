"""Decides one request: an explicit deny anywhere first, then each kind of policy that must allow.

Sources: IAM User Guide "Policy evaluation logic", "Policy evaluation for requests within a single account",
"Cross-account policy evaluation logic", "Permissions boundaries for IAM entities", "Session policies";
Organizations User Guide "SCP evaluation" (an Allow at every level from the root to the account) and "Resource
control policies".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from breakglass_aws.sandbox.evaluator.document import Policy
from breakglass_aws.sandbox.evaluator.principals import Named
from breakglass_aws.sandbox.evaluator.request import Request
from breakglass_aws.sandbox.evaluator.statement import Hit, hits, resource_hits

ALLOWED, EXPLICIT, IMPLICIT = "allowed", "explicit_deny", "implicit_deny"
SCP, RCP, RESOURCE, IDENTITY, BOUNDARY, SESSION = "scp", "rcp", "resource", "identity", "boundary", "session"
Policies = tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """Every policy that speaks about a request. None: there is no such policy (which is not an empty one)."""

    identity: Policies = ()
    boundary: Policies | None = None
    session: Policies | None = None
    resource: Policies = ()
    scps: tuple[Policies, ...] = ()
    """One tuple a level: root, units, account. Empty: no SCP applies."""
    rcps: tuple[Policies, ...] = ()
    resource_decides: bool = False
    """KMS keys and role trust: identity policies count only as far as the resource's policy hands over to
    them
    (KMS Developer Guide "Key policies")."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and by which policies."""

    kind: str
    """``allowed``, ``explicit_deny`` or ``implicit_deny``."""
    source: str
    statements: tuple[str, ...] = ()
    """``policy/Sid`` of every statement that decided."""

    @property
    def allowed(self) -> bool:
        """Say whether the request may be carried out."""
        return self.kind == ALLOWED


def allowed(source: str, statements: tuple[str, ...]) -> Decision:
    """Say that these statements allow."""
    return Decision(ALLOWED, source, statements)


def implicit(source: str) -> Decision:
    """Say that policies of this kind should allow, and none does."""
    return Decision(IMPLICIT, source)


def decide(request: Request, inputs: Inputs) -> Decision:
    """Evaluate one request. Raises PolicyError: a policy says something unknown."""
    denied = _denied(request, inputs)
    if denied is not None:
        return denied
    for source, levels in ((RCP, inputs.rcps), (SCP, inputs.scps)):
        if not all(any(hits_of(source, level, request)) for level in levels):
            return implicit(source)
    granted = tuple(resource_hits(inputs.resource, request, "Allow"))
    if request.principal.account == request.resource_account:
        return _same_account(request, inputs, granted)
    return _cross_account(request, inputs, granted)


def hits_of(source: str, policies: Policies, request: Request) -> Iterator[Hit]:
    """Give the allows of organization policies; RCPs have a principal, which must be everybody."""
    return (resource_hits if source == RCP else hits)(policies, request, "Allow")


def _denied(request: Request, inputs: Inputs) -> Decision | None:
    kinds = (
        (SCP, hits(_flat(inputs.scps), request, "Deny")),
        (RCP, resource_hits(_flat(inputs.rcps), request, "Deny")),
        (RESOURCE, resource_hits(inputs.resource, request, "Deny")),
        (IDENTITY, hits(inputs.identity, request, "Deny")),
        (BOUNDARY, hits(inputs.boundary or (), request, "Deny")),
        (SESSION, hits(inputs.session or (), request, "Deny")),
    )
    for source, found in kinds:
        names = _names(found)
        if names:
            return Decision(EXPLICIT, source, names)
    return None


def _same_account(request: Request, inputs: Inputs, granted: tuple[Hit, ...]) -> Decision:
    how = max((one[2] for one in granted), default=Named.NOT)
    if how is Named.ITSELF:
        return allowed(RESOURCE, _names(granted))
    if how is Named.ISSUER:
        limited = _limited(request, inputs)
        return limited or allowed(RESOURCE, _names(granted))
    if inputs.resource_decides and how is not Named.ACCOUNT:
        return implicit(RESOURCE)
    return _own(request, inputs)


def _cross_account(request: Request, inputs: Inputs, granted: tuple[Hit, ...]) -> Decision:
    if not granted:
        return implicit(RESOURCE)
    if request.principal.kind in ("service", "web"):
        return allowed(RESOURCE, _names(granted))
    own = _own(request, inputs)
    return allowed(RESOURCE, _names(granted)) if own.allowed else own


def _own(request: Request, inputs: Inputs) -> Decision:
    """Ask the caller's own policies: identity, then what limits them."""
    if request.principal.kind == "root":
        return allowed(IDENTITY, ("root",))
    names = _names(hits(inputs.identity, request, "Allow"))
    if not names:
        return implicit(IDENTITY)
    return _limited(request, inputs) or allowed(IDENTITY, names)


def _limited(request: Request, inputs: Inputs) -> Decision | None:
    for source, policies in ((BOUNDARY, inputs.boundary), (SESSION, inputs.session)):
        if policies is not None and not any(hits(policies, request, "Allow")):
            return implicit(source)
    return None


def _flat(levels: tuple[Policies, ...]) -> Policies:
    return tuple(one for level in levels for one in level)


def _names(found: Iterator[Hit] | tuple[Hit, ...]) -> tuple[str, ...]:
    return tuple(f"{policy.name}/{statement.sid}" for policy, statement, _ in found)
