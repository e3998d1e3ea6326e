"""Answers SimulatePrincipalPolicy and SimulateCustomPolicy from the state of now, without any delay.

Source: IAM API Reference "SimulatePrincipalPolicy"; IAM User Guide "IAM policy testing with the IAM policy
simulator": no session policies, no resource policies but one given, and it "does not evaluate service control
policies (SCPs) that have any conditions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from breakglass_aws.sandbox import callers
from breakglass_aws.sandbox.call import Call, Handler, Refusal
from breakglass_aws.sandbox.evaluator import (
    Decision,
    Inputs,
    Policy,
    PolicyError,
    Principal,
    Request,
    decide,
    parse,
)
from breakglass_aws.sandbox.org_entities import SCPS
from breakglass_aws.sandbox.views import NOW, VIEWS

NOT_FOUND = 404
WORDS = {"allowed": "allowed", "explicit_deny": "explicitDeny", "implicit_deny": "implicitDeny"}
EVERYTHING = parse({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}, "everything")
PAGE = 100


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose policies are simulated."""

    principal: Principal
    inputs: Inputs


def simulate_principal(call: Call) -> Mapping[str, Any]:
    """Answer SimulatePrincipalPolicy."""
    return _simulate(call, _subject(call, str(call.params["PolicySourceArn"])))


def simulate_custom(call: Call) -> Mapping[str, Any]:
    """Answer SimulateCustomPolicy: only the policies that were given, and no SCP."""
    return _simulate(call, Subject(_caller(call, ""), Inputs()))


def _subject(call: Call, arn: str) -> Subject:
    kind, _, path = arn.rpartition(":")[2].partition("/")
    account, name = (arn.split(":") + [""] * 5)[4], path.rpartition("/")[2]
    if not arn.startswith("arn:aws:iam::") or kind not in ("role", "user", "group"):
        raise Refusal(
            "InvalidInput", f"Invalid entity ARN: {arn}: only users, groups and roles are simulated"
        )
    found: Any = {"role": VIEWS.role, "user": VIEWS.user, "group": VIEWS.group}[kind](account, name, NOW)
    if found is None or found.arn != arn:
        raise Refusal("NoSuchEntity", f"Entity {arn} does not exist", NOT_FOUND)
    linked = kind == "role" and found.service_linked
    scps = () if linked else _scps(account)
    if kind == "group":
        policies = (*callers.parse_all(found.inline), *callers.managed(found.attached, account, NOW))
        return Subject(_caller(call, ""), Inputs(identity=policies, scps=scps))
    inputs = Inputs(callers.of_entity(found, account, NOW), callers.boundary(found, account, NOW), scps=scps)
    return Subject(_caller(call, arn), inputs)


def _caller(call: Call, default: str) -> Principal:
    arn = str(call.params.get("CallerArn") or default)
    if call.params.get("ResourcePolicy") and ":user/" not in arn:
        raise Refusal("InvalidInput", "a resource policy is simulated for the ARN of a user only")
    return Principal("user", arn, (arn.split(":") + [""] * 5)[4] or call.account)


def _scps(account: str) -> tuple[tuple[Policy, ...], ...]:
    """Return the SCPs without those that have conditions; a level that has nothing else limits nothing."""
    org = VIEWS.organization(NOW)
    levels = callers.parsed_levels(org.policies(account, SCPS), "scp") if org is not None else ()
    kept = []
    for level in levels:
        plain = tuple(one for one in level if not any(statement.conditions for statement in one.statements))
        kept.append(plain if plain or not level else (EVERYTHING,))
    return tuple(kept)


def _simulate(call: Call, subject: Subject) -> Mapping[str, Any]:
    try:
        inputs = _with_given(call, subject.inputs)
        pairs = [
            (action, arn)
            for action in call.params["ActionNames"]
            for arn in call.params.get("ResourceArns") or ("*",)
        ]
        start, size = int(call.params.get("Marker") or 0), int(call.params.get("MaxItems") or PAGE)
        results = [_result(call, subject.principal, inputs, pair) for pair in pairs[start : start + size]]
    except PolicyError as error:
        raise Refusal("InvalidInput", str(error)) from error
    if start + size < len(pairs):
        return {"EvaluationResults": results, "IsTruncated": True, "Marker": str(start + size)}
    return {"EvaluationResults": results, "IsTruncated": False}


def _with_given(call: Call, inputs: Inputs) -> Inputs:
    given = _given(call.params.get("PolicyInputList"), "PolicyInputList")
    boundary = call.params.get("PermissionsBoundaryPolicyInputList")
    resource = call.params.get("ResourcePolicy")
    return replace(
        inputs,
        identity=(*inputs.identity, *given),
        boundary=_given(boundary, "PermissionsBoundaryPolicyInputList") if boundary else inputs.boundary,
        resource=_given([resource], "ResourcePolicy") if resource else (),
    )


def _given(documents: Iterable[str] | None, name: str) -> tuple[Policy, ...]:
    return tuple(parse(text, f"{name}.{n}") for n, text in enumerate(documents or (), 1))


def _result(call: Call, who: Principal, inputs: Inputs, pair: tuple[str, str]) -> Mapping[str, Any]:
    action, arn = pair
    if action.count(":") != 1:
        raise Refusal("InvalidInput", f"Invalid Action: {action}")
    keys = {
        one["ContextKeyName"].lower(): tuple(one.get("ContextKeyValues") or ())
        for one in call.params.get("ContextEntries") or ()
    }
    request = Request(who, action, arn, who.account, keys)
    decision = decide(request, inputs)
    made: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": arn,
        "EvalDecision": WORDS[decision.kind],
        "MatchedStatements": [_matched(one, decision) for one in decision.statements],
        "MissingContextValues": _missing(inputs, keys),
    }
    if inputs.scps:
        above = decide(request, Inputs(identity=(EVERYTHING,), scps=inputs.scps))
        made["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": above.allowed}
    if inputs.boundary is not None:
        within = decide(request, Inputs(identity=(EVERYTHING,), boundary=inputs.boundary))
        made["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": within.allowed}
    return made


def _matched(name: str, decision: Decision) -> dict[str, str]:
    policy = name.rpartition("/")[0]
    kind = "Resource Policy" if decision.source == "resource" else "IAM Policy"
    return {"SourcePolicyId": policy, "SourcePolicyType": kind}


def _missing(inputs: Inputs, keys: Mapping[str, object]) -> list[str]:
    """Return the keys that conditions ask for and nobody gave: the simulator fills in none by itself."""
    policies = (*inputs.identity, *(inputs.boundary or ()), *inputs.resource)
    asked = {
        one.key for policy in policies for statement in policy.statements for one in statement.conditions
    }
    return sorted(key for key in asked if key.lower() not in keys)


HANDLERS: Mapping[tuple[str, str], Handler] = {
    ("iam", "SimulatePrincipalPolicy"): simulate_principal,
    ("iam", "SimulateCustomPolicy"): simulate_custom,
}
