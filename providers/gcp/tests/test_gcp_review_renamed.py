"""A machine that was renamed between the plan and the stop is the same machine, and is turned off."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions.compute_reading import texts
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

SUSPEND, DENY = "gcp.compute.suspend_instance", "gcp.compute.deny_egress"
ADDRESS, GROUP = "gcp.compute.remove_external_address", "gcp.compute.suspend_group"


def _rename(rig: Rig, name: str, to: str) -> str:
    """Turn a machine off, rename it and start it, as whoever may stop it can; return its new name."""
    compute.do(rig, "stop", name)
    compute.do(rig, "set_name", name, instances_set_name_request_resource={"name": to})
    zone = name.partition("/")[0]
    compute.do(rig, "start", f"{zone}/{to}")
    return f"{zone}/{to}"


def test_a_machine_that_was_renamed_after_the_plan_is_turned_off_and_comes_back(rig: Rig) -> None:
    """By its name it is gone, and nobody would look for it any more."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    renamed = _rename(rig, name, "other")
    assert compute.status(rig, renamed) == "RUNNING"

    told = action.judge(step.target, action.observe(step.target))
    prior, _ = close(action, step.target)

    assert told.verdict is Verdict.NOT_CONTAINED
    assert compute.status(rig, renamed) == "SUSPENDED"
    assert undo(action, step.target, prior).objects == {renamed: Outcome.RESTORED}
    assert compute.status(rig, renamed) == "RUNNING"


def test_a_machine_that_was_made_in_its_place_hides_it_not(rig: Rig) -> None:
    """Both are turned off: what has the name is what the inventory means, too."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    renamed = _rename(rig, name, "other")
    compute.machine(rig, "bot")

    close(action, step.target)

    assert {compute.status(rig, one) for one in (name, renamed)} == {"SUSPENDED"}


def test_its_ways_out_are_closed_under_its_new_name(rig: Rig) -> None:
    """Its tag and its external address are read where it is now."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    steps = [proposal(provider, one) for one in (DENY, ADDRESS)]
    renamed = _rename(rig, name, "other")

    for step in steps:
        close(provider.actions[step.action], step.target)

    zone, _, short = renamed.partition("/")
    asked = {"project": rig.project, "zone": zone, "instance": short}
    live = rig.admin.call("instances", "get", asked)
    assert [*live.network_interfaces[0].access_configs] == []
    assert steps[0].target.params["rule"] in live.tags.items


def test_a_machine_that_is_really_gone_is_gone(rig: Rig) -> None:
    """Its id finds nothing either."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    compute.do(rig, "delete", name)

    assert action.observe(step.target).objects == {}


def test_a_member_that_left_its_group_and_was_renamed_is_turned_off_too(rig: Rig) -> None:
    """Neither its group nor its name leads to it any more."""
    compute.network(rig)
    held = compute.group(rig, "bots", rig.account("bot"), size=1)
    provider = rig.provider(instance_groups=[held])
    step, action = proposal(provider, GROUP), provider.actions[GROUP]
    [name] = texts(step.target.params["instances"])
    zone, _, short = name.partition("/")
    leaving = {"instances": [f"projects/{rig.project}/zones/{zone}/instances/{short}"]}
    asked = {"project": rig.project, "zone": zone, "instance_group_manager": "bots"}
    key = "instance_group_managers_abandon_instances_request_resource"
    rig.admin.operate("instance_groups", "abandon_instances", {**asked, key: leaving})
    renamed = _rename(rig, name, "other")

    told = action.judge(step.target, action.observe(step.target))
    prior, _ = close(action, step.target)

    assert told.verdict is Verdict.NOT_CONTAINED
    assert compute.status(rig, renamed) == "SUSPENDED"
    assert undo(action, step.target, prior).objects[renamed] is Outcome.ENDED
