"""Proves a deny: asks IAM's own evaluator, then tries a call as the agent where its credential is held.

SimulatePrincipalPolicy evaluates identity policies, boundaries and SCPs, not resource or session policies
(IAM API reference); an explicit deny wins over both. An answer that is not a refusal of the agent's
right (throttled, expired, not reachable, a wrong signature) proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_aws.account import Account
from breakglass_aws.canary import named, short
from breakglass_aws.executor import Keys
from breakglass_aws.refusals import DEAD_KEY, DENIED, EXPIRED, code_of, not_by_a_deny_of_identity
from breakglass_aws.renamed import arn_now

TRIED_ACTIONS = (
    "bedrock:CallWithBearerToken",
    "bedrock:InvokeModel",
    "ec2:RunInstances",
    "iam:AttachRolePolicy",
    "iam:CreateAccessKey",
    "lambda:InvokeFunction",
    "s3:GetObject",
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
    "sts:AssumeRole",
)
"""What an agent would do next; a deny of everything denies each."""
EXPLICIT = "explicitDeny"


def judge_principal(  # noqa: PLR0913 - who, what, on what, in which context, with which call
    account: Account,
    arn: str,
    actions: Sequence[str] = TRIED_ACTIONS,
    resource: str = "*",
    *,
    call: str = "",
    why_no_call: str = "",
    context: Mapping[str, str] | None = None,
    unique_id: str = "",
) -> Judgement:
    """Decide whether this principal is refused: by the evaluator and, with `call`, as the principal itself.

    `call` names a call of `canary`; `context` gives condition keys, e.g. ``aws:userid`` of one session. A
    user with a `unique_id` is found under another name; a role that was made again, under another path.

    Raises:
        ProviderError: the evaluator does not answer.
    """
    said = _simulated(account, arn, actions, resource, context or {})
    if said is None and (now := arn_now(account, arn, unique_id)) not in (None, arn):
        said = _simulated(account, str(now), actions, resource, context or {})
    if said is None:
        reason = f"{short(arn)} does not exist any more"
        return Judgement(Verdict.CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
    if said.verdict is not Verdict.CONTAINED:
        return said
    if not call:
        return Judgement(
            said.verdict, f"{said.reason} ({why_no_call})" if why_no_call else said.reason, said.grade
        )
    keys = account.agent_keys(short(arn))
    if keys is None:
        return Judgement(said.verdict, f"{said.reason}; the agent's credential is not held now", said.grade)
    return _with_its_own(said, *_tried(account, keys, call))


def judge_dead_key(account: Account, keys: Keys) -> Judgement:
    """Decide whether a long-term key is dead: then even GetCallerIdentity is refused."""
    try:
        account.call_as(keys, "sts", "get_caller_identity")
    except ProviderError as error:
        code = code_of(error)
        if code in DEAD_KEY:
            reason = f"key {keys.access_key_id} is refused ({code})"
            return Judgement(Verdict.CONTAINED, reason, Grade.REFUSED_AS_AGENT)
        return Judgement(
            Verdict.UNKNOWN, f"key {keys.access_key_id} proves nothing: {error.what}", Grade.NONE
        )
    return Judgement(Verdict.NOT_CONTAINED, f"key {keys.access_key_id} still works", Grade.REFUSED_AS_AGENT)


def _simulated(
    account: Account, arn: str, actions: Sequence[str], resource: str, context: Mapping[str, str]
) -> Judgement | None:
    """Return what the evaluator says; None: there is no such principal."""
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context.items()
    ]
    params: dict[str, Any] = {"ContextEntries": entries} if entries else {}
    try:
        results = list(
            account.pages(
                "iam",
                "simulate_principal_policy",
                "EvaluationResults",
                PolicySourceArn=arn,
                ActionNames=list(actions),
                ResourceArns=[resource],
                **params,
            )
        )
    except Gone:
        return None
    decisions = {str(one["EvalActionName"]): one for one in results}
    if missing := sorted(set(actions) - decisions.keys()):
        return Judgement(Verdict.UNKNOWN, f"the evaluator says nothing of {', '.join(missing)}", Grade.NONE)
    left = sorted(name for name, one in decisions.items() if not _denied(one))
    if left:
        reason = f"{short(arn)} is not denied: {', '.join(left)}"
        return Judgement(Verdict.NOT_CONTAINED, reason[:500], Grade.PLATFORM_EVALUATOR)
    reason = (
        f"IAM's evaluator: {len(decisions)} of {len(decisions)} actions of {short(arn)} denied explicitly"
    )
    return Judgement(Verdict.CONTAINED, reason, Grade.PLATFORM_EVALUATOR)


def _denied(result: Mapping[str, Any]) -> bool:
    """Return whether no allow anywhere can win: an explicit deny, or an SCP that does not allow it."""
    allowed_above = result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations")
    decision = result["EvalDecision"]
    return decision == EXPLICIT or (allowed_above is False and decision != "allowed")


def _tried(account: Account, keys: Keys, call: str) -> tuple[Verdict, str]:
    """Return what a call as the agent says: contained for a refusal, not contained for an answer."""
    canary = named(call)
    try:
        account.call_as(keys, canary.service, canary.operation, **canary.params)
    except ProviderError as error:
        code = code_of(error)
        if code in DENIED and not_by_a_deny_of_identity(error):
            return Verdict.UNKNOWN, f"{canary.action} as the agent is refused, but not by the deny"
        if code in DENIED:
            return Verdict.CONTAINED, f"{canary.action} as the agent is refused ({code})"
        if code in DEAD_KEY:
            # Whoever holds another session of the same principal is not refused by that.
            return (
                Verdict.UNKNOWN,
                f"the agent's key is off ({code}): of the deny it proves nothing",
            )
        if code in EXPIRED:
            return Verdict.UNKNOWN, "the agent's session that is held has expired: it proves nothing"
        return Verdict.UNKNOWN, f"{canary.action} as the agent proves nothing: {error.what}"
    return Verdict.NOT_CONTAINED, f"{canary.action} as the agent still works"


def _with_its_own(said: Judgement, verdict: Verdict, reason: str) -> Judgement:
    if verdict is Verdict.CONTAINED:
        return Judgement(verdict, f"{reason}; {said.reason}", Grade.REFUSED_AS_AGENT)
    if verdict is Verdict.NOT_CONTAINED:
        return Judgement(verdict, reason, Grade.REFUSED_AS_AGENT)
    return Judgement(said.verdict, f"{said.reason}; {reason}", said.grade)
