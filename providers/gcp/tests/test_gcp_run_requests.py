"""gcp.run.outlast_requests: a request in flight ends by itself, and nobody says contained before that."""

from __future__ import annotations

import time

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome, Proposal
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.rig_run import BOT, Run, step

ACTION, SCALE = "gcp.run.outlast_requests", "gcp.run.scale_service_to_zero"


@pytest.fixture
def run(rig: Rig) -> Run:
    """Return a project with the agent's account and a service that anybody may call."""
    made = Run.new(rig)
    made.service(invoker_iam_disabled=True)
    return made


def planned(run: Run) -> Proposal:
    """Return the step as it is planned once nothing of the service was changed for a while."""
    time.sleep(2)
    return proposal(run.rig.provider(run_services=[BOT]), ACTION)


def test_a_request_outlives_the_scaling_to_zero_and_ends_within_the_time_that_the_plan_says(run: Run) -> None:
    """Its account is of no use to end it; the timeout of its revision does."""
    found = planned(run)
    assert found.best_grade is Grade.READ_BACK
    assert run.request(lasts_s=3600)["accepted"]
    begun_s = time.monotonic()
    provider = run.rig.provider(run_services=[BOT])
    close(*step(provider, SCALE))
    assert run.works("run-request:bot")
    assert run.rig.control("run.instances", {"service": BOT})
    while run.works("run-request:bot"):
        assert time.monotonic() - begun_s < 20
        time.sleep(0.1)
    assert time.monotonic() - begun_s < (found.settle_s or 0) + 1
    run.later()
    assert not run.works("run:bot")


def test_it_is_contained_when_none_starts_and_the_revisions_are_those_of_the_plan(run: Run) -> None:
    """The engine then waits the settle time, which holds the longest timeout."""
    found = planned(run)
    provider = run.rig.provider(run_services=[BOT])
    action = provider.actions[ACTION]
    seen = action.observe(found.target)
    assert action.judge(found.target, seen).verdict is Verdict.NOT_CONTAINED
    close(*step(provider, SCALE))
    state = action.observe(found.target)
    assert action.judge(found.target, state).verdict is Verdict.CONTAINED
    assert set(undo(action, found.target, state.objects).objects.values()) == {Outcome.ALREADY}


def test_a_service_that_was_switched_on_and_off_again_in_between_begins_the_wait_anew(run: Run) -> None:
    """A request may have come in: what is observed is then named otherwise, and no two reads agree."""
    found = planned(run)
    provider = run.rig.provider(run_services=[BOT])
    action = provider.actions[ACTION]
    close(*step(provider, SCALE))
    first = action.observe(found.target)
    run.update_service("scaling", scaling={"min_instance_count": 1, "max_instance_count": 1})
    close(*step(provider, SCALE))
    assert action.observe(found.target).objects.keys() != first.objects.keys()


def test_a_deploy_after_the_plan_makes_the_wait_worthless(run: Run) -> None:
    """The agent deploys a revision with a long timeout, calls it, and goes back to the old traffic."""
    found = planned(run)
    provider = run.rig.provider(run_services=[BOT])
    action = provider.actions[ACTION]
    run.update_service("template", template={"service_account": run.account, "timeout": "3600s"})
    assert run.request(lasts_s=3600)["accepted"]
    run.update_service("template", template={"service_account": run.account, "timeout": "2s"})
    close(*step(provider, SCALE))
    judged = action.judge(found.target, action.observe(found.target))
    assert judged.verdict is Verdict.UNKNOWN
    assert "3600 s" in judged.reason


def test_a_long_timeout_or_one_of_an_old_revision_is_a_window_and_never_proven(run: Run) -> None:
    """The old revision may serve a request still."""
    run.update_service("template", template={"service_account": run.account, "timeout": "900s"})
    run.update_service("template", template={"service_account": run.account, "timeout": "1s"})
    found = planned(run)
    assert (found.best_grade, found.window_s) == (Grade.NONE, 3600)
    provider = run.rig.provider(run_services=[BOT])
    action = provider.actions[ACTION]
    close(*step(provider, SCALE))
    judged = action.judge(found.target, action.observe(found.target))
    assert judged.grade is Grade.NONE


def test_a_service_that_was_just_changed_may_hide_a_request(run: Run) -> None:
    """At a real project: changed less than an hour ago, so the window is named and nothing is waited for."""
    provider = run.rig.provider(run_services=[BOT], settle_factor="1")
    found = proposal(provider, ACTION)
    assert (found.best_grade, found.window_s) == (Grade.NONE, 3600)


def test_revisions_that_cannot_be_listed_leave_the_other_steps_in_the_plan(run: Run) -> None:
    """The window is then the longest there is."""
    method = "/google.cloud.run.v2.Revisions/ListRevisions"
    provider = run.rig.provider(run_services=[BOT])
    run.rig.control("faults", {"faults": [{"method": method, "code": "UNAVAILABLE"}]})
    assert proposal(provider, SCALE)
    assert proposal(provider, ACTION).window_s == 3600


def test_a_service_that_is_gone_says_nothing_about_its_requests(run: Run) -> None:
    """To delete it hides nothing from the verdict."""
    found = planned(run)
    action = run.rig.provider(run_services=[BOT]).actions[ACTION]
    run.rig.admin.operate("run_services", "delete_service", {"name": run.name("services")})
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.UNKNOWN
