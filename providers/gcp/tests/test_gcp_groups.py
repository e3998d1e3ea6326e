"""Managed groups neither repair nor grow; their instances are suspended through them, and come back."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome, Proposal
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

HOLD, SUSPEND = "gcp.compute.hold_group", "gcp.compute.suspend_group"
REPAIR = {"default_action_on_failure": "REPAIR"}


def _autoscaler(rig: Rig, group: str, size: int) -> None:
    place, _, name = group.partition("/")
    kind, service = ("zone", "autoscalers") if place == compute.ZONE else ("region", "region_autoscalers")
    target = f"projects/{rig.project}/{kind}s/{place}/instanceGroupManagers/{name}"
    policy = {"min_num_replicas": size, "max_num_replicas": 9, "cool_down_period_sec": 60}
    body = {"name": name, "target": target, "autoscaling_policy": policy}
    asked = {"project": rig.project, kind: place, "autoscaler_resource": body}
    rig.admin.operate(service, "insert", asked)


def _ticks(rig: Rig) -> None:
    rig.control("platform", {"on": False, "ticks": 3})


def _stopped(rig: Rig, provider: Any) -> list[tuple[Any, Proposal, dict[str, Any]]]:  # noqa: ANN401 - a provider
    """Hold the group and suspend its instances, the platform at work all the while."""
    rig.control("platform", {"on": True})
    made = []
    for name in (HOLD, SUSPEND):
        step, action = proposal(provider, name), provider.actions[name]
        prior, _ = close(action, step.target, rounds=20)
        made.append((action, step, prior))
    rig.control("platform", {"on": False})
    return made


@pytest.mark.parametrize("place", [compute.ZONE, LOCATION])
def test_a_group_is_held_and_suspended_and_comes_back_equal(rig: Rig, place: str) -> None:
    """Its autoscaler keeps its configuration; its target sizes are what they were."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("bot"), place=place)
    _autoscaler(rig, group, 2)
    _ticks(rig)
    before = rig.control("state")
    stopped = _stopped(rig, rig.provider(instance_groups=[group]))

    _ticks(rig)

    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}
    assert len(compute.members(rig, group)) == 2
    for action, step, prior in reversed(stopped):
        assert set(undo(action, step.target, prior).objects.values()) <= {Outcome.RESTORED, Outcome.ALREADY}
    _ticks(rig)
    for action, step, prior in reversed(stopped):
        assert set(undo(action, step.target, prior).objects.values()) == {Outcome.ALREADY}
    after = rig.control("state")
    assert after["compute_groups"] == before["compute_groups"]
    assert after["compute_instances"] == before["compute_instances"]


def test_what_the_group_makes_during_the_stop_is_suspended_too(rig: Rig) -> None:
    """An agent that resizes its group or turns the autoscaler on again is met in the next round."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("bot"))
    provider = rig.provider(instance_groups=[group])
    (_, (action, step, _)) = _stopped(rig, provider)
    asked = {"project": rig.project, "zone": compute.ZONE, "instance_group_manager": "bots"}
    rig.admin.operate("instance_groups", "resize", {**asked, "size": 2})
    _ticks(rig)
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED

    _stopped(rig, provider)

    _ticks(rig)
    assert set(compute.members(rig, group).values()) == {"SUSPENDED"}
    assert len(compute.members(rig, group)) == 4


def test_an_instance_that_somebody_deleted_is_not_made_again_while_the_group_is_held(rig: Rig) -> None:
    """Without the hold the group would repair it."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("bot"), size=1)
    (name,) = compute.members(rig, group)
    compute.do(rig, "delete", f"{compute.ZONE}/{name}")
    _ticks(rig)
    assert [*compute.members(rig, group).values()] == ["RUNNING"]
    provider = rig.provider(instance_groups=[group])
    step = proposal(provider, HOLD)
    close(provider.actions[HOLD], step.target)
    compute.do(rig, "delete", f"{compute.ZONE}/{name}")

    _ticks(rig)

    assert [*compute.members(rig, group).values()] == [""]


def test_an_agent_that_lets_its_group_repair_again_is_seen_and_held_again(rig: Rig) -> None:
    """Read back: the policy and the pool's mode."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("bot"))
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, HOLD), provider.actions[HOLD]
    prior, _ = close(action, step.target)
    asked = {"project": rig.project, "zone": compute.ZONE, "instance_group_manager": "bots"}
    loose = {"instance_lifecycle_policy": REPAIR, "standby_policy": {"mode": "SCALE_OUT_POOL"}}
    rig.admin.operate("instance_groups", "patch", {**asked, "instance_group_manager_resource": loose})
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED

    close(action, step.target)

    assert undo(action, step.target, prior).objects == {"group": Outcome.RESTORED}


def test_an_autoscaler_that_was_off_before_stays_off(rig: Rig) -> None:
    """The restore never turns on what was off."""
    compute.network(rig)
    group = compute.group(rig, "bots", rig.account("bot"))
    _autoscaler(rig, group, 2)
    off = {"autoscaling_policy": {"mode": "OFF"}}
    asked = {"project": rig.project, "zone": compute.ZONE, "autoscaler": "bots", "autoscaler_resource": off}
    rig.admin.operate("autoscalers", "patch", asked)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, HOLD), provider.actions[HOLD]

    prior, _ = close(action, step.target)

    assert undo(action, step.target, prior).objects["autoscaler:bots"] is Outcome.ALREADY


def test_a_group_of_instances_that_cannot_be_suspended_is_stopped_through_the_group(rig: Rig) -> None:
    """One after the other, where the group refuses them together."""
    compute.network(rig)
    gpu = {"guest_accelerators": [{"accelerator_count": 1}]}
    group = compute.group(rig, "gpus", rig.account("bot"), properties=gpu)
    provider = rig.provider(instance_groups=[group])

    (_, (action, step, prior)) = _stopped(rig, provider)

    assert "its memory" in step.target.label or "memory is lost" in step.target.label
    assert set(compute.members(rig, group).values()) == {"TERMINATED"}
    assert set(undo(action, step.target, prior).objects.values()) == {Outcome.RESTORED}


def test_a_named_instance_of_an_unnamed_group_is_suspended_through_it_and_a_door_names_the_group(
    rig: Rig,
) -> None:
    """By itself it would be repaired; the group may make others, which the plan says."""
    compute.network(rig)
    group = compute.group(rig, "crowd", rig.account("bot"))
    one, other = sorted(compute.members(rig, group))
    provider = rig.provider(instances=[f"{compute.ZONE}/{one}"])
    name = "gcp.compute.suspend_instance"
    step = proposal(provider, name)
    rig.control("platform", {"on": True})

    prior, _ = close(provider.actions[name], step.target, rounds=20)

    rig.control("platform", {"on": False})
    _ticks(rig)
    assert compute.members(rig, group) == {one: "SUSPENDED", other: "RUNNING"}
    assert any(door.door.name == f"instance group {group}" for door in provider.discover().doors)
    assert undo(provider.actions[name], step.target, prior).objects == {
        f"{compute.ZONE}/{one}": Outcome.RESTORED
    }
    _ticks(rig)
    assert compute.members(rig, group) == {one: "RUNNING", other: "RUNNING"}


def test_a_group_that_is_not_there_is_said(rig: Rig) -> None:
    """No step, and the plan says why."""
    found = rig.provider(instance_groups=[f"{compute.ZONE}/nobody"]).discover()

    assert not [one for one in found.proposals if one.action in (HOLD, SUSPEND)]
    assert any("nobody" in one.resource for one in found.not_touched)
