"""Auto Scaling groups: nothing is launched or replaced, and their instances are isolated whoever they are."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import autoscaling, ec2_isolate
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import network


def _group(rig: Rig, name: str = "bots", size: int = 2) -> Any:  # noqa: ANN401 - boto3 has no types
    client, ec2 = rig.boto("autoscaling"), rig.boto("ec2")
    _, subnet, group = network(rig)
    client.create_launch_configuration(
        LaunchConfigurationName=name,
        ImageId=ec2.describe_images()["Images"][0]["ImageId"],
        InstanceType="t3.micro",
        SecurityGroups=[group],
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchConfigurationName=name,
        MinSize=0,
        MaxSize=5,
        DesiredCapacity=size,
        VPCZoneIdentifier=subnet,
    )
    return client


def _told(client: Any) -> Any:  # noqa: ANN401 - boto3 has no types
    (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=["bots"])["AutoScalingGroups"]
    return group


def _suspended(client: Any) -> set[str]:  # noqa: ANN401 - boto3 has no types
    return {one["ProcessName"] for one in _told(client)["SuspendedProcesses"]}


def test_processes_are_suspended_and_only_those_of_the_stop_are_resumed(rig: Rig) -> None:
    """One that was suspended before stays suspended."""
    client = _group(rig)
    client.suspend_processes(AutoScalingGroupName="bots", ScalingProcesses=["AZRebalance"])
    provider = rig.provider(auto_scaling_groups=["bots"])
    found = proposal(provider, autoscaling.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    assert _suspended(client) == set(autoscaling.PROCESSES)
    outcomes = undo(action, found.target, prior).objects
    assert outcomes["AZRebalance"] is Outcome.ALREADY
    assert outcomes["Launch"] is Outcome.RESTORED
    assert _suspended(client) == {"AZRebalance"}
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ALREADY}


def test_a_process_that_somebody_resumes_is_suspended_again(rig: Rig) -> None:
    """The next look sees it."""
    client = _group(rig)
    provider = rig.provider(auto_scaling_groups=["bots"])
    found = proposal(provider, autoscaling.SPEC.name)
    action = provider.actions[found.action]
    close(action, found.target)
    client.resume_processes(AutoScalingGroupName="bots", ScalingProcesses=["Launch"])

    seen = action.judge(found.target, action.observe(found.target))
    close(action, found.target)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert "Launch" in _suspended(client)


def test_an_instance_that_the_group_launches_or_lets_go_after_the_plan_is_isolated_too(rig: Rig) -> None:
    """The step means what the group holds when it runs, and what it held when it was signed."""
    client = _group(rig)
    provider = rig.provider(auto_scaling_groups=["bots"])
    found = proposal(provider, ec2_isolate.SPEC.name)
    action = provider.actions[found.action]
    first = {one["InstanceId"] for one in _told(client)["Instances"]}
    client.detach_instances(
        AutoScalingGroupName="bots", InstanceIds=[min(first)], ShouldDecrementDesiredCapacity=True
    )
    client.set_desired_capacity(AutoScalingGroupName="bots", DesiredCapacity=3)

    _, state = close(action, found.target)
    seen = {key.removeprefix("instance:") for key in state.objects if key.startswith("instance:")}

    held = {one["InstanceId"] for one in _told(client)["Instances"]}
    assert len(held - first) >= 2
    assert seen == first | held


def test_a_group_that_is_gone_is_contained_and_not_put_back(rig: Rig) -> None:
    """One that never was is no target."""
    client = _group(rig, size=0)
    provider = rig.provider(auto_scaling_groups=["bots", "none"])
    found = proposal(provider, autoscaling.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    client.delete_auto_scaling_group(AutoScalingGroupName="bots", ForceDelete=True)

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict is Verdict.CONTAINED
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.DRIFTED}
    assert "Auto Scaling group none" in [one.resource for one in provider.discover().not_touched]
