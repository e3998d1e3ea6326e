"""Says what no cut of the network reaches: tracked flows, names and metadata, work without a network.

No action of its own: doors and lines for the plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from breakglass.errors import ProviderError
from breakglass.model.action import ActionSpec, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Action, Proposed, ProposedDoor
from breakglass_aws.account import Account
from breakglass_aws.actions import ec2_instances, ec2_subnet
from breakglass_aws.found import Found

ALWAYS_TRACKED = frozenset(
    {
        "gateway_load_balancer",
        "gateway_load_balancer_endpoint",
        "load_balancer",
        "nat_gateway",
        "network_load_balancer",
        "transit_gateway",
        "vpc_endpoint",
    }
)
"""Kinds of interfaces behind which a flow is tracked whatever the rules are (Amazon EC2 User Guide, "Security
group connection tracking"): inside of the subnet, a network ACL does not see it either."""


def propose(account: Account, found: Found) -> Proposed:
    """Propose a door for the flows of each instance, and a line for all that no control reaches."""
    targets, _ = ec2_instances.targets(account, found)
    doors = tuple(_flows(account, found, target) for target in targets)
    lines = [
        NotTouched(
            f"names and metadata of {target.key}",
            "no security group or network ACL filters the VPC's resolver, the metadata service, DHCP or the"
            " time service: a tunnel through names stays open",
        )
        for target in targets
    ]
    lines += [line for name in found.of("functions") for line in _function(account, name)]
    lines += [line for arn in found.of("agent_runtimes") for line in _runtime(account, arn)]
    return Proposed(doors=doors, not_touched=tuple(lines))


def _flows(account: Account, found: Found, target: ec2_instances.Target) -> ProposedDoor:
    door = Door(
        kind=DoorKind.NO_STEP,
        name=f"established flows of {target.key}",
        reason=(
            "flows through NAT, load balancers, PrivateLink or a transit gateway are always tracked: they"
            " live on when the groups change, until they are idle (350 s to 5 days); so does an open session"
            " of Session Manager, which no step ends (ssm TerminateSession does)"
        ),
        remedy="let the stop stop the instances (stop_instances), or close their subnets (nacl_subnets)",
        owner="",
        closed_by=(),
        verdict=Verdict.UNKNOWN,
    )
    if account.settings.flag("stop_instances"):
        return ProposedDoor(door, (f"stop_instances:{target.key}",))
    return ProposedDoor(door, _closing(account, found, target))


def _closing(account: Account, found: Found, target: ec2_instances.Target) -> tuple[str, ...]:
    """Return the steps that close all subnets of an instance; none where a flow could stay inside of one."""
    if target.group:
        return ()
    subnets = {
        face["SubnetId"]
        for one in target.found
        for face in one.get("NetworkInterfaces", ())
        if "SubnetId" in face
    }
    if not subnets or not subnets.issubset(found.of("nacl_subnets")):
        return ()
    inside = (face for subnet in subnets for face in ec2_subnet.neighbours(account, subnet))
    if any(face.get("InterfaceType") in ALWAYS_TRACKED for face in inside):
        return ()
    return tuple(f"close_subnet:{subnet}" for subnet in sorted(subnets))


def _function(account: Account, name: str) -> list[NotTouched]:
    try:
        found = account.call("lambda", "get_function_configuration", FunctionName=name)
    except ProviderError as error:
        return [NotTouched(f"network of function {name}", f"could not be read: {error.what}"[:300])]
    return [_uncontrolled(f"network of function {name}", "without a VPC")] if not _in_vpc(found) else []


def _in_vpc(function: Mapping[str, Any]) -> bool:
    return bool((function.get("VpcConfig") or {}).get("VpcId"))


def _runtime(account: Account, arn: str) -> list[NotTouched]:
    name = f"network of runtime {arn.rpartition('/')[2]}"
    try:
        found = account.call(
            "bedrock-agentcore-control", "get_agent_runtime", agentRuntimeId=arn.rpartition("/")[2]
        )
    except ProviderError as error:
        return [NotTouched(name, f"could not be read: {error.what}"[:300])]
    public = found.get("networkConfiguration", {}).get("networkMode") != "VPC"
    return [_uncontrolled(name, "in network mode PUBLIC")] if public else []


def _uncontrolled(name: str, how: str) -> NotTouched:
    return NotTouched(
        name, f"it runs {how}: no control of its egress exists; only its role's deny and its end count"
    )


ACTION_CLASSES: tuple[Callable[[Account], Action], ...] = ()
SPECS: tuple[ActionSpec, ...] = ()
