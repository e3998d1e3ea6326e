"""Finds who else uses a role of the agent's: whoever does is cut off with it, and people must know before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.errors import ProviderError
from breakglass_aws.account import Account
from breakglass_aws.discover.principals import Principal
from breakglass_aws.found import Found

MOST_FAMILIES = 100
"""Task definitions are read one by one; what lies beyond is said to be unread."""


def sharers(
    account: Account, found: Found, principals: Sequence[Principal]
) -> tuple[Mapping[str, tuple[str, ...]], Sequence[str]]:
    """Return the other users of each of the agent's roles, by role name, and which listings failed."""
    roles = {one.arn: one.name for one in principals if one.key == "roles" and one.name in _names(found)}
    users: dict[str, list[str]] = {name: [] for name in roles.values()}
    failed: list[str] = []
    for what, look in (("functions", _functions), ("task definitions", _families), ("instances", _instances)):
        try:
            for arn, user in look(account, found, principals):
                if arn in roles:
                    users[roles[arn]].append(user)
        except ProviderError as error:
            failed.append(f"other users of the agent's roles: {what} {error.what}"[:500])
    return {name: tuple(dict.fromkeys(others)) for name, others in users.items() if others}, failed


def _names(found: Found) -> set[str]:
    return {name.rpartition("/")[2] for name in found.of("roles")}


def _functions(account: Account, found: Found, _principals: Sequence[Principal]) -> Sequence[tuple[str, str]]:
    own = set(found.of("functions"))
    return [
        (str(item.get("Role", "")), f"function {item['FunctionName']}")
        for item in account.pages("lambda", "list_functions", "Functions")
        if item["FunctionName"] not in own
    ]


def _families(account: Account, found: Found, _principals: Sequence[Principal]) -> Sequence[tuple[str, str]]:
    own = {item.rpartition("/")[2] for item in found.of("task_families")} | _service_families(account, found)
    families = list(account.pages("ecs", "list_task_definition_families", "families", status="ACTIVE"))
    users: list[tuple[str, str]] = []
    for family in families[:MOST_FAMILIES]:
        if family in own:
            continue
        answer = account.call("ecs", "describe_task_definition", taskDefinition=family)["taskDefinition"]
        users += [
            (str(answer[key]), f"task definition {family}")
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


def _instances(account: Account, found: Found, principals: Sequence[Principal]) -> Sequence[tuple[str, str]]:
    own = set(found.of("instances"))
    groups = set(found.of("auto_scaling_groups"))
    by_profile = {profile: one.arn for one in principals if one.key == "roles" for profile in one.profiles}
    wanted = [profile for profile, arn in by_profile.items() if arn.rpartition("/")[2] in _names(found)]
    if not wanted:
        return []
    users: list[tuple[str, str]] = []
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
                users.append((by_profile[profile], f"instance {item['InstanceId']}"))
    return users
