"""Instances of the sandbox: they act with their profile's role, and their connections end as in AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import behave, code, count, quiet, role, until

ALL: dict[str, Any] = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
HTTPS: dict[str, Any] = {
    "IpProtocol": "tcp",
    "FromPort": 443,
    "ToPort": 443,
    "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
}


@dataclass(frozen=True, slots=True)
class Net:
    """A VPC with a way out, a subnet, and three groups."""

    ec2: Any
    vpc: str
    subnet: str
    table: str
    gateway: str
    narrow: str
    wide: str
    shut: str


@pytest.fixture
def net(rig: Rig) -> Net:
    """Make a network."""
    ec2 = rig.boto("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    names = {name: _group(ec2, vpc, name) for name in ("narrow", "wide", "shut")}
    ec2.authorize_security_group_egress(GroupId=names["narrow"], IpPermissions=[HTTPS])
    ec2.authorize_security_group_egress(GroupId=names["wide"], IpPermissions=[ALL])
    ec2.authorize_security_group_ingress(GroupId=names["wide"], IpPermissions=[ALL])
    return Net(ec2, vpc, subnet, table, gateway, **names)


def _group(ec2: Any, vpc: str, name: str) -> str:  # noqa: ANN401 - boto3 has no types
    group = str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[ALL])
    return group


def _instance(net: Net, group: str, **more: object) -> tuple[str, str]:
    image = net.ec2.describe_images()["Images"][0]["ImageId"]
    made = net.ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, SubnetId=net.subnet, SecurityGroupIds=[group], **more
    )["Instances"][0]
    return str(made["InstanceId"]), str(made["NetworkInterfaces"][0]["NetworkInterfaceId"])


def _open(rig: Rig, instance: str) -> dict[str, Any]:
    answer = rig.sandbox.control("platform", {"open_flow": {"instance": instance}})
    return dict(answer["open_flow"])


def _cut(rig: Rig, name: object) -> str:
    rig.sandbox.control("platform", {"ticks": 1})
    flows = rig.sandbox.control("platform")["flows"]
    return next(str(one["cut"]) for one in flows if one["flow"] == name)


def _groups(net: Net, face: str, *groups: str) -> None:
    net.ec2.modify_network_interface_attribute(NetworkInterfaceId=face, Groups=list(groups))


def test_a_flow_opened_under_a_narrow_rule_survives_a_group_swap(rig: Rig, net: Net) -> None:
    """It is tracked; new connections obey at once."""
    instance, face = _instance(net, net.narrow)
    flow = _open(rig, instance)
    assert (flow["established"], flow["tracked"]) == (True, True)

    _groups(net, face, net.shut)

    assert _cut(rig, flow["flow"]) == ""
    before = count(rig, f"flow/{flow['flow']}")
    until(lambda: count(rig, f"flow/{flow['flow']}") > before, "it carries on")
    assert _open(rig, instance) == {"established": False, "reason": "security groups"}


def test_all_open_first_and_then_isolation_cuts_the_flow(rig: Rig, net: Net) -> None:
    """Also when both come between two ticks."""
    instance, face = _instance(net, net.narrow)
    flow = _open(rig, instance)
    rig.sandbox.control("platform", {"on": False})

    _groups(net, face, net.wide)
    _groups(net, face, net.shut)

    assert _cut(rig, flow["flow"]) == "security groups"


def test_a_network_acl_cuts_a_tracked_flow(rig: Rig, net: Net) -> None:
    """It keeps no state."""
    instance, _ = _instance(net, net.narrow)
    flow = _open(rig, instance)
    acls = net.ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [net.vpc]}])["NetworkAcls"]
    mine = [link for acl in acls for link in acl["Associations"] if link["SubnetId"] == net.subnet]
    deny = net.ec2.create_network_acl(VpcId=net.vpc)["NetworkAcl"]["NetworkAclId"]

    net.ec2.replace_network_acl_association(
        AssociationId=mine[0]["NetworkAclAssociationId"], NetworkAclId=deny
    )

    assert _cut(rig, flow["flow"]) == "network ACL"


def test_a_route_that_is_gone_and_a_stopped_instance_cut_a_flow(rig: Rig, net: Net) -> None:
    """Each by itself."""
    (first, _), (second, _) = _instance(net, net.narrow), _instance(net, net.narrow)
    flows = [_open(rig, one)["flow"] for one in (first, second)]

    net.ec2.stop_instances(InstanceIds=[first])
    assert [_cut(rig, one) for one in flows] == ["instance", ""]
    net.ec2.delete_route(RouteTableId=net.table, DestinationCidrBlock="0.0.0.0/0")

    assert [_cut(rig, one) for one in flows] == ["instance", "route"]


def test_a_flow_that_was_never_tracked_is_cut_by_the_isolation_group(rig: Rig, net: Net) -> None:
    """Open in both directions from the start."""
    instance, face = _instance(net, net.wide)
    flow = _open(rig, instance)
    assert flow["tracked"] is False

    _groups(net, face, net.shut)

    assert _cut(rig, flow["flow"]) == "security groups"


def test_groups_of_an_instance_replace_those_of_its_interface_and_both_views_agree(
    rig: Rig, net: Net
) -> None:
    """Whichever way they are set."""
    instance, face = _instance(net, net.narrow)

    def shown() -> tuple[list[str], list[str]]:
        one = net.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        card = net.ec2.describe_network_interfaces(NetworkInterfaceIds=[face])["NetworkInterfaces"][0]
        return [g["GroupId"] for g in one["SecurityGroups"]], [g["GroupId"] for g in card["Groups"]]

    net.ec2.modify_instance_attribute(InstanceId=instance, Groups=[net.shut])
    assert shown() == ([net.shut], [net.shut])
    _groups(net, face, net.wide)
    assert shown() == ([net.wide], [net.wide])
    assert rig.opened == []


def test_groups_of_an_instance_with_two_interfaces_are_refused(net: Net) -> None:
    """Interfaces are to be changed one by one."""
    instance, _ = _instance(net, net.narrow)
    second = net.ec2.create_network_interface(SubnetId=net.subnet, Groups=[net.narrow])["NetworkInterface"]
    net.ec2.attach_network_interface(
        NetworkInterfaceId=second["NetworkInterfaceId"], InstanceId=instance, DeviceIndex=1
    )

    refused = code(lambda: net.ec2.modify_instance_attribute(InstanceId=instance, Groups=[net.shut]))

    assert refused == "InvalidInstanceID"


def _profile(rig: Rig, service: str = "ec2.amazonaws.com") -> None:
    role(rig, "miner", service, "s3:ListAllMyBuckets")
    iam = rig.boto("iam")
    iam.create_instance_profile(InstanceProfileName="miner")
    iam.add_role_to_instance_profile(InstanceProfileName="miner", RoleName="miner")


def test_an_instance_acts_on_with_the_session_that_it_holds_after_its_profile_is_empty(
    rig: Rig, net: Net
) -> None:
    """Only stopping it, or denying the role, ends that."""
    _profile(rig)
    instance, _ = _instance(net, net.shut, IamInstanceProfile={"Name": "miner"})
    channel = f"instance/{instance}"
    behave(rig, channel)
    until(lambda: count(rig, channel) > 0, "the instance acts")

    rig.boto("iam").remove_role_from_instance_profile(InstanceProfileName="miner", RoleName="miner")
    before = count(rig, channel)
    until(lambda: count(rig, channel) > before + 1, "it acts on")

    net.ec2.stop_instances(InstanceIds=[instance])
    assert quiet(rig, lambda: count(rig, channel))
    net.ec2.start_instances(InstanceIds=[instance])
    assert quiet(rig, lambda: count(rig, channel))


def _scaling(rig: Rig, net: Net) -> tuple[Any, list[str]]:
    scaling = rig.boto("autoscaling")
    image = net.ec2.describe_images()["Images"][0]["ImageId"]
    scaling.create_launch_configuration(
        LaunchConfigurationName="small", ImageId=image, InstanceType="t3.micro", SecurityGroups=[net.shut]
    )
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="fleet",
        LaunchConfigurationName="small",
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=1,
        VPCZoneIdentifier=net.subnet,
    )
    return scaling, _fleet(scaling)


def _fleet(scaling: Any) -> list[str]:  # noqa: ANN401 - boto3 has no types
    found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["fleet"])["AutoScalingGroups"][0]
    return [one["InstanceId"] for one in found["Instances"] if one["LifecycleState"] == "InService"]


def test_auto_scaling_replaces_a_stopped_instance_unless_its_processes_are_suspended(
    rig: Rig, net: Net
) -> None:
    """Stopping an instance of a group is no stop."""
    scaling, [first] = _scaling(rig, net)

    net.ec2.stop_instances(InstanceIds=[first])
    until(lambda: _fleet(scaling) not in ([], [first]), "a replacement")
    [second] = _fleet(scaling)
    scaling.suspend_processes(AutoScalingGroupName="fleet")
    net.ec2.stop_instances(InstanceIds=[second])

    assert quiet(rig, lambda: _fleet(scaling))
    assert _fleet(scaling) == [second]


def test_a_terminated_instance_is_not_replaced_while_launch_is_suspended(rig: Rig, net: Net) -> None:
    """It is as soon as it is resumed."""
    scaling, [first] = _scaling(rig, net)
    scaling.suspend_processes(AutoScalingGroupName="fleet", ScalingProcesses=["Launch"])

    net.ec2.terminate_instances(InstanceIds=[first])
    assert quiet(rig, lambda: _fleet(scaling))
    assert _fleet(scaling) == []
    scaling.resume_processes(AutoScalingGroupName="fleet", ScalingProcesses=["Launch"])

    until(lambda: len(_fleet(scaling)) == 1, "a new one")


def test_standby_with_decrement_is_not_replaced(rig: Rig, net: Net) -> None:
    """The instance is out of the group's hands and lives."""
    scaling, [first] = _scaling(rig, net)

    scaling.enter_standby(
        AutoScalingGroupName="fleet", InstanceIds=[first], ShouldDecrementDesiredCapacity=True
    )

    assert quiet(rig, lambda: _fleet(scaling))
    assert _fleet(scaling) == []
