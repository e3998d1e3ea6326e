"""Instances: every interface through the open group into the closed one, and back into its own groups."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Verdict
from breakglass.provider import Action, Outcome, Proposal
from breakglass_aws.actions import ec2_isolate
from breakglass_aws.connect import AwsProvider
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import groups_of, instance, network, plain, second_interface


def _found(provider: AwsProvider) -> tuple[Action, Proposal]:
    found = proposal(provider, ec2_isolate.SPEC.name)
    return provider.actions[found.action], found


def _described(rig: Rig) -> list[dict[str, Any]]:
    ec2 = rig.boto("ec2")
    return [plain(ec2.describe_network_interfaces()), plain(ec2.describe_security_groups())]


def _isolation(rig: Rig, vpc: str, kind: str = "isolation") -> dict[str, Any]:
    groups = rig.boto("ec2").describe_security_groups(Filters=[{"Name": "vpc-id", "Values": [vpc]}])
    (found,) = [one for one in groups["SecurityGroups"] if one["GroupName"].startswith(f"breakglass-{kind}-")]
    return dict(found)


def _moves(rig: Rig) -> list[dict[str, Any]]:
    """Return the changes of interfaces, from the sandbox's own record."""
    calls = rig.sandbox.control("calls", {})
    return [one for one in calls if one["operation"] == "ModifyNetworkInterfaceAttribute"]


def test_every_interface_is_isolated_and_gets_its_own_groups_back(rig: Rig) -> None:
    """Each goes through the open group first; both groups are gone after the restore."""
    vpc, subnet, group = network(rig)
    other = rig.boto("ec2").create_security_group(GroupName="b", Description="b", VpcId=vpc)["GroupId"]
    bot = instance(rig, subnet, group, other)
    second = second_interface(rig, subnet, group, bot)
    before = _described(rig)
    action, found = _found(rig.provider(instances=[bot]))

    prior, state = close(action, found.target)
    shut, through = _isolation(rig, vpc), _isolation(rig, vpc, "open")

    assert groups_of(rig, second) == [shut["GroupId"]]
    assert (shut["IpPermissions"], shut["IpPermissionsEgress"]) == ([], [])
    assert [one["IpProtocol"] for one in through["IpPermissions"]] == ["-1"]
    assert len([key for key in state.objects if key.startswith("eni-")]) == 2
    assert len(_moves(rig)) == 4
    assert Outcome.DRIFTED not in undo(action, found.target, prior).objects.values()
    assert before == _described(rig)
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ALREADY}


def test_an_interface_that_is_attached_during_the_stop_is_isolated_too(rig: Rig) -> None:
    """It is listed again, and goes back into the group that it came with."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    action, found = _found(rig.provider(instances=[bot]))
    first, _ = close(action, found.target)
    late = second_interface(rig, subnet, group, bot)

    seen = action.judge(found.target, action.observe(found.target))
    more, state = close(action, found.target)
    undo(action, found.target, {**more, **first})

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert late in state.objects
    assert groups_of(rig, late) == [group]


def test_an_isolation_group_that_somebody_opened_is_not_contained_and_is_shut_again(rig: Rig) -> None:
    """The rules are looked at with every read."""
    vpc, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    action, found = _found(rig.provider(instances=[bot]))
    close(action, found.target)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    rig.boto("ec2").authorize_security_group_egress(
        GroupId=_isolation(rig, vpc)["GroupId"], IpPermissions=everything
    )

    seen = action.judge(found.target, action.observe(found.target))
    close(action, found.target)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert "has rules" in seen.reason
    assert _isolation(rig, vpc)["IpPermissionsEgress"] == []


def test_a_group_of_our_name_with_rules_is_shut_before_it_is_used(rig: Rig) -> None:
    """Somebody could make it before us."""
    vpc, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    rig.boto("ec2").create_security_group(
        GroupName=f"breakglass-isolation-{vpc}-inc-test", Description="mine", VpcId=vpc
    )
    action, found = _found(rig.provider(instances=[bot]))

    prior, _ = close(action, found.target)

    assert _isolation(rig, vpc)["IpPermissionsEgress"] == []
    assert undo(action, found.target, prior).objects[f"groups:isolation:{vpc}"] is Outcome.ALREADY
    assert _isolation(rig, vpc)["Description"] == "mine"


def test_two_instances_of_a_network_share_the_groups_until_the_last_is_restored(rig: Rig) -> None:
    """The first restore finds them in use, the second takes them away."""
    _, subnet, group = network(rig)
    bots = [instance(rig, subnet, group) for _ in range(2)]
    before = _described(rig)
    provider = rig.provider(instances=[*bots])
    found = [one for one in provider.discover().proposals if one.action == ec2_isolate.SPEC.name]
    action = provider.actions[ec2_isolate.SPEC.name]
    priors = [close(action, one.target)[0] for one in found]

    first = undo(action, found[0].target, priors[0])
    second = undo(action, found[1].target, priors[1])

    assert Outcome.DRIFTED not in {*first.objects.values(), *second.objects.values()}
    assert before == _described(rig)


def test_an_interface_that_somebody_moved_since_is_left_alone(rig: Rig) -> None:
    """So is one that is gone."""
    vpc, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    second = second_interface(rig, subnet, group, bot)
    action, found = _found(rig.provider(instances=[bot]))
    prior, state = close(action, found.target)
    ec2 = rig.boto("ec2")
    other = ec2.create_security_group(GroupName="b", Description="b", VpcId=vpc)["GroupId"]
    ec2.modify_network_interface_attribute(NetworkInterfaceId=second, Groups=[other])

    done = undo(action, found.target, prior)

    assert done.objects[second] is Outcome.DRIFTED
    assert groups_of(rig, second) == [other]
    assert {key for key in state.objects if key.startswith("eni-")} - {second} == {
        key for key, outcome in done.objects.items() if outcome is Outcome.RESTORED and key.startswith("eni-")
    }


def test_an_instance_that_ended_between_plan_and_step_is_contained(rig: Rig) -> None:
    """One that never was is no target."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    provider = rig.provider(instances=[bot, "i-0123456789abcdef0"])
    action, found = _found(provider)
    rig.boto("ec2").terminate_instances(InstanceIds=[bot])

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict is Verdict.CONTAINED
    assert "EC2 instance i-0123456789abcdef0" in [one.resource for one in provider.discover().not_touched]


def test_flows_that_may_live_on_are_a_door_until_the_instance_is_stopped(rig: Rig) -> None:
    """Where nothing is allowed to end them the plan says unknown; names and metadata are never filtered."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    alone = rig.provider(instances=[bot]).discover()
    stopped = rig.provider(instances=[bot], stop_instances=True).discover()
    closed = rig.provider(instances=[bot], nacl_subnets=[subnet]).discover()

    ways = [
        [one.closed_by for one in found.doors if "flows" in one.door.name]
        for found in (alone, stopped, closed)
    ]

    assert ways == [[()], [(f"stop_instances:{bot}",)], [(f"close_subnet:{subnet}",)]]
    assert any("resolver" in one.reason for one in alone.not_touched)
