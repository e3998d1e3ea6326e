"""Writes the executor's least rights as IAM policy documents, from what the actions declare.

`documents` gives one whole document for a purpose, `split` pieces of it that each fit a managed policy. The
denies are what a responder's role should never be able to do, whatever else it is given later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from breakglass.canon import Json, JsonObject
from breakglass.model.action import ActionSpec
from breakglass.model.resource import Reach
from breakglass_aws import parts
from breakglass_aws.forbidden import FORBIDDEN
from breakglass_aws.settings import AWS_DENY_ALL, AwsSettings

STOP, RESTORE = "stop", "restore"
LONGEST_POLICY = 6144
"""Characters of a managed policy, white space not counted (IAM User Guide, "IAM and AWS STS quotas")."""
ALWAYS = ("iam:SimulatePrincipalPolicy", "sts:GetCallerIdentity")
DISCOVERY = (
    "cloudtrail:LookupEvents",
    "ec2:DescribeInstances",
    "ecs:DescribeServices",
    "ecs:DescribeTaskDefinition",
    "ecs:ListTaskDefinitionFamilies",
    "iam:GetAccountAuthorizationDetails",
    "iam:GetRole",
    "iam:GetUser",
    "lambda:ListFunctions",
    "tag:GetResources",
)
"""What planning reads beside what the actions observe."""
NEVER = frozenset({"sts:AssumeRole"})
_BY_POLICY = frozenset(
    {"iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:DetachRolePolicy", "iam:DetachUserPolicy"}
)
_BY_BOUNDARY = frozenset({"iam:PutRolePermissionsBoundary", "iam:PutUserPermissionsBoundary"})
_PASSED_TO = {"eks": "pods.eks.amazonaws.com", "ecs": "ecs-tasks.amazonaws.com"}
"""Whom a role is handed to (iam:PassedToService), where that is not called as its actions are."""


def documents(purpose: str, reaches: Sequence[Reach]) -> Sequence[JsonObject]:
    """Return the policy for ``stop`` or ``restore``.

    Reaches name the policies that it may attach, and the executor's own role, whose rights it may not write.
    """
    wanted = needed(purpose)
    policies = _quarantine_policies(reaches)
    statements = _iam(wanted, policies, purpose) + _others(wanted)
    if "iam:PassRole" in wanted:
        statements.append(_pass_role(purpose))
    statements.append(_statement("Never", "Deny", denied()))
    if roles := sorted(
        {as_role for reach in reaches if (as_role := AwsSettings.of(reach.settings).text("as"))}
    ):
        own: list[Json] = [*roles]
        writes = [name for name in sorted(wanted) if name.startswith("iam:") and not _reads(name)]
        statements.append(
            {**_statement("NotItself", "Deny", set(writes) - {"iam:PassRole"}), "Resource": own}
        )
    return [_document(statements)]


def needed(purpose: str) -> frozenset[str]:
    """Return the IAM actions that a purpose needs, discovery included: a restore is planned as well."""
    wanted = {*ALWAYS, *DISCOVERY}
    for spec in parts.SPECS:
        wanted.update(_of(spec, purpose))
    return frozenset(wanted - NEVER)


def context(quarantine_policy: str) -> Mapping[str, str]:
    """Return the condition keys under which these rights hold, for a simulation of them."""
    handed = sorted(service for purpose in (STOP, RESTORE) for service in _handed_to(purpose))
    return {
        "iam:PolicyARN": quarantine_policy,
        "iam:PermissionsBoundary": quarantine_policy,
        **({"iam:PassedToService": handed[0]} if handed else {}),
    }


def denied() -> frozenset[str]:
    """Return what a responder should be denied; nothing in it hits what a stop or a restore needs.

    `iam:PassRole` is left to its condition where an action hands a role back to its service.
    """
    wanted = {action.lower() for action in needed(STOP) | needed(RESTORE)}
    return frozenset(
        pattern for pattern in FORBIDDEN if not any(fnmatchcase(action, pattern.lower()) for action in wanted)
    )


def split(document: JsonObject, limit: int = LONGEST_POLICY) -> Sequence[JsonObject]:
    """Return documents that together say the same, each at most `limit` characters long."""
    pieces: list[list[JsonObject]] = [[]]
    for statement in _halved(document, limit):
        if pieces[-1] and _length([*pieces[-1], statement]) > limit:
            pieces.append([])
        pieces[-1].append(statement)
    return [_document(piece) for piece in pieces]


def _of(spec: ActionSpec, purpose: str) -> Iterable[str]:
    return spec.permissions if purpose == STOP else (spec.undo_permissions or spec.permissions)


def _quarantine_policies(reaches: Sequence[Reach]) -> list[str]:
    named = {AwsSettings.of(reach.settings).quarantine_policy for reach in reaches if reach.provider == "aws"}
    return sorted(named or {AWS_DENY_ALL})


def _iam(wanted: frozenset[str], policies: list[str], purpose: str) -> list[JsonObject]:
    """Return IAM's statements: attaching is bound to the policies that deny everything."""
    only: list[Json] = [*policies]
    attach: JsonObject = {"Condition": {"ArnEquals": {"iam:PolicyARN": only}}}
    # Restore puts back whatever boundary was there: no condition can name it ahead.
    bound: JsonObject = {"Condition": {"ArnEquals": {"iam:PermissionsBoundary": only}}}
    rest = {name for name in wanted if name.startswith("iam:")} - _BY_POLICY - _BY_BOUNDARY - {"iam:PassRole"}
    reads = {name for name in rest if _reads(name)}
    versions = {name for name in rest - reads if "PolicyVersion" in name}
    roles = {name for name in rest - reads if "Role" in name}
    statements: tuple[JsonObject, ...] = (
        {**_statement("AttachOnlyDenies", "Allow", wanted & _BY_POLICY), **attach},
        {
            **_statement("Boundaries", "Allow", wanted & _BY_BOUNDARY),
            **(bound if purpose == STOP else {}),
        },
        _statement("IamReads", "Allow", reads),
        _statement("Roles", "Allow", roles),
        _statement("Users", "Allow", rest - reads - versions - roles),
        _statement("ClassSwitch", "Allow", versions),
    )
    return [one for one in statements if one["Action"]]


