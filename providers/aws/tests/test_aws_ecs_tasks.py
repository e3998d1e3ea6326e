"""Tasks without a service: all of a family end, and what is lost with them is copied before."""

from __future__ import annotations

import json

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import ecs_snapshot, ecs_tasks
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import ROLE, cluster, run_tasks, tasks_of


def test_every_task_of_the_family_ends_and_none_is_started_by_the_restore(rig: Rig) -> None:
    """One that starts during the stop is ended too; its tags are recorded first."""
    ecs = cluster(rig, desired=0)
    ran = run_tasks(rig, 4)
    provider = rig.provider(task_families=["prod/bot"])
    found = proposal(provider, ecs_tasks.SPEC.name)
    action = provider.actions[found.action]
    first = action.observe(found.target)
    (late,) = run_tasks(rig, 1)
    action.apply(found.target, first, "token")
    seen = action.observe(found.target)

    prior, state = close(action, found.target, rounds=200)
    done = undo(action, found.target, {**first.objects, **prior})

    facts = first.objects[f"task:{ran[0]}"]
    assert isinstance(facts, dict)
    assert facts["tags"] == [{"key": "ticket", "value": "42"}]
    assert {f"task:{arn}" for arn in ran} == set(first.objects)
    assert f"task:{late}" in seen.objects
    assert state.objects == {}
    assert set(done.objects.values()) == {Outcome.ENDED}
    assert found.target.params["role_arn"] == ROLE
    assert ecs.list_tasks(cluster="prod", desiredStatus="RUNNING")["taskArns"] == []


def test_a_task_that_a_service_starts_again_is_said_to_be(rig: Rig) -> None:
    """The reason names the service that must be stopped as well."""
    cluster(rig)
    tasks_of(rig, 2)
    provider = rig.provider(task_families=["prod/bot"])
    found = proposal(provider, ecs_tasks.SPEC.name)
    action = provider.actions[found.action]

    judged = action.judge(found.target, action.observe(found.target))

    assert judged.verdict is Verdict.NOT_CONTAINED
    assert "service:web" in judged.reason


def test_a_cluster_that_is_not_there_is_no_target(rig: Rig) -> None:
    """It is named as not touched."""
    found = rig.provider(task_families=["none/bot"]).discover()

    assert "ECS tasks none/bot" in [one.resource for one in found.not_touched]
    assert [one for one in found.proposals if one.action == ecs_tasks.SPEC.name] == []


def test_descriptions_are_copied_once_and_without_values_of_variables(rig: Rig) -> None:
    """Tags are in, secrets that the task was started with are not."""
    cluster(rig, desired=0)
    secret = {"name": "API_KEY", "value": "s3cr3t"}
    run_tasks(rig, 1, overrides={"containerOverrides": [{"name": "bot", "environment": [secret]}]})
    provider = rig.provider(services=["prod/web"], task_families=["prod/bot"])
    found = proposal(provider, ecs_snapshot.SPEC.name)
    action = provider.actions[found.action]

    close(action, found.target)
    action.apply(found.target, action.observe(found.target), "again")
    (path,) = (rig.folder / "incident-0" / "evidence").rglob("ecs-tasks-*.jsonl")
    task = json.loads(path.read_text().splitlines()[0])

    assert "s3cr3t" not in path.read_text()
    assert task["tags"] == [{"key": "ticket", "value": "42"}]
