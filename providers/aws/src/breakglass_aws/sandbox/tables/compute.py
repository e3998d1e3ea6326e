"""ECS, EC2, Auto Scaling, EKS, Systems Manager: what runs."""

from __future__ import annotations

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.tables.table import Table


def _cluster(value: str, _: Call) -> str:
    return value.rpartition("/")[2] if value.startswith("arn:") else value


def _service(value: str, call: Call) -> str:
    cluster = _cluster(str(call.params.get("cluster") or "default"), call)
    return value if value.startswith("arn:") else f"service/{cluster}/{value}"


def _task(value: str, call: Call) -> str:
    cluster = _cluster(str(call.params.get("cluster") or "default"), call)
    return value if value.startswith("arn:") else f"task/{cluster}/{value}"


ECS = Table(
    "ecs",
    {
        "cluster/{cluster=default}": (
            "DeleteCluster UpdateCluster UpdateClusterSettings PutClusterCapacityProviders"
            " ListContainerInstances RegisterContainerInstance SubmitTaskStateChange"
        ),
        "cluster/{clusters=default}": "DescribeClusters",
        "cluster/{clusterName=default}": "CreateCluster",
        "{service:service}": "DeleteService UpdateService",
        "service/{cluster=default:cluster}/{serviceName}": "CreateService",
        "{services:service}": "DescribeServices",
        "{task:task}": "StopTask ExecuteCommand",
        "{tasks:task}": "DescribeTasks",
        "{containerInstances}": "DescribeContainerInstances UpdateContainerInstancesState",
        "task-definition/{taskDefinition}": "RunTask StartTask DeregisterTaskDefinition",
        "{taskDefinitions}": "DeleteTaskDefinitions",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        # DescribeTaskDefinition, RegisterTaskDefinition, ListTasks and ListServices have no resource that
        # a policy may
        # name but conditions (ecs:cluster)
        "*": (
            "DescribeTaskDefinition RegisterTaskDefinition ListTaskDefinitions"
            " ListTaskDefinitionFamilies ListClusters"
            " ListTasks ListServices ListAccountSettings PutAccountSetting PutAccountSettingDefault"
            " DescribeCapacityProviders DiscoverPollEndpoint CreateCapacityProvider ListServicesByNamespace"
        ),
    },
    changes={"cluster": _cluster, "service": _service, "task": _task},
)


def _association(value: str, call: Call) -> str:
    """Return the instance of an association of an instance profile."""
    from moto.ec2.models import ec2_backends

    found = ec2_backends[call.account][call.region].iam_instance_profile_associations.get(value)
    return found.instance.id if found is not None else "*"


