"""No instance schedule starts what was turned off; a restore attaches what was attached."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

DETACH = "gcp.compute.detach_schedules"


def _policy(rig: Rig, name: str, **more: object) -> str:
    asked = {"project": rig.project, "region": LOCATION, "resource_policy_resource": {"name": name, **more}}
    rig.admin.operate("resource_policies", "insert", asked)
    return f"projects/{rig.project}/regions/{LOCATION}/resourcePolicies/{name}"


def _schedule(rig: Rig) -> str:
    daily = {"vm_start_schedule": {"schedule": "0 9 * * *"}, "time_zone": "UTC"}
    return _policy(rig, "daily", instance_schedule_policy=daily)


def test_a_schedule_that_would_start_it_is_taken_off_and_put_back(rig: Rig) -> None:
    """Its placement stays; an agent that attaches the schedule again finds it taken off again."""
    compute.network(rig)
    schedule = _schedule(rig)
    placement = _policy(rig, "near", group_placement_policy={"collocation": "COLLOCATED"})
    name = compute.machine(rig, "bot")
    body = {"resource_policies": [placement, schedule]}
    more = {"instances_add_resource_policies_request_resource": body}
    compute.do(rig, "add_resource_policies", name, **more)
    before = rig.control("state")["compute_instances"]
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, DETACH), provider.actions[DETACH]
    prior, _ = close(action, step.target)
    assert rig.control("compute.schedule") == {"started": []}
    again = {"instances_add_resource_policies_request_resource": {"resource_policies": [schedule]}}
    compute.do(rig, "add_resource_policies", name, **again)
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED

    close(action, step.target)

    assert [*prior] == [f"{name} {schedule}"]
    assert undo(action, step.target, prior).objects == {f"{name} {schedule}": Outcome.RESTORED}
    assert undo(action, step.target, prior).objects == {f"{name} {schedule}": Outcome.ALREADY}
    assert rig.control("state")["compute_instances"] == before


def test_a_schedule_that_is_attached_after_the_plan_was_made_is_taken_off_too(rig: Rig) -> None:
    """The step stands in every plan; one that comes later is put back as it was first seen."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, DETACH), provider.actions[DETACH]
    schedule = _schedule(rig)
    more = {"instances_add_resource_policies_request_resource": {"resource_policies": [schedule]}}
    compute.do(rig, "add_resource_policies", name, **more)

    prior, _ = close(action, step.target)

    assert [*prior] == [f"{name} {schedule}"]
    assert rig.control("compute.schedule") == {"started": []}