def _reads(action: str) -> bool:
    return action.startswith(("iam:Get", "iam:List", "iam:Simulate"))


def _others(wanted: frozenset[str]) -> list[JsonObject]:
    """Return one statement for each other service."""
    services: dict[str, list[str]] = {}
    for action in sorted(wanted):
        service = action.partition(":")[0]
        if service != "iam":
            services.setdefault(service, []).append(action)
    sids = ("".join(part.title() for part in service.split("-")) for service in services)
    return [_statement(sid, "Allow", names) for sid, names in zip(sids, services.values(), strict=True)]


def _pass_role(purpose: str) -> JsonObject:
    """Return the right to hand a role back to the service that had it, and to no other."""
    statement = _statement("HandBackRoles", "Allow", ["iam:PassRole"])
    services: list[Json] = [*sorted(_handed_to(purpose))]
    return {**statement, "Condition": {"StringEquals": {"iam:PassedToService": services}}}


def _handed_to(purpose: str) -> frozenset[str]:
    kinds = {spec.name.split(".")[1] for spec in parts.SPECS if "iam:PassRole" in _of(spec, purpose)}
    return frozenset(_PASSED_TO.get(kind, f"{kind}.amazonaws.com") for kind in kinds)


def _statement(sid: str, effect: str, actions: Iterable[str]) -> JsonObject:
    """Return one statement; each IAM action here is about one kind of resource, whose names change daily."""
    listed: list[Json] = [*sorted(actions)]
    return {"Sid": sid, "Effect": effect, "Action": listed, "Resource": "*"}


def _document(statements: Sequence[JsonObject]) -> JsonObject:
    listed: list[Json] = [*statements]
    return {"Version": "2012-10-17", "Statement": listed}


def _length(statements: Sequence[JsonObject]) -> int:
    return len(json.dumps(_document(statements), separators=(",", ":")))


def _halved(document: JsonObject, limit: int) -> list[JsonObject]:
    """Return the statements, those that alone are too long cut by their actions."""
    found = document["Statement"]
    waiting = [one for one in (found if isinstance(found, list) else []) if isinstance(one, dict)]
    done: list[JsonObject] = []
    while waiting:
        statement = waiting.pop(0)
        actions = statement["Action"]
        if not isinstance(actions, list) or len(actions) < 2 or _length([statement]) <= limit:  # noqa: PLR2004 - one action is not cut
            done.append(statement)
            continue
        middle = len(actions) // 2
        sid = str(statement["Sid"])
        halves = ((f"{sid}A", actions[:middle]), (f"{sid}B", actions[middle:]))
        waiting[:0] = [{**statement, "Sid": name, "Action": part} for name, part in halves]
    return done
