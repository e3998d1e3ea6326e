"""Rules on a call (`authority.Authority`): collects every policy that speaks about it, asks the evaluator."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass_aws.sandbox import assume, callers, resource_policies
from breakglass_aws.sandbox.authority import Ruling
from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.evaluator import Decision, Inputs, Policy, Principal, Request, decide
from breakglass_aws.sandbox.evaluator.decide import ALLOWED, EXPLICIT, IMPLICIT, RESOURCE
from breakglass_aws.sandbox.names import Check, checks
from breakglass_aws.sandbox.views import VIEWS

UNDENIABLE = {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken")}
"""GetCallerIdentity: "No permissions are required ... even if an administrator adds a policy that explicitly
denies" (AWS STS API Reference); GetSessionToken: "you cannot use policies to control authentication
operations"
(IAM User Guide "Request temporary security credentials")."""
ASSUMES = ("AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML")
NO_ROLE = "because no resource-based policy allows it: no such role"
WITH_RCPS = ("s3", "sts", "sqs", "kms", "secretsmanager")
"""Organizations User Guide "Resource control policies": services that support them."""
WORDS = {
    "identity": "identity-based policy",
    "resource": "resource-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "scp": "service control policy",
    "rcp": "resource control policy",
}


def authorise(call: Call, identity: Identity, now_s: float) -> Ruling:
    """Rule on a call of somebody who is authenticated.

    Raises:
        NoRule: nobody wrote down which resource the operation names.
        PolicyError: a policy says something that the evaluator does not know.
    """
    if (call.service, call.operation) in UNDENIABLE:
        return _ruled(ALLOWED, f"{call.service}:{call.operation}", "*", "needs no permission")
    if call.service == "sts" and call.operation in ASSUMES:
        return may_assume(call, identity, str(call.params.get("RoleArn", "")), now_s)
    limited = callers.refused_to_session(call, identity)
    if limited is not None:
        return _ruled(IMPLICIT, f"{call.service}:{call.operation}", "*", limited)
    ruling = None
    for check in checks(call):
        ruling = _rule(check, call, identity, now_s)
        if not ruling.allowed:
            return ruling
    if ruling is None:
        raise AssertionError(f"{call.service} {call.operation} asks nothing of IAM")
    return ruling


def may_assume(call: Call, identity: Identity | None, role_arn: str, now_s: float) -> Ruling:
    """Rule on AssumeRole and its kin: the trust policy, and the caller's own. None: an outsider."""
    role = assume.role_of(role_arn, now_s)
    action = f"sts:{call.operation}"
    if role is None:
        return _ruled(IMPLICIT, action, role_arn, NO_ROLE)
    ruling = None
    for one in assume.actions(call):
        keys = assume.keys(call, role)
        if identity is None:
            principal, inputs = assume.outsider(call, role), Inputs()
        else:
            principal, inputs = callers.principal(identity, now_s), callers.policies(identity, now_s)
            keys = {**keys, **callers.keys(identity, call.source_ip, now_s)}
        inputs = assume.with_trust(inputs, role)
        request = Request(principal, one, role.arn, role.arn.split(":")[4], keys)
        ruling = _ruling(request, decide(request, inputs))
        if not ruling.allowed:
            return ruling
    return ruling or _ruled(IMPLICIT, action, role_arn, "because nothing was asked")


def service_may(service: str, action: str, resource: str, keys: Mapping[str, str]) -> Ruling:
    """Rule on a service that calls by its own name (``events.amazonaws.com``): its policy alone."""
    account = resource.split(":")[4] if resource.count(":") >= 5 else ""  # noqa: PLR2004 - the parts of an ARN
    principal = Principal("service", service, account)
    found = {key.lower(): (value,) for key, value in keys.items()}
    found |= {"aws:principalisawsservice": ("true",), "aws:principalservicename": (service,)}
    request = Request(principal, action, resource, _account_of(resource, account), found)
    return _ruling(
        request, decide(request, Inputs(resource=resource_policies.of(resource), resource_decides=True))
    )


def service_may_assume(service: str, role_arn: str, now_s: float, action: str = "sts:AssumeRole") -> Ruling:
    """Rule on a service that takes a role: the trust policy names it, or it does not."""
    role = assume.role_of(role_arn, now_s)
    if role is None:
        return _ruled(IMPLICIT, action, role_arn, NO_ROLE)
    account = role.arn.split(":")[4]
    request = Request(Principal("service", service, account), action, role.arn, account, {})
    return _ruling(request, decide(request, assume.with_trust(Inputs(), role)))


def _rule(check: Check, call: Call, identity: Identity, now_s: float) -> Ruling:
    own = callers.policies(identity, now_s)
    owner = _account_of(check.resource, identity.account)
    at_resource = resource_policies.of(check.resource)
    if identity.kind == "root":  # of a member account limited by SCPs, of the management account by nothing
        at_resource = at_resource if owner != identity.account else ()
    key_policy = check.resource.split(":")[2:3] == ["kms"] and bool(at_resource) and identity.kind != "root"
    inputs = Inputs(
        own.identity,
        own.boundary,
        own.session,
        at_resource,
        own.scps,
        _rcps(check, owner, now_s),
        resource_decides=key_policy,
    )
    keys = {**check.keys, **callers.keys(identity, call.source_ip, now_s), **_of_resource(owner, now_s)}
    request = Request(callers.principal(identity, now_s), check.action, check.resource, owner, keys)
    return _ruling(request, decide(request, inputs))


def _rcps(check: Check, owner: str, now_s: float) -> tuple[tuple[Policy, ...], ...]:
    org = VIEWS.organization(now_s)
    if org is None or check.action.partition(":")[0] not in WITH_RCPS:
        return ()
    return callers.parsed_levels(org.policies(owner, "RESOURCE_CONTROL_POLICY"), "rcp")


def _of_resource(owner: str, now_s: float) -> dict[str, tuple[str, ...]]:
    org = VIEWS.organization(now_s)
    found: dict[str, tuple[str, ...]] = {"aws:resourceaccount": (owner,)}
    return {**found, "aws:resourceorgid": (org.id,)} if org is not None and owner in org.levels else found


def _account_of(resource: str, default: str) -> str:
    parts = resource.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - the parts of an ARN
        return default
    if parts[2] == "s3":
        found = resource_policies.bucket(parts[5].partition("/")[0])
        return str(found.account_id) if found is not None else default
    return parts[4] if parts[4].isdigit() else default


def _ruling(request: Request, decision: Decision) -> Ruling:
    return _ruled(decision.kind, request.action, request.resource, _why(decision, request.action))


def _ruled(kind: str, action: str, resource: str, why: str) -> Ruling:
    return Ruling(kind == ALLOWED, kind, action, resource, why)


def _why(decision: Decision, action: str) -> str:
    """Say it as AWS does (IAM User Guide "Access denied error messages")."""
    if decision.allowed:
        return f"allowed by {', '.join(decision.statements)}"
    words = WORDS[decision.source]
    article = "an" if words.startswith("i") else "a"
    if decision.kind == EXPLICIT:
        return f"with an explicit deny in {article} {words}"
    if decision.source == RESOURCE:
        return f"because no resource-based policy allows the {action} action"
    return f"because no {words} allows the {action} action"
