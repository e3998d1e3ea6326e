"""The agent's CronJobs, with the real controller: none fires while stopped; then all is as it was."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import cron_jobs
from breakglass_kubernetes.cluster import APPLY
from breakglass_kubernetes.kinds import CRON_JOBS, JOBS
from breakglass_kubernetes.objects import managers_of
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, template, undo

LONG_AWAY = "0 0 31 12 *"


def cron(rig: Rig, name: str, *, schedule: str = LONG_AWAY, **spec: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make a CronJob of the agent's."""
    made = {"spec": {"template": template(restartPolicy="Never")}}
    body = {
        "metadata": {"labels": {"app": "bot"}},
        "spec": {"schedule": schedule, "jobTemplate": made, **spec},
    }
    return rig.make(CRON_JOBS, name, body)


def jobs(rig: Rig) -> list[str]:
    """Return the names of all Jobs of the test's namespace."""
    return [one["metadata"]["name"] for one in rig.plane.call("GET", JOBS.path(rig.namespace))["items"]]


def test_every_cron_job_is_suspended_and_the_one_that_was_stays_so_after_the_restore(rig: Rig) -> None:
    """Suspended before the stop is held too, so that nobody wakes it; afterwards all is as it was."""
    ticks, asleep = cron(rig, "ticks"), cron(rig, "asleep", suspend=True)
    other = rig.make(
        CRON_JOBS,
        "other",
        {
            "spec": {
                "schedule": LONG_AWAY,
                "jobTemplate": {"spec": {"template": template(labels={"app": "web"}, restartPolicy="Never")}},
            }
        },
    )
    provider = rig.provider()
    step = proposal(provider, cron_jobs.NAME)
    action = provider.actions[cron_jobs.NAME]
    prior, state = close(action, step.target)

    assert {f"cronjobs.batch/{rig.namespace}/{name}" for name in ("ticks", "asleep")} == prior.keys()
    assert "2 suspended and held" == action.judge(step.target, state).reason
    assert rig.get(CRON_JOBS, "ticks")["spec"]["suspend"] is True
    assert other == rig.get(CRON_JOBS, "other")
    with pytest.raises(ApiError, match="conflict"):
        rig.plane.call(
            "PATCH",
            CRON_JOBS.path(rig.namespace, "asleep"),
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "metadata": {"name": "asleep"},
                "spec": {"suspend": False},
            },
            content_type=APPLY,
            query={"fieldManager": "deployer"},
        )

    said = undo(action, step.target, prior)

    assert {Outcome.RESTORED} == set(said.objects.values())
    for before in (ticks, asleep):
        now = rig.get(CRON_JOBS, before["metadata"]["name"])
        assert before["spec"] == now["spec"]
        assert "breakglass" not in managers_of(now)
    assert {Outcome.ALREADY} == set(undo(action, step.target, prior).objects.values())


def test_a_cron_job_that_appears_or_is_woken_later_is_not_contained_until_it_is_suspended(rig: Rig) -> None:
    """The step is closed over what there is when it looks, not over what was there when it was signed."""
    cron(rig, "first")
    provider = rig.provider()
    step, action = proposal(provider, cron_jobs.NAME), provider.actions[cron_jobs.NAME]
    close(action, step.target)
    cron(rig, "second")
    path = CRON_JOBS.path(rig.namespace, "first")
    merge = "application/merge-patch+json"
    rig.plane.call("PATCH", path, {"spec": {"suspend": False}}, content_type=merge)

    said = action.judge(step.target, action.observe(step.target))

    assert said.verdict is Verdict.NOT_CONTAINED
    assert "first" in said.reason
    assert "second" in said.reason
    close(action, step.target)
    # A deployer that forced the same value took the ownership: the next apply of its own would wake it.
    rig.plane.call("PATCH", path, {"spec": {"suspend": False}}, content_type=merge)
    rig.plane.call("PATCH", path, {"spec": {"suspend": True}}, content_type=merge)
    said = action.judge(step.target, action.observe(step.target))
    assert said.verdict is Verdict.NOT_CONTAINED
    assert "not held" in said.reason


def test_a_label_that_is_taken_away_during_the_stop_hides_no_cron_job(rig: Rig) -> None:
    """What was the agent's at one look is looked at until the end: it is woken under no label, and seen."""
    cron(rig, "shy")
    provider = rig.provider()
    step, action = proposal(provider, cron_jobs.NAME), provider.actions[cron_jobs.NAME]
    prior, _ = close(action, step.target)
    plain = template(labels={"app": "innocent"}, restartPolicy="Never")
    change = {
        "metadata": {"labels": {"app": None}},
        "spec": {"suspend": False, "jobTemplate": {"spec": {"template": plain}}},
    }
    path = CRON_JOBS.path(rig.namespace, "shy")
    rig.plane.call("PATCH", path, change, content_type="application/merge-patch+json")

    state = action.observe(step.target)
    assert prior.keys() == state.objects.keys()
    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED
    close(action, step.target)
    assert rig.get(CRON_JOBS, "shy")["spec"]["suspend"] is True


def test_one_that_is_gone_is_contained_and_has_drifted_at_the_restore(rig: Rig) -> None:
    """What vanished during the stop does not come back, and that is said."""
    cron(rig, "brief")
    provider = rig.provider()
    step, action = proposal(provider, cron_jobs.NAME), provider.actions[cron_jobs.NAME]
    prior, _ = close(action, step.target)
    rig.plane.call("DELETE", CRON_JOBS.path(rig.namespace, "brief"))

    now = action.observe(step.target)
    assert action.judge(step.target, now).verdict is Verdict.CONTAINED
    assert [Outcome.DRIFTED] == [*action.revert(step.target, State(prior), now).objects.values()]


def test_a_cron_job_of_every_minute_starts_nothing_while_stopped_and_one_job_at_the_restore(rig: Rig) -> None:
    """Over a minute boundary the real controller starts no Job; the last missed run starts at the restore.

    With a deadline that is over, the missed run is not made up for (CronJob, "Schedule suspension").
    """
    if dt.datetime.now(dt.UTC).second > 55:  # let both be made and stopped in the same minute
        time.sleep(6)
    cron(rig, "minutely", schedule="* * * * *")
    cron(rig, "strict", schedule="* * * * *", startingDeadlineSeconds=1)
    provider = rig.provider()
    step, action = proposal(provider, cron_jobs.NAME), provider.actions[cron_jobs.NAME]
    prior, _ = close(action, step.target)
    assert [] == jobs(rig)

    time.sleep(60 - dt.datetime.now(dt.UTC).second + 4)
    assert [] == jobs(rig)

    undo(action, step.target, prior)
    until = time.monotonic() + 10
    while not jobs(rig) and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(1)
    assert ["minutely"] == [name.rpartition("-")[0] for name in jobs(rig)]
