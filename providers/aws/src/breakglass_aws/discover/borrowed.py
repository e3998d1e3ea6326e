"""Finds roles that are not the agent's and of which it may hold a session that outlives the stop.

It may have assumed one by the account's own trust, or have read the credentials of what runs as one: those
of a function are in its environment, those of an instance in its metadata (IAM User Guide, "IAM roles").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_aws.account import Account
from breakglass_aws.discover.principals import SERVICE_PATHS, Principal
from breakglass_aws.found import Found

MOST_PRINCIPALS = 20
"""So many of the agent's are asked about, one call for 50 roles; the rest is said to be unread."""
ROLES_A_CALL = 50


def assumable(
    account: Account, own: Sequence[str], principals: Sequence[Principal]
) -> tuple[Sequence[Principal], Sequence[str]]:
    """Return the roles that trust the whole account and that one of `own` may assume, and what was not read.

    Raises:
        ProviderError: the evaluator does not answer.
    """
    whole = {account.arn("iam", "root", region=""), account.id, "*"}
    roles = {
        one.arn: one
        for one in principals
        if one.key == "roles"
        and one.arn not in own
        and not one.path.startswith(SERVICE_PATHS)
        and whole.intersection(one.trusts)
    }
    arns = list(roles)
    found: set[str] = set()
    for arn in own[:MOST_PRINCIPALS] if arns else ():
        for start in range(0, len(arns), ROLES_A_CALL):
            found.update(_allowed(account, arn, arns[start : start + ROLES_A_CALL]))
    left = len(own) - MOST_PRINCIPALS
    unread = (f"which roles {left} of the agent's principals may assume was not read",)
    return [roles[arn] for arn in arns if arn in found], unread if left > 0 and arns else ()


def _allowed(account: Account, arn: str, roles: Sequence[str]) -> Iterator[str]:
    results = account.pages(
        "iam",
        "simulate_principal_policy",
        "EvaluationResults",
        PolicySourceArn=arn,
        ActionNames=["sts:AssumeRole"],
        ResourceArns=list(roles),
    )
    for one in results:
        for each in one.get("ResourceSpecificResults") or ():
            if each.get("EvalResourceDecision") == "allowed":
                yield str(each["EvalResourceName"])
        if one.get("EvalDecision") == "allowed":
            yield str(one.get("EvalResourceName"))


def workload_roles(
    account: Account, found: Found, principals: Sequence[Principal]
) -> Iterator[tuple[str, str]]:
    """Yield (role, what runs as it) of the agent's functions and instances whose role is not the agent's.

    Raises:
        ProviderError: a listing failed.
    """
    known = {one.rpartition("/")[2] for one in found.of("roles")}
    for role, what in (*_functions(account, found), *_instances(account, found, principals)):
        if role and role not in known:
            yield role, what


def _functions(account: Account, found: Found) -> Iterator[tuple[str, str]]:
    own = set(found.of("functions"))
    for item in account.pages("lambda", "list_functions", "Functions") if own else ():
        if item["FunctionName"] in own:
            yield str(item.get("Role", "")).rpartition("/")[2], f"function {item['FunctionName']}"


def _instances(account: Account, found: Found, principals: Sequence[Principal]) -> Iterator[tuple[str, str]]:
    own = list(found.of("instances"))
    roles: Mapping[str, str] = {profile: one.name for one in principals for profile in one.profiles}
    wanted: list[Any] = [{"Name": "instance-id", "Values": own}]
    for page in account.pages("ec2", "describe_instances", "Reservations", Filters=wanted) if own else ():
        for item in page["Instances"]:
            profile = str(item.get("IamInstanceProfile", {}).get("Arn", "")).rpartition("/")[2]
            yield roles.get(profile, ""), f"instance {item['InstanceId']}"


def friend(one: Principal) -> ProposedDoor:
    """Return the door of a role that the agent may assume: sessions that it has of it live on."""
    return _door(one.name, "the agent may assume it: a session that it made of it lives up to 12 h")


def runs_as(role: str, what: str) -> ProposedDoor:
    """Return the door of a role that something of the agent's runs as, and that no step denies."""
    return _door(role, f"{what} runs as it: whoever read its credentials there can go on with them for hours")


def _door(role: str, reason: str) -> ProposedDoor:
    remedy = f"name it in roles, or the agent's sessions of it in role_sessions ({role}/*), and stop again"
    return ProposedDoor(
        Door(DoorKind.CAN_MINT, f"sessions of role/{role}", reason, remedy, "", (), Verdict.UNKNOWN)
    )
