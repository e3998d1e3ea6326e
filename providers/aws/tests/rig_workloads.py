"""What the tests of tasks and instances set up: a cluster with a service, a VPC with instances."""

from __future__ import annotations

from typing import Any

from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_platform import until

ROLE = "arn:aws:iam::123456789012:role/bot-task"


def cluster(rig: Rig, *, desired: int = 2, strategy: str = "REPLICA") -> Any:  # noqa: ANN401 - boto3 has no types
    """Make cluster ``prod`` with task definition ``bot`` and service ``web``; return the client."""
    ecs = rig.boto("ecs")
    ecs.create_cluster(clusterName="prod")
    ecs.register_task_definition(
        family="bot",
        taskRoleArn=ROLE,
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        cpu="256",
        memory="512",
        containerDefinitions=[
            {"name": "bot", "image": "bot:1", "essential": True, "cpu": 256, "memory": 512}
        ],
    )
    ecs.create_service(
        cluster="prod",
        serviceName="web",
        taskDefinition="bot",
        schedulingStrategy=strategy,
        **({"desiredCount": desired} if strategy == "REPLICA" else {}),
    )
    return ecs


def run_tasks(rig: Rig, count: int, *, group: str = "family:bot", **more: Any) -> list[str]:  # noqa: ANN401 - as above
    """Run tasks of ``bot``; return their ARNs."""
    ec2 = rig.boto("ec2")
    subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
    groups = ec2.describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [subnet["VpcId"]]}])
    where = {"subnets": [subnet["SubnetId"]], "securityGroups": [groups["SecurityGroups"][0]["GroupId"]]}
    answer = rig.boto("ecs").run_task(
        cluster="prod",
        taskDefinition="bot",
        launchType="FARGATE",
        count=count,
        group=group,
        networkConfiguration={"awsvpcConfiguration": where},
        tags=[{"key": "ticket", "value": "42"}],
        **more,
    )
    return [task["taskArn"] for task in answer["tasks"]]


def tasks_of(rig: Rig, count: int) -> list[str]:
    """Wait until service ``web`` has its tasks; return their ARNs."""
    ecs = rig.boto("ecs")

    def arns() -> list[str]:
        return list(ecs.list_tasks(cluster="prod", serviceName="web")["taskArns"])

    until(lambda: len(arns()) == count, f"the service has {count} tasks")
    return arns()


def instance(rig: Rig, subnet: str, *groups: str) -> str:
    """Run one instance in a subnet with these groups; return its id."""
    ec2 = rig.boto("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    answer = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "Groups": [*groups]}],
        MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2},
    )
    return str(answer["Instances"][0]["InstanceId"])


def network(rig: Rig, cidr: str = "10.9.0.0/16") -> tuple[str, str, str]:
    """Make a VPC with one subnet and one group; return their ids."""
    ec2 = rig.boto("ec2")
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr.replace("/16", "/24"))["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="bot", Description="bot", VpcId=vpc)["GroupId"]
    return vpc, subnet, group


def second_interface(rig: Rig, subnet: str, group: str, to: str, index: int = 1) -> str:
    """Attach one more interface to an instance; return its id."""
    ec2 = rig.boto("ec2")
    face = ec2.create_network_interface(SubnetId=subnet, Groups=[group])["NetworkInterface"]
    name = str(face["NetworkInterfaceId"])
    ec2.attach_network_interface(NetworkInterfaceId=name, InstanceId=to, DeviceIndex=index)
    return name


def groups_of(rig: Rig, face: str) -> list[str]:
    """Return the ids of an interface's groups."""
    answer = rig.boto("ec2").describe_network_interfaces(NetworkInterfaceIds=[face])
    return [group["GroupId"] for group in answer["NetworkInterfaces"][0]["Groups"]]


def plain(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what is of the call and not of the world."""
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
