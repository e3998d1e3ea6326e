"""Instances are suspended or stopped, stay off against who turns them on, and come back as they were."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests import rig_compute as compute
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

SUSPEND, STOP = "gcp.compute.suspend_instance", "gcp.compute.stop_instance"


def test_a_suspended_instance_does_nothing_more_and_comes_back_equal(rig: Rig) -> None:
    """Neither new connections nor calls as its account go on; after the restore all is as it was."""
    compute.network(rig)
    bot = rig.account("bot", roles=["roles/pubsub.publisher"])
    name = compute.machine(rig, "bot", bot)
    flow = {"zone": compute.ZONE, "instance": "bot", "permission": "pubsub.topics.publish"}
    rig.control("compute.flow", flow)
    assert compute.goes_on(rig, "vm:bot")
    assert compute.goes_on(rig, "vm-api:bot")
    before = rig.control("state")["compute_instances"]
    provider = rig.provider(instances=[name], service_accounts=[bot])
    step = proposal(provider, SUSPEND)
    action = provider.actions[SUSPEND]

    prior, state = close(action, step.target)

    assert compute.status(rig, name) == "SUSPENDED"
    assert action.judge(step.target, state).reason == f"{name} is SUSPENDED"
    assert not compute.goes_on(rig, "vm:bot")
    assert not compute.goes_on(rig, "flow:bot")
    assert not compute.goes_on(rig, "vm-api:bot")

    assert undo(action, step.target, prior).objects == {name: Outcome.RESTORED}
    assert undo(action, step.target, prior).objects == {name: Outcome.ALREADY}
    assert rig.control("state")["compute_instances"] == before
    assert compute.goes_on(rig, "vm:bot")


def test_an_instance_with_a_gpu_is_stopped_and_the_plan_says_that_its_memory_is_lost(rig: Rig) -> None:
    """What cannot be suspended is known when planning."""
    compute.network(rig)
    name = compute.machine(rig, "gpu", guest_accelerators=[{"accelerator_count": 1}])
    provider = rig.provider(instances=[name])
    step = proposal(provider, STOP)

    prior, _ = close(provider.actions[STOP], step.target)

    assert "memory is lost: it has a GPU" in step.target.label
    assert compute.status(rig, name) == "TERMINATED"
    assert undo(provider.actions[STOP], step.target, prior).objects == {name: Outcome.RESTORED}
    assert compute.status(rig, name) == "RUNNING"


def test_a_guest_that_does_not_let_itself_be_suspended_is_stopped(rig: Rig) -> None:
    """The operation fails while it is waited for: the same round stops the instance."""
    compute.network(rig)
    name = compute.machine(rig, "stubborn", labels={"sandbox-suspend-fails": "yes"})
    provider = rig.provider(instances=[name])
    step = proposal(provider, SUSPEND)

    prior, _ = close(provider.actions[SUSPEND], step.target)

    assert compute.status(rig, name) == "TERMINATED"
    assert undo(provider.actions[SUSPEND], step.target, prior).objects == {name: Outcome.RESTORED}


def test_a_guest_that_refused_while_nobody_looked_is_stopped_in_the_next_round(rig: Rig) -> None:
    """The failed operation is found again in the zone's list, also by another process."""
    compute.network(rig)
    name = compute.machine(rig, "sly", labels={"sandbox-suspend-fails": "yes"})
    asked = {"project": rig.project, "zone": compute.ZONE, "instance": "sly"}
    rig.admin.call("instances", "suspend", asked)
    compute.until(lambda: compute.status(rig, name) == "RUNNING")
    provider = rig.provider(instances=[name])
    step = proposal(provider, SUSPEND)
    before = len(rig.control("calls"))

    close(provider.actions[SUSPEND], step.target)

    made = [one["method"] for one in rig.control("calls")[before:]]
    assert "compute.instances.suspend" not in made
    assert compute.status(rig, name) == "TERMINATED"


def test_an_agent_that_resumes_its_instance_is_suspended_again(rig: Rig) -> None:
    """Each read decides anew; the first state that was seen is what a restore goes back to."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    prior, _ = close(action, step.target)
    compute.do(rig, "resume", name)
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED

    close(action, step.target)

    assert compute.status(rig, name) == "SUSPENDED"
    assert undo(action, step.target, prior).objects == {name: Outcome.RESTORED}


def test_an_instance_that_was_off_before_stays_off(rig: Rig) -> None:
    """The restore never revives what did not run."""
    compute.network(rig)
    stopped, suspended = compute.machine(rig, "stopped"), compute.machine(rig, "suspended")
    compute.do(rig, "stop", stopped)
    compute.do(rig, "suspend", suspended)
    provider = rig.provider(instances=[stopped, suspended])

    for step in provider.discover().proposals:
        if step.action == SUSPEND:
            prior, _ = close(provider.actions[SUSPEND], step.target)
            assert [*undo(provider.actions[SUSPEND], step.target, prior).objects.values()] == [
                Outcome.ALREADY
            ]

    assert compute.status(rig, stopped) == "TERMINATED"
    assert compute.status(rig, suspended) == "SUSPENDED"


def test_an_instance_that_was_deleted_and_made_anew_is_suspended_but_not_brought_back(rig: Rig) -> None:
    """The name is the agent's; what a restore brings back is the instance that was there."""
    compute.network(rig)
    name = compute.machine(rig, "bot")
    provider = rig.provider(instances=[name])
    step, action = proposal(provider, SUSPEND), provider.actions[SUSPEND]
    prior, _ = close(action, step.target)
    compute.do(rig, "delete", name)
    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.CONTAINED
    compute.machine(rig, "bot")

    close(action, step.target)

    assert compute.status(rig, name) == "SUSPENDED"
    assert undo(action, step.target, prior).objects == {name: Outcome.DRIFTED}


def test_an_instance_that_is_not_there_is_said(rig: Rig) -> None:
    """No step, and the plan says why."""
    found = rig.provider(instances=[f"{compute.ZONE}/nobody"]).discover()

    assert not [one for one in found.proposals if one.action.startswith("gcp.compute")]
    assert any("nobody" in one.resource for one in found.not_touched)


def test_metadata_that_names_a_group_which_does_not_hold_it_misleads_nobody(rig: Rig) -> None:
    """Whoever owns an instance may write into its metadata: only the group's own list counts."""
    compute.network(rig)
    lie = f"projects/{rig.number}/zones/{compute.ZONE}/instanceGroupManagers/none"
    name = compute.machine(rig, "liar", metadata={"items": [{"key": "created-by", "value": lie}]})
    provider = rig.provider(instances=[name])
    step = proposal(provider, SUSPEND)

    close(provider.actions[SUSPEND], step.target)

    assert step.target.params["managed_by"] == ""
    assert compute.status(rig, name) == "SUSPENDED"
