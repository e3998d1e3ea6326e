"""Makes the `AuthorisedPlan`: nothing else in the program may.

Steps 1 to 9 of the algorithm of DESIGN 6: caps, roster, strict parse, rule, windows, executor, keys,
signatures, people. The use case adds the claim of the nonce right after, before any change.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.authorise.activation import check_activation
from breakglass.authorise.counting import (
    QuorumNotMet,
    QuorumVerdict,
    SignatureFile,
    Signed,
    check_size,
    evaluate,
)
from breakglass.authorise.policy import Limits, check_limits, rule_for
from breakglass.authorise.roster_chain import TrustedRoster
from breakglass.clock import Instant
from breakglass.errors import BreakglassError, NotAuthorised
from breakglass.keys.sshsig import namespace
from breakglass.model.authorised import AuthorisedPlan, PlanSigner
from breakglass.model.plan import MAX_PLAN_BYTES, Mode, Plan, plan_digest

__all__ = [
    "Limits",
    "QuorumNotMet",
    "QuorumVerdict",
    "SignatureFile",
    "Signed",
    "authorise",
    "evaluate",
    "examine",
]


def authorise(
    plan_bytes: bytes,
    signatures: Sequence[SignatureFile],
    trusted: TrustedRoster,
    limits: Limits,
    now: Instant,
) -> AuthorisedPlan:
    """Return the authorised plan, or say why not. The caller claims the nonce next, before any change.

    Raises:
        QuorumNotMet: too few persons signed.
        NotAuthorised: the plan, the roster or the moment does not allow it.
        MalformedInput: the bytes are not a plan.
    """
    plan, verdict = examine(plan_bytes, signatures, trusted, limits, now)
    if not verdict.met:
        raise QuorumNotMet(verdict, where=plan.plan_id)
    signers = tuple(
        PlanSigner(signed.person, signed.fingerprint, signed.hardware) for signed in verdict.signed
    )
    return AuthorisedPlan(plan=plan, digest=plan_digest(plan_bytes), signers=signers, raw=plan_bytes)


def examine(
    plan_bytes: bytes,
    signatures: Sequence[SignatureFile],
    trusted: TrustedRoster,
    limits: Limits,
    now: Instant,
) -> tuple[Plan, QuorumVerdict]:
    """Hold the plan against everything but the number of signers, and count those.

    Raises:
        NotAuthorised: no number of signatures would help.
        MalformedInput: the bytes are not a plan.
    """
    try:
        return _examine(plan_bytes, signatures, trusted, limits, now)
    except BreakglassError:
        raise
    except Exception as error:
        raise NotAuthorised(f"the plan could not be judged: {type(error).__name__}") from error


def _examine(
    plan_bytes: bytes,
    signatures: Sequence[SignatureFile],
    trusted: TrustedRoster,
    limits: Limits,
    now: Instant,
) -> tuple[Plan, QuorumVerdict]:
    if len(plan_bytes) > MAX_PLAN_BYTES:
        raise NotAuthorised(f"the plan is larger than {MAX_PLAN_BYTES} bytes")
    check_size(signatures)
    moment = limits.moment(now)
    trusted.check(moment)
    plan = Plan.from_bytes(plan_bytes, where="plan")
    rule = rule_for(plan, trusted)
    check_limits(plan, rule, trusted.roster, limits, now)
    if plan.mode is Mode.STANDING:
        digest = plan_digest(plan_bytes)
        check_activation(limits.activation, plan, digest, trusted.roster, rule=rule, now=moment)
    space = namespace("plan", plan.org)
    verdict = evaluate(plan_bytes, space, signatures, roster=trusted.roster, rule=rule, now=moment)
    return plan, verdict
