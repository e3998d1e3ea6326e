"""Starts a standing plan: the third signature, which binds two people's earlier ones to a real incident.

The plan says who may give it: a person of the roster with a role of the rule, or the executor's log key.
It never stands in for one of the two persons that signed the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from breakglass.authorise.counting import SignatureFile, evaluate
from breakglass.canon import canonical, parse_canonical
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.public_key import PublicKey
from breakglass.keys.sshsig import namespace, verify
from breakglass.model.plan import Activation, Plan
from breakglass.model.roster import Roster, Rule
from breakglass.shape import Digest, Name, decode, encode

MAX_ACTIVATION_BYTES: Final = 4096
MAX_AGE_S: Final = 900.0
_SKEW_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class ActivationStatement:
    """Who starts which standing plan, for which incident, when."""

    v: int
    type: str
    plan_sha256: Digest
    incident: Name
    by: Name
    """A person of the roster, or the executor."""
    at: Instant

    @classmethod
    def of(cls, plan_sha256: str, incident: str, by: str, at: Instant) -> ActivationStatement:
        """Return a statement that is yet to be signed, in the namespace ``activation``."""
        return cls(1, "activation", plan_sha256, incident, by, at)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: the ones that are signed."""
        return canonical(encode(self))


@dataclass(frozen=True, slots=True)
class SignedActivation:
    """The bytes of a statement and its armored signature."""

    document: bytes
    signature: bytes


def check_activation(
    signed: SignedActivation | None, plan: Plan, plan_sha256: str, roster: Roster, *, rule: Rule, now: Instant
) -> ActivationStatement:
    """Return the statement that starts this standing plan now.

    Raises:
        NotAuthorised: there is none, it is for another plan, stale, or not signed by who may give it.
        MalformedInput: it is not such a statement.
    """
    if signed is None:
        raise NotAuthorised("a standing plan needs a signed activation")
    data = parse_canonical(signed.document, where="activation", max_bytes=MAX_ACTIVATION_BYTES)
    found = decode(ActivationStatement, data, where="activation")
    if (found.v, found.type) != (1, "activation"):
        raise MalformedInput("not an activation of version 1", where="activation")
    if found.plan_sha256 != plan_sha256:
        raise NotAuthorised("the activation is for another plan")
    if not -_SKEW_S <= now.seconds_since(found.at) <= MAX_AGE_S:
        raise NotAuthorised(f"the activation was given at {found.at}; it is {now}")
    space = namespace("activation", plan.org)
    if plan.activation is Activation.EXECUTOR:
        _check_executor(signed, space, plan, roster, found)
        return found
    files = [SignatureFile("activation", signed.signature)]
    verdict = evaluate(signed.document, space, files, roster=roster, rule=rule, now=now)
    if [item.person for item in verdict.signed] != [found.by]:
        raise NotAuthorised(f"the activation is not signed by {found.by}: {verdict}")
    return found


def _check_executor(
    signed: SignedActivation, space: str, plan: Plan, roster: Roster, found: ActivationStatement
) -> None:
    """Require the log key of the one executor that may start the plan."""
    key = next((entry.log_key for entry in roster.executors if entry.name == plan.executors[0]), None)
    proof = verify(signed.signature, signed.document, space)
    if key is None or found.by != plan.executors[0] or PublicKey.parse(key).blob != proof.blob:
        raise NotAuthorised(f"the activation is not signed by executor {plan.executors[0]}")
