"""An ECS service: nothing wanted, nothing that raises it again, no task left; and back as it was."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Action, Outcome, Proposal
from breakglass_aws.actions import ecs_service
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import ROLE, cluster, plain, run_tasks, tasks_of

WORKING = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": True,
    "ScheduledScalingSuspended": False,
}
SCALING = "scaling:ecs:service:DesiredCount"
ROUNDS = 200
"""A task takes its time to end."""


def _scale(rig: Rig, **suspended: bool) -> Any:  # noqa: ANN401 - boto3 has no types
    scaler = rig.boto("application-autoscaling")
    scaler.register_scalable_target(
        ServiceNamespace="ecs",
        ResourceId="service/prod/web",
        ScalableDimension="ecs:service:DesiredCount",
        MinCapacity=1,
        MaxCapacity=7,
        SuspendedState={**WORKING, **suspended},
    )
    return scaler


def _found(rig: Rig) -> tuple[Action, Proposal]:
    provider = rig.provider(services=["prod/web"])
    found = proposal(provider, ecs_service.SPEC.name)
    return provider.actions[found.action], found


def _described(rig: Rig) -> tuple[object, object]:
    service = plain(rig.boto("ecs").describe_services(cluster="prod", services=["web"]))
    scaler = rig.boto("application-autoscaling")
    # The sandbox makes running and pending counts up from the desired one.
    for one in service["services"]:
        one.pop("runningCount"), one.pop("pendingCount")
        one.pop("deployments", None), one.pop("events", None)
    return service, plain(scaler.describe_scalable_targets(ServiceNamespace="ecs"))


def test_a_service_is_stopped_for_good_and_comes_back_with_its_scaling_as_it_was(rig: Rig) -> None:
    """What was suspended before stays suspended; the rest works again."""
    cluster(rig)
    _scale(rig)
    ours, other = tasks_of(rig, 2), run_tasks(rig, 1)
    before = _described(rig)
    action, found = _found(rig)

    prior, state = close(action, found.target, rounds=ROUNDS)

    assert found.target.params["role_arn"] == ROLE
    assert [key for key in state.objects if key.startswith("task:")] == []
    assert {f"task:{arn}" for arn in ours} == {key for key in prior if key.startswith("task:")}
    assert undo(action, found.target, prior).objects == {
        "service": Outcome.RESTORED,
        SCALING: Outcome.RESTORED,
        **{f"task:{arn}": Outcome.ENDED for arn in ours},
    }
    assert before == _described(rig)
    assert undo(action, found.target, prior).objects["service"] is Outcome.ALREADY
    alive = rig.boto("ecs").describe_tasks(cluster="prod", tasks=other)["tasks"]
    assert alive[0]["lastStatus"] != "STOPPED"


def test_facts_of_a_task_are_recorded_before_it_is_stopped(rig: Rig) -> None:
    """Its tags are lost with it on the real service."""
    cluster(rig)
    arn, _ = tasks_of(rig, 2)
    action, found = _found(rig)

    prior, _ = close(action, found.target, rounds=ROUNDS)
    facts = prior[f"task:{arn}"]

    assert isinstance(facts, dict)
    assert facts["started_by"] == "ecs-svc/web"
    assert facts["group"] == "service:web"


@pytest.mark.parametrize("what", ["desired", "suspended"])
def test_whoever_raises_the_service_again_makes_it_not_contained(rig: Rig, what: str) -> None:
    """An autoscaler that wakes up, or a friend, is seen by the next look and undone."""
    ecs = cluster(rig)
    _scale(rig)
    action, found = _found(rig)
    close(action, found.target, rounds=ROUNDS)
    if what == "desired":
        ecs.update_service(cluster="prod", service="web", desiredCount=3)
    else:
        _scale(rig)

    seen = action.judge(found.target, action.observe(found.target))
    _, state = close(action, found.target, rounds=ROUNDS)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert action.judge(found.target, state).verdict is Verdict.CONTAINED


def test_a_task_that_is_started_during_the_stop_is_ended_too(rig: Rig) -> None:
    """The service's tasks are listed again in every round."""
    cluster(rig)
    action, found = _found(rig)
    first = action.observe(found.target)
    (late,) = run_tasks(rig, 1, group="service:web")
    action.apply(found.target, first, "token")

    _, state = close(action, found.target, rounds=ROUNDS)
    (task,) = rig.boto("ecs").describe_tasks(cluster="prod", tasks=[late])["tasks"]

    assert list(state.objects) == ["service"]
    assert task["lastStatus"] == "STOPPED"


def test_a_service_without_scaling_gets_none(rig: Rig) -> None:
    """What was absent stays absent."""
    cluster(rig)
    before = _described(rig)
    action, found = _found(rig)

    prior, state = close(action, found.target, rounds=ROUNDS)
    undo(action, found.target, prior)

    assert not [key for key in state.objects if key.startswith("scaling:")]
    assert before == _described(rig)


def test_a_service_that_was_off_before_stays_off(rig: Rig) -> None:
    """There is nothing to put back."""
    cluster(rig, desired=0)
    action, found = _found(rig)
    state = action.observe(found.target)

    assert action.judge(found.target, state).verdict is Verdict.CONTAINED
    assert undo(action, found.target, state.objects).objects == {"service": Outcome.ALREADY}


def test_a_service_that_somebody_changed_since_is_left_alone(rig: Rig) -> None:
    """Also one that was deleted and made again under its name."""
    ecs = cluster(rig)
    action, found = _found(rig)
    prior, _ = close(action, found.target, rounds=ROUNDS)
    ecs.update_service(cluster="prod", service="web", desiredCount=5)
    changed = undo(action, found.target, prior).objects
    ecs.delete_service(cluster="prod", service="web", force=True)
    gone = action.observe(found.target)

    assert changed["service"] is Outcome.DRIFTED
    assert action.judge(found.target, gone).verdict is Verdict.CONTAINED
    assert undo(action, found.target, prior).objects["service"] is Outcome.DRIFTED


def test_a_daemon_service_is_a_door_and_not_a_step(rig: Rig) -> None:
    """It has no number of tasks: nothing here could claim to have stopped it."""
    cluster(rig, strategy="DAEMON")
    found = rig.provider(services=["prod/web", "prod/none", "none/web"]).discover()

    assert [one for one in found.proposals if one.action == ecs_service.SPEC.name] == []
    assert [one.door.verdict for one in found.doors if "prod/web" in one.door.name] == [Verdict.NOT_CONTAINED]
    assert {one.resource for one in found.not_touched} >= {"ECS service prod/none", "ECS service none/web"}
