"""Asks before anyone signs whether the executor may do each step, and whether it would cut its own branch.

SimulatePrincipalPolicy evaluates identity policies, boundaries and SCPs (IAM API reference); session
policies and resource policies it does not, so "may" here can still be refused later, and is then open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.errors import Gone, ProviderError
from breakglass.model.plan import Step
from breakglass.provider import Finding
from breakglass_aws import parts
from breakglass_aws.account import Account
from breakglass_aws.caller import principal_of
from breakglass_aws.permissions import context

MOST_ACTIONS = 100
"""In one simulation; a response pages at 100 (IAM API reference, SimulatePrincipalPolicy)."""
ALLOWED = "allowed"


def preflight(account: Account, caller: str, steps: Sequence[Step]) -> Sequence[Finding]:
    """Return one finding a step: allowed, refused with the actions that are missing, or not known."""
    needs = {spec.name: spec.permissions for spec in parts.SPECS}
    principal = principal_of(caller)
    if principal is None:
        said = f"{caller} is the root of the account: only SCPs limit it"
        return [Finding(step.n, ok=True, message=said) for step in steps]
    wanted = sorted({action for step in steps for action in needs.get(step.action, ())})
    try:
        decisions = _decisions(account, principal, wanted)
    except ProviderError as error:
        # Not a reason to leave the agent alone: each step meets its own refusal, and is then open.
        said = f"whether {caller} may do this is not known: {error}"
        return [Finding(step.n, ok=True, message=said[:500]) for step in steps]
    return [_finding(step, caller, principal, needs, decisions) for step in steps]


def _finding(
    step: Step,
    caller: str,
    principal: str,
    needs: Mapping[str, Sequence[str]],
    decisions: Mapping[str, str],
) -> Finding:
    own = principal.rpartition(":")[2]
    kind, _, path = own.partition("/")
    name = f"{kind}/{path.rpartition('/')[2]}"
    if str(step.target.params.get("principal", step.target.id)) in {principal, name}:
        return Finding(
            step.n, ok=False, message=f"this would cut off the executor itself: {caller}", alone=True
        )
    missing = [action for action in needs.get(step.action, ()) if decisions.get(action) != ALLOWED]
    if missing:
        words = ", ".join(f"{action} ({decisions.get(action, 'not answered')})" for action in missing)
        return Finding(step.n, ok=False, message=f"{caller} may not: {words}"[:500], alone=True)
    return Finding(step.n, ok=True, message=f"{caller} may do this")


def _decisions(account: Account, principal: str, actions: Sequence[str]) -> Mapping[str, str]:
    """Return what the evaluator says of each action.

    Raises:
        ProviderError: it does not answer, or the executor may not ask.
    """
    found: dict[str, str] = {}
    # Without them, a right that holds under a condition alone would count as missing.
    entries = [
        {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
        for key, value in context(account.settings.quarantine_policy).items()
    ]
    for start in range(0, len(actions), MOST_ACTIONS):
        results = account.pages(
            "iam",
            "simulate_principal_policy",
            "EvaluationResults",
            PolicySourceArn=_with_path(account, principal),
            ActionNames=list(actions[start : start + MOST_ACTIONS]),
            ContextEntries=entries,
        )
        found |= {str(item["EvalActionName"]): str(item["EvalDecision"]) for item in results}
    return found


def _with_path(account: Account, principal: str) -> str:
    """Return a role's whole ARN: a session's lacks the path."""
    if ":role/" not in principal:
        return principal
    try:
        return str(account.call("iam", "get_role", RoleName=principal.rpartition("/")[2])["Role"]["Arn"])
    except Gone:
        return principal
