"""Says which instances a step means: one that the inventory names, or all that a group holds when it runs.

A group's step keeps the instances that it held when the plan was made as well: one that is detached from the
group during the stop does not get away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass_aws.account import Account
from breakglass_aws.found import Found

ENDED = "terminated"
PER_FILTER = 200
"""A filter takes so many values (Amazon EC2 User Guide, "Filter resources")."""
GROUP_CALL = "autoscaling:DescribeAutoScalingGroups"


@dataclass(frozen=True, slots=True)
class Target:
    """What a step of the agent's instances acts on."""

    key: str
    """``i-...`` or ``group/NAME``."""
    group: str
    found: tuple[Mapping[str, Any], ...]
    """The instances at planning, as DescribeInstances has them."""
    except_: tuple[str, ...] = ()

    def resource(self, what: str, **more: Json) -> Resource:
        """Return the resource of a step; `what` says in words what of the instances is meant."""
        ids: list[Json] = [one["InstanceId"] for one in self.found]
        words = f"group {self.group}" if self.group else self.key
        params: dict[str, Json] = {"instances": ids, "group": self.group, "except": [*self.except_], **more}
        return Resource("aws-instance", f"instance/{self.key}", f"{what} {words}", params)

    @property
    def neighbours(self) -> tuple[str, ...]:
        """Return what the instances are part of."""
        groups = {
            tag["Value"] for one in self.found for tag in one.get("Tags", ()) if tag["Key"] == GROUP_TAG
        }
        return tuple(f"Auto Scaling group {name}" for name in sorted(groups))


GROUP_TAG = "aws:autoscaling:groupName"


def targets(account: Account, found: Found) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """Return a target for each instance and group that the agent has, and the names of what is gone."""
    named = found.of("instances")
    groups = found.of("auto_scaling_groups")
    alive = {one["InstanceId"]: one for one in described(account, named)}
    made = [Target(one, "", (alive[one],)) for one in named if one in alive]
    members = groups_instances(account, groups)
    for name in groups:
        if name in members:
            ids = [one for one in members[name] if one not in named]
            made.append(Target(f"group/{name}", name, tuple(described(account, ids)), named))
    gone = [f"EC2 instance {one}" for one in named if one not in alive]
    gone += [f"Auto Scaling group {one}" for one in groups if one not in members]
    return tuple(made), tuple(gone)


def of(account: Account, resource: Resource) -> list[Mapping[str, Any]]:
    """Return the instances of a step that are there now, terminated ones left out."""
    ids = dict.fromkeys(_texts(resource.params.get("instances")))
    group = str(resource.params.get("group") or "")
    if group:
        ids |= dict.fromkeys(groups_instances(account, [group]).get(group, ()))
    without = set(_texts(resource.params.get("except")))
    return described(account, [one for one in ids if one not in without])


def described(account: Account, ids: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return those instances that are there, as DescribeInstances shows them; a filter refuses no id."""
    found: list[Mapping[str, Any]] = []
    for some in chunks(ids):
        filters = [{"Name": "instance-id", "Values": some}]
        for reservation in account.pages("ec2", "describe_instances", "Reservations", Filters=filters):
            found += [one for one in reservation["Instances"] if one["State"]["Name"] != ENDED]
    return found


def groups_instances(account: Account, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the ids of the instances of each group that is there."""
    found: dict[str, list[str]] = {}
    for some in chunks(names, 50):
        pages = account.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=some
        )
        for group in pages:
            found[group["AutoScalingGroupName"]] = [one["InstanceId"] for one in group.get("Instances", ())]
    return found


def chunks(names: Iterable[str], size: int = PER_FILTER) -> Iterable[list[str]]:
    """Yield the names in lists that one call takes."""
    whole = list(names)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def _texts(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []
