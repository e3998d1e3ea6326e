"""Finds who else uses a role of the agent's: whoever does is cut off with it, and people must know before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass_aws.account import Account
from breakglass_aws.discover.principals import Principal
from breakglass_aws.found import Found
from breakglass_aws.lambda_timeouts import modified

_Use = tuple[str, str, int | None]
"""A role's ARN, who uses it, and since when (Unix time)."""
MOST_FAMILIES = 100
"""Task definitions are read one by one; what lies beyond is said to be unread."""


@dataclass(frozen=True, slots=True)
class Sharers:
    """The other users of the agent's roles, by role name."""

    others: Mapping[str, tuple[str, ...]]
    """Those that were there before the harm began: without consent the role is left alone for them."""
    late: Mapping[str, tuple[str, ...]]
    """Those that appeared or changed since: whoever may hand on its own role could veto its stop by one."""
    failed: Sequence[str]
    """Which listings failed."""


def sharers(
    account: Account, found: Found, principals: Sequence[Principal], since: Instant | None
) -> Sharers:
    """Return who else uses each of the agent's roles; None: nobody said when the harm began."""
    roles = {one.arn: one.name for one in principals if one.key == "roles" and one.name in _names(found)}
    before: dict[str, list[str]] = {name: [] for name in roles.values()}
    late: dict[str, list[str]] = {name: [] for name in roles.values()}
    failed: list[str] = []
    for what, look in (("functions", _functions), ("task definitions", _families), ("instances", _instances)):
        try:
            for arn, user, at_ms in look(account, found, principals):
                if arn in roles:
                    new = since is not None and at_ms is not None and at_ms >= since.epoch_ms
                    (late if new else before)[roles[arn]].append(user)
        except ProviderError as error:
            failed.append(f"other users of the agent's roles: {what} {error.what}"[:500])
    return Sharers(_distinct(before), _distinct(late), failed)


def _distinct(users: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(dict.fromkeys(others)) for name, others in users.items() if others}


def _ms(moment: object) -> int | None:
    """Return Unix time; None: not known, and then it was there before."""
    return int(moment.timestamp() * 1000) if isinstance(moment, datetime) else None


def _modified_ms(function: Mapping[str, Any]) -> int | None:
    """Return when a function was made or changed last; Lambda keeps no date of its making."""
    moment = modified(str(function.get("LastModified")))
    return moment.epoch_ms if moment else None


def _names(found: Found) -> set[str]:
    return {name.rpartition("/")[2] for name in found.of("roles")}


def _functions(account: Account, found: Found, _principals: Sequence[Principal]) -> Sequence[_Use]:
    own = set(found.of("functions"))
    return [
        (str(item.get("Role", "")), f"function {item['FunctionName']}", _modified_ms(item))
        for item in account.pages("lambda", "list_functions", "Functions")
        if item["FunctionName"] not in own
    ]


def _families(account: Account, found: Found, _principals: Sequence[Principal]) -> Sequence[_Use]:
    own = {item.rpartition("/")[2] for item in found.of("task_families")} | _service_families(account, found)
    families = list(account.pages("ecs", "list_task_definition_families", "families", status="ACTIVE"))
    users: list[_Use] = []
    for family in families[:MOST_FAMILIES]:
        if family in own:
            continue
        answer = account.call("ecs", "describe_task_definition", taskDefinition=family)["taskDefinition"]
        users += [
            (str(answer[key]), f"task definition {family}", _ms(answer.get("registeredAt")))
            for key in ("taskRoleArn", "executionRoleArn")
            if answer.get(key)
        ]
    if len(families) > MOST_FAMILIES:
        raise ProviderError(f"{len(families) - MOST_FAMILIES} of {len(families)} were not read")
    return users


def _service_families(account: Account, found: Found) -> set[str]:
    """Return the task definitions of the agent's own services."""
    families: set[str] = set()
    for item in found.of("services"):
        cluster, _, service = item.partition("/")
        answer = account.call("ecs", "describe_services", cluster=cluster, services=[service])
        families |= {
            str(one["taskDefinition"]).rpartition("/")[2].partition(":")[0]
            for one in answer.get("services", ())
        }
    return families


def _instances(account: Account, found: Found, principals: Sequence[Principal]) -> Sequence[_Use]:
    own = set(found.of("instances"))
    groups = set(found.of("auto_scaling_groups"))
    by_profile = {profile: one.arn for one in principals if one.key == "roles" for profile in one.profiles}
    wanted = [profile for profile, arn in by_profile.items() if arn.rpartition("/")[2] in _names(found)]
    if not wanted:
        return []
    users: list[_Use] = []
    for reservation in account.pages("ec2", "describe_instances", "Reservations"):
        for item in reservation["Instances"]:
            profile = str(item.get("IamInstanceProfile", {}).get("Arn", "")).rpartition("/")[2]
            tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags", ())}
            if (
                profile in wanted
                and item["InstanceId"] not in own
                and tags.get("aws:autoscaling:groupName") not in groups
                and item["State"]["Name"] not in {"terminated", "shutting-down"}
            ):
                use = f"instance {item['InstanceId']}"
                users.append((by_profile[profile], use, _ms(item.get("LaunchTime"))))
    return users
