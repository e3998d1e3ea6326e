"""Schedules: paused, and resumed where the stop paused them and nobody else changed them."""

from __future__ import annotations

import pytest

from breakglass.canon import canonical
from breakglass.errors import Denied, Transient
from breakglass.provider import Outcome
from breakglass_gcp.actions import scheduler
from providers.gcp.tests.feeds_gcp import effects, job, received, still, tick, topic, verdict
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

ENTRY = f"{LOCATION}/nightly"


def test_a_paused_job_fires_no_more_and_fires_again_after_the_restore(rig: Rig) -> None:
    """All of it comes back equal, and nothing of its headers, body or address' query is in the state."""
    account = rig.account("bot")
    target = {"uri": "https://bot.example.com/work?key=hunter2", "body": b"hunter2"}
    job(rig, http_target={**target, "oidc_token": {"service_account_email": account}})
    tick(rig)
    before, fired = still(rig), effects(rig, "scheduler:nightly")
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)
    tick(rig, 3)

    assert (fired, effects(rig, "scheduler:nightly")) == (1, 1)
    assert b"hunter2" not in canonical(prior)
    assert found.affects == (f"calls https://bot.example.com/work as {account}",)
    assert undo(action, found.target, prior).objects == {"job": Outcome.RESTORED}
    assert still(rig) == before
    tick(rig)
    assert effects(rig, "scheduler:nightly") == 2
    assert len(received(rig, "schedule")) == 2


def test_a_job_into_a_topic_is_paused_too(rig: Rig) -> None:
    """Its target is Pub/Sub."""
    work = topic(rig)
    job(rig, http_target=None, pubsub_target={"topic_name": work, "data": b"go"})
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)

    close(provider.actions[found.action], found.target)
    tick(rig)

    assert effects(rig, "scheduler:nightly") == 0
    assert found.affects == (f"publishes to {work}",)


def test_a_job_that_was_off_stays_off(rig: Rig) -> None:
    """Paused by its owner, or disabled by Google: neither is revived."""
    name = job(rig)
    rig.admin.call("scheduler", "pause_job", {"name": name})
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)
    action.apply(found.target, state, "token")
    rig.control("scheduler.state", {"job": name, "state": "DISABLED"})

    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {"job": Outcome.ALREADY}


def test_a_job_that_others_changed_is_left_alone_even_where_only_its_body_changed(rig: Rig) -> None:
    """The state does not show the body, and sees that it is another."""
    name = job(rig)
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    changed = {"name": name, "http_target": {"uri": "https://bot.example.com/work", "body": b"other"}}
    rig.admin.call("scheduler", "update_job", {"job": changed, "update_mask": {"paths": ["http_target"]}})

    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {"job": Outcome.DRIFTED}


def test_a_job_whose_last_update_failed_is_paused_all_the_same_and_not_revived(rig: Rig) -> None:
    """PauseJob refuses it; whoever could leave a job so would keep it from being paused."""
    name = job(rig)
    rig.control("scheduler.state", {"job": name, "state": "UPDATE_FAILED"})
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]

    assert verdict(action, found.target) == "unknown"
    prior, _ = close(action, found.target)

    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {"job": Outcome.CANNOT}
    assert verdict(action, found.target) == "contained"


def test_an_agent_that_resumes_its_job_between_rounds_is_seen(rig: Rig) -> None:
    """The next round pauses it again; what is put back is what was first seen."""
    agent = rig.account("bot", roles=["roles/cloudscheduler.admin"])
    name = job(rig)
    before = still(rig)
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    rig.calls_as(rig.token(agent)).call("scheduler", "resume_job", {"name": name})

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
    assert undo(action, found.target, prior).objects == {"job": Outcome.RESTORED}
    assert still(rig) == before


def test_a_job_that_is_gone_has_no_step_and_one_that_goes_is_contained(rig: Rig) -> None:
    """At restore it is not made again."""
    name = job(rig)
    provider = rig.provider(scheduler_jobs=[ENTRY, f"{LOCATION}/other"])
    left = provider.discover().not_touched
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)

    rig.admin.call("scheduler", "delete_job", {"name": name})

    assert [one.reason for one in left if one.resource == f"scheduler job {LOCATION}/other"] == [
        f"there is none in {LOCATION}"
    ]
    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {"job": Outcome.DRIFTED}


def test_a_region_that_does_not_answer_is_not_contained_and_its_step_is_there_all_the_same(rig: Rig) -> None:
    """It runs as soon as the region answers."""
    job(rig)
    down = {"method": "/google.cloud.scheduler.*", "location": LOCATION, "code": "UNAVAILABLE"}
    rig.control("faults", {"faults": [down]})
    provider = rig.provider(scheduler_jobs=[ENTRY])
    discovery = provider.discover()
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]

    with pytest.raises(Transient):
        action.observe(found.target)

    assert any(ENTRY in one for one in discovery.incomplete)
    rig.control("faults", {"faults": []})
    close(action, found.target)
    assert verdict(action, found.target) == "contained"


def test_an_api_that_is_off_and_a_right_that_is_missing_are_said(rig: Rig) -> None:
    """Neither is success."""
    job(rig)
    provider = rig.provider(scheduler_jobs=[ENTRY])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]
    rig.control("project", {"id": rig.project, "services": []})

    with pytest.raises(Denied, match="not enabled"):
        action.observe(found.target)

    rig.control("project", {"id": rig.project, "services": None})
    refusal = {"method": "*PauseJob", "code": "PERMISSION_DENIED"}
    rig.control("faults", {"faults": [refusal]})
    with pytest.raises(Denied):
        close(action, found.target)
    assert verdict(action, found.target) == "not_contained"
    rig.control("faults", {"faults": []})