EC2 = Table(
    "ec2",
    {
        "instance/{InstanceId}": (
            "ModifyInstanceAttribute ResetInstanceAttribute ModifyInstanceMetadataOptions"
            " AttachVolume DetachVolume"
            " AssociateIamInstanceProfile GetConsoleOutput GetConsoleScreenshot GetPasswordData"
            " GetLaunchTemplateData"
            " AttachNetworkInterface CreateImage ModifyInstancePlacement"
        ),
        "instance/{InstanceIds}": (
            "StartInstances StopInstances RebootInstances TerminateInstances MonitorInstances"
            " UnmonitorInstances"
        ),
        "instance/{InstanceSpecification.InstanceId}": "CreateSnapshots",
        "volume/*": "CreateSnapshots RunInstances",
        "snapshot/*": "CreateSnapshots CreateSnapshot",
        "snapshot/{SnapshotId}": (
            "DeleteSnapshot LockSnapshot UnlockSnapshot ModifySnapshotAttribute ModifySnapshotTier"
        ),
        "volume/{VolumeId}": "CreateSnapshot AttachVolume DetachVolume DeleteVolume ModifyVolume",
        "instance/*": "RunInstances",
        "image/{ImageId=*}": "RunInstances DeregisterImage",
        "subnet/{SubnetId|NetworkInterfaces.SubnetId=*}": "RunInstances CreateNetworkInterface",
        "network-interface/*": "RunInstances CreateNetworkInterface",
        "security-group/{SecurityGroupIds|NetworkInterfaces.Groups=*}": "RunInstances",
        "network-interface/{NetworkInterfaceId}": (
            "ModifyNetworkInterfaceAttribute DeleteNetworkInterface ResetNetworkInterfaceAttribute"
            " AttachNetworkInterface"
        ),
        "security-group/{GroupId|GroupName}": (
            "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress RevokeSecurityGroupEgress"
            " RevokeSecurityGroupIngress DeleteSecurityGroup ModifySecurityGroupRules"
            " UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress"
        ),
        "security-group/*": "CreateSecurityGroup",
        "vpc/{VpcId=*}": (
            "CreateSecurityGroup CreateNetworkAcl CreateRouteTable CreateSubnet CreateVpcEndpoint DeleteVpc"
        ),
        "network-acl/*": "CreateNetworkAcl ReplaceNetworkAclAssociation",
        "network-acl/{NetworkAclId}": (
            "CreateNetworkAclEntry DeleteNetworkAcl DeleteNetworkAclEntry ReplaceNetworkAclEntry"
            " ReplaceNetworkAclAssociation"
        ),
        "subnet/*": "CreateSubnet ReplaceNetworkAclAssociation",
        "subnet/{SubnetId}": "DeleteSubnet ModifySubnetAttribute",
        "vpc/*": "CreateVpc CreateDefaultVpc",
        "vpc-endpoint/*": "CreateVpcEndpoint",
        "vpc-endpoint/{VpcEndpointId}": "ModifyVpcEndpoint",
        "route-table/{RouteTableId}": (
            "CreateRoute DeleteRoute ReplaceRoute DeleteRouteTable AssociateRouteTable"
        ),
        "launch-template/*": "CreateLaunchTemplate",
        "launch-template/{LaunchTemplateId|LaunchTemplateName}": (
            "CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate"
        ),
        "*/{Resources}": "CreateTags DeleteTags",
        # instances are the resource; the call names an association
        "instance/{AssociationId:association}": (
            "DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"
        ),
        "*": (
            "CreateVolume DescribeAccountAttributes DescribeAddresses DescribeAvailabilityZones"
            " DescribeFlowLogs"
            " DescribeIamInstanceProfileAssociations DescribeImages DescribeInstanceAttribute"
            " DescribeInstanceStatus DescribeInstanceTypes DescribeInstances"
            " DescribeInternetGateways DescribeKeyPairs"
            " DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeLockedSnapshots"
            " DescribeNatGateways"
            " DescribeNetworkAcls DescribeNetworkInterfaceAttribute DescribeNetworkInterfaces DescribeRegions"
            " DescribeRouteTables DescribeSecurityGroupRules DescribeSecurityGroups DescribeSnapshotAttribute"
            " DescribeSnapshots DescribeSubnets DescribeTags DescribeVolumeStatus DescribeVolumes"
            " DescribeVolumesModifications DescribeVpcAttribute DescribeVpcEndpoints DescribeVpcs"
            " CreateKeyPair"
            " ImportKeyPair DeleteKeyPair CreateInternetGateway AttachInternetGateway"
            " GetEbsEncryptionByDefault"
            " DescribeSpotInstanceRequests DescribePrefixLists DescribeManagedPrefixLists"
        ),
    },
    changes={"association": _association},
)
AUTO_SCALING = Table(
    "autoscaling",
    {
        "autoScalingGroup:*:autoScalingGroupName/{AutoScalingGroupName}": (
            "AttachInstances AttachLoadBalancerTargetGroups CompleteLifecycleAction CreateAutoScalingGroup"
            " DeleteAutoScalingGroup DeleteLifecycleHook DeletePolicy DeleteScheduledAction"
            " DetachInstances EnterStandby"
            " ExitStandby PutLifecycleHook PutScalingPolicy PutScheduledUpdateGroupAction ResumeProcesses"
            " SetDesiredCapacity SetInstanceProtection StartInstanceRefresh CancelInstanceRefresh"
            " SuspendProcesses"
            " UpdateAutoScalingGroup DisableMetricsCollection EnableMetricsCollection PutWarmPool"
            " DeleteWarmPool"
        ),
        "autoScalingGroup:*:autoScalingGroupName/*": (
            "TerminateInstanceInAutoScalingGroup SetInstanceHealth"
        ),
        "autoScalingGroup:*:autoScalingGroupName/{Tags.ResourceId}": "CreateOrUpdateTags DeleteTags",
        "launchConfiguration:*:launchConfigurationName/{LaunchConfigurationName}": (
            "CreateLaunchConfiguration DeleteLaunchConfiguration"
        ),
        "*": (
            "DescribeAutoScalingGroups DescribeAutoScalingInstances DescribeInstanceRefreshes"
            " DescribeLaunchConfigurations"
            " DescribeLifecycleHooks DescribePolicies DescribeScalingActivities"
            " DescribeScheduledActions DescribeTags"
            " DescribeWarmPool DescribeLoadBalancerTargetGroups DescribeScalingProcessTypes"
        ),
    },
)
APPLICATION_AUTO_SCALING = Table(
    "application-autoscaling",
    {
        "scalable-target/*": (
            "RegisterScalableTarget DeregisterScalableTarget PutScalingPolicy DeleteScalingPolicy"
            " PutScheduledAction"
            " DeleteScheduledAction"
        ),
        "{ResourceARN}": "TagResource UntagResource ListTagsForResource",
        "*": (
            "DescribeScalableTargets DescribeScalingPolicies DescribeScheduledActions"
            " DescribeScalingActivities"
        ),
    },
)
EKS = Table(
    "eks",
    {
        "cluster/{clusterName}": "CreatePodIdentityAssociation ListPodIdentityAssociations",
        "cluster/{name}": "CreateCluster DescribeCluster DeleteCluster UpdateClusterConfig",
        "podidentityassociation/{clusterName}/{associationId}": (
            "DescribePodIdentityAssociation DeletePodIdentityAssociation UpdatePodIdentityAssociation"
        ),
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "*": "ListClusters",
    },
)
SSM = Table(
    "ssm",
    {
        "document/{DocumentName|Name}": "StartAutomationExecution DescribeDocument GetDocument",
        "arn:aws:ssm:{region}::document/{DocumentName}": "SendCommand",
        "arn:aws:ec2:{region}:{account}:instance/{InstanceIds=*}": "SendCommand",
        "arn:aws:ec2:{region}:{account}:instance/{Target}": "StartSession",
        "session/{SessionId}": "TerminateSession ResumeSession",
        "parameter/{Name:bare}": "GetParameter PutParameter DeleteParameter GetParameterHistory",
        "parameter/{Names:bare}": "GetParameters DeleteParameters",
        "parameter/{Path:bare}": "GetParametersByPath",
        "*": (
            "CancelCommand DescribeInstanceInformation DescribeParameters DescribeSessions"
            " GetCommandInvocation ListCommands"
            " ListCommandInvocations ListDocuments ListAssociations"
        ),
    },
)
TABLES = {
    "ecs": ECS,
    "ec2": EC2,
    "autoscaling": AUTO_SCALING,
    "application-autoscaling": APPLICATION_AUTO_SCALING,
    "eks": EKS,
    "ssm": SSM,
}
