"""The two security groups of an isolation: one that lets everything through for a moment, one nothing.

They are made in each VPC of the agent's interfaces, one pair an incident, and their rules are looked at
before every use: somebody who may edit groups could open the isolation again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError, Transient
from breakglass_aws.account import Account
from breakglass_aws.refusals import code_of

ISOLATION = "isolation"
OPEN = "open"
TAG = "breakglass.dev/incident"
_ALL: Mapping[str, Any] = {
    "IpProtocol": "-1",
    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
}
DIRECTIONS = {"IpPermissions": "ingress", "IpPermissionsEgress": "egress"}


def name_of(account: Account, kind: str, vpc: str) -> str:
    """Return the name of a group of this incident."""
    return f"breakglass-{kind}-{vpc}-{account.connection.incident}"[:255]


def read(account: Account, vpc: str) -> dict[str, Json]:
    """Return both groups of a VPC by kind: id and rules; None where there is none."""
    return {kind: _shown(_find(account, kind, vpc)) for kind in (ISOLATION, OPEN)}


def ready(account: Account, kind: str, vpc: str) -> str:
    """Return the id of a group whose rules are what they must be; it is made, or put right, where needed.

    Raises:
        Transient: its rules do not read as they were set.
    """
    group = _find(account, kind, vpc) or _make(account, kind, vpc)
    if not _as_wanted(kind, group):
        _put_right(account, kind, group)
        group = _find(account, kind, vpc) or {}
        if not _as_wanted(kind, group):
            raise Transient("its rules are not yet as they were set", where=name_of(account, kind, vpc))
    return str(group["GroupId"])


def is_shut(shown: Json) -> bool:
    """Return whether a group, as `read` shows it, has no rule at all."""
    return isinstance(shown, Mapping) and not shown["ingress"] and not shown["egress"]


def remove(account: Account, kind: str, vpc: str) -> bool | None:
    """Delete a group of this incident; None: it is not there. False: an interface still uses it.

    Raises:
        Transient: something that is being changed still refers to it.
    """
    group = _find(account, kind, vpc)
    tags = {tag["Key"]: tag["Value"] for tag in (group or {}).get("Tags", ())}
    if group is None or tags.get(TAG) != account.connection.incident:
        return None
    filters = [{"Name": "group-id", "Values": [group["GroupId"]]}]
    users = account.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
    if next(iter(users), None) is not None:
        return False
    try:
        account.call("ec2", "delete_security_group", GroupId=group["GroupId"])
    except Gone:
        return None
    except ProviderError as error:
        if code_of(error) != "DependencyViolation":
            raise
        raise Transient("something still refers to it", where=str(group["GroupId"])) from error
    return True


def _find(account: Account, kind: str, vpc: str) -> dict[str, Any] | None:
    filters = [
        {"Name": "group-name", "Values": [name_of(account, kind, vpc)]},
        {"Name": "vpc-id", "Values": [vpc]},
    ]
    for group in account.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=filters):
        return dict(group)
    return None


def _make(account: Account, kind: str, vpc: str) -> dict[str, Any]:
    tags = [{"Key": TAG, "Value": account.connection.incident}]
    try:
        account.call(
            "ec2",
            "create_security_group",
            GroupName=name_of(account, kind, vpc),
            Description=f"breakglass {kind}: {account.connection.incident}"[:255],
            VpcId=vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": tags}],
        )
    except ProviderError as error:
        # Another step of this stop was faster.
        if code_of(error) != "InvalidGroup.Duplicate":
            raise
    group = _find(account, kind, vpc)
    if group is None:
        raise Transient("was made and is not seen yet", where=name_of(account, kind, vpc))
    return group


def _as_wanted(kind: str, group: Mapping[str, Any]) -> bool:
    for key in DIRECTIONS:
        rules = group.get(key)
        if rules is None or (kind == ISOLATION and rules):
            return False
        if kind == OPEN and _missing(rules) is not None:
            return False
    return True


def _put_right(account: Account, kind: str, group: Mapping[str, Any]) -> None:
    for key, direction in DIRECTIONS.items():
        if kind == ISOLATION and group[key]:
            account.call(
                "ec2",
                f"revoke_security_group_{direction}",
                GroupId=group["GroupId"],
                IpPermissions=[_sendable(rule) for rule in group[key]],
            )
        missing = _missing(group[key]) if kind == OPEN else None
        if missing is not None:
            try:
                account.call(
                    "ec2",
                    f"authorize_security_group_{direction}",
                    GroupId=group["GroupId"],
                    IpPermissions=[missing],
                )
            except ProviderError as error:
                if code_of(error) != "InvalidPermission.Duplicate":
                    raise


def _missing(rules: list[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return what lacks for everything to pass in one direction; None: nothing."""
    every = [rule for rule in rules if rule["IpProtocol"] == "-1"]
    lacking: dict[str, Any] = {}
    for ranges, part in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        have = {one.get(part) for rule in every for one in rule.get(ranges, ())}
        if not have.issuperset(one[part] for one in _ALL[ranges]):
            lacking[ranges] = _ALL[ranges]
    return {"IpProtocol": "-1", **lacking} if lacking else None


def _sendable(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule as it was read, without its empty lists."""
    return {key: value for key, value in rule.items() if value not in ([], None)}


def _shown(group: Mapping[str, Any] | None) -> Json:
    if group is None:
        return None
    return {
        "id": group["GroupId"],
        "ingress": len(group.get("IpPermissions", ())),
        "egress": len(group.get("IpPermissionsEgress", ())),
    }
