"""Instances that are stopped, where the inventory says so, and what is done with their metadata service."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import ec2_metadata, ec2_snapshots, ec2_stop
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import instance, network


def _state(rig: Rig, name: str) -> str:
    answer = rig.boto("ec2").describe_instances(InstanceIds=[name])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_a_protected_instance_is_stopped_and_started_and_protected_again(rig: Rig) -> None:
    """Whoever may modify the instance could have protected it."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    ec2 = rig.boto("ec2")
    ec2.modify_instance_attribute(InstanceId=bot, DisableApiStop={"Value": True})
    provider = rig.provider(instances=[bot], stop_instances=True)
    found = proposal(provider, ec2_stop.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)
    stopped = _state(rig, bot)
    first = undo(action, found.target, prior)
    again = undo(action, found.target, prior)
    shown = ec2.describe_instance_attribute(InstanceId=bot, Attribute="disableApiStop")

    assert stopped == "stopped"
    assert first.objects == {bot: Outcome.RESTORED}
    assert again.objects == {bot: Outcome.ALREADY}
    assert _state(rig, bot) == "running"
    assert str(shown["DisableApiStop"]["Value"]).lower() == "true"


def test_nothing_is_stopped_unless_the_inventory_says_so(rig: Rig) -> None:
    """Isolation is the default: memory is evidence."""
    _, subnet, group = network(rig)
    found = rig.provider(instances=[instance(rig, subnet, group)]).discover()

    assert [one for one in found.proposals if one.action == ec2_stop.SPEC.name] == []


def test_an_instance_that_was_off_stays_off_and_one_that_is_gone_is_not_put_back(rig: Rig) -> None:
    """Nothing is revived."""
    _, subnet, group = network(rig)
    off, gone = instance(rig, subnet, group), instance(rig, subnet, group)
    ec2 = rig.boto("ec2")
    ec2.stop_instances(InstanceIds=[off])
    provider = rig.provider(instances=[off, gone], stop_instances=True)
    found = [one for one in provider.discover().proposals if one.action == ec2_stop.SPEC.name]
    action = provider.actions[ec2_stop.SPEC.name]
    priors = [dict(action.observe(one.target).objects) for one in found]
    for one in found:
        close(action, one.target)
    ec2.terminate_instances(InstanceIds=[gone])

    assert undo(action, found[0].target, priors[0]).objects == {off: Outcome.ALREADY}
    assert undo(action, found[1].target, priors[1]).objects == {gone: Outcome.DRIFTED}
    assert _state(rig, off) == "stopped"


def test_a_volume_is_snapshotted_once_and_the_ids_are_evidence(rig: Rig) -> None:
    """A second look finds what was taken and takes nothing more."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    ec2 = rig.boto("ec2")
    volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
    ec2.attach_volume(VolumeId=volume, InstanceId=bot, Device="/dev/sdf")
    provider = rig.provider(instances=[bot])
    found = proposal(provider, ec2_snapshots.SPEC.name)
    action = provider.actions[found.action]

    _, state = close(action, found.target)
    close(action, found.target)
    mine = [{"Name": "tag:breakglass.dev/incident", "Values": ["inc-test"]}]
    taken = ec2.describe_snapshots(OwnerIds=["self"], Filters=mine)["Snapshots"]
    (path,) = (rig.folder / "incident-0" / "evidence").rglob("snapshots-*.jsonl")

    assert volume in state.objects
    assert {one["VolumeId"] for one in taken} == set(state.objects)
    assert len(taken) == len(state.objects) == len(path.read_text().splitlines())


def test_the_metadata_service_is_turned_off_and_comes_back_with_its_options(rig: Rig) -> None:
    """It withholds new credentials only, and says so: the role's deny ends the old ones."""
    _, subnet, group = network(rig)
    bot = instance(rig, subnet, group)
    provider = rig.provider(instances=[bot])
    found = proposal(provider, ec2_metadata.SPEC.name)
    action = provider.actions[found.action]
    before = action.observe(found.target)

    prior, state = close(action, found.target)

    assert action.judge(found.target, before).verdict is Verdict.NOT_CONTAINED
    assert "old ones" in action.judge(found.target, state).reason
    assert undo(action, found.target, prior).objects == {bot: Outcome.RESTORED}
    assert before == action.observe(found.target)
    assert ec2_metadata.SPEC.withholds_only
