"""Google Cloud throttles, does nothing, loses answers, never ends; a region is down, an API is off."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.report.build import Report
from breakglass_gcp.executor import CALL_S
from tests.gcp.herd_gcp import projects
from tests.gcp.project_fleet import LOCATION, WORK, Cloud, project_fleet, said
from tests.hosts.fleet import CLOCK

ELSEWHERE = "us-central1"
DISABLE, KEYS = "gcp.iam.disable_service_account", "gcp.iam.disable_keys"
PAUSE, QUEUE = "gcp.scheduler.pause_job", "gcp.tasks.pause_queue"
SERVICES = (
    "cloudresourcemanager.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "orgpolicy.googleapis.com",
    "pubsub.googleapis.com",
    "oauth2.googleapis.com",
    "storage.googleapis.com",
    "cloudtasks.googleapis.com",
)
"""Enabled beside Cloud Scheduler, which is not."""


def job(cloud: Cloud, location: str = LOCATION) -> str:
    """Make a job; return its entry of an inventory."""
    place = f"projects/{cloud.project}/locations/{location}"
    http = {"uri": "https://bot.example.com/work"}
    made = {"name": f"{place}/jobs/nightly", "schedule": "* * * * *", "http_target": http}
    cloud.admin.call("scheduler", "create_job", {"parent": place, "job": made})
    return f"{location}/nightly"


def queue(cloud: Cloud) -> str:
    """Make a task queue; return its entry of an inventory."""
    place = f"projects/{cloud.project}/locations/{LOCATION}"
    cloud.admin.call("tasks", "create_queue", {"parent": place, "queue": {"name": f"{place}/queues/work"}})
    return f"{LOCATION}/work"


def agent(cloud: Cloud) -> dict[str, Any]:
    """Make an account with a key, a job and a queue; return how an inventory names them."""
    email = cloud.account("rogue", cloud.role("rogue", WORK))
    cloud.key(email)
    return {"service_accounts": [email], "scheduler_jobs": [job(cloud)], "task_queues": [queue(cloud)]}


def ended(report: Report) -> tuple[Verdict, int]:
    """Return a report's verdict and the exit code of it."""
    return report.verdict, report.verdict.exit_code


def verdicts(report: Report) -> Mapping[str, Verdict]:
    """Return the verdict of each step; of one action in several places by its place."""
    return {f"{one.action} {one.target.id}": one.verdict for one in report.steps}


def only(report: Report, action: str) -> set[Verdict]:
    """Hold that all steps but those of one action are contained; return the verdicts of these."""
    others = {one.verdict for one in report.steps if one.action != action}
    assert others == {Verdict.CONTAINED}, said(report)
    return {one.verdict for one in report.steps if one.action == action}


def made(cloud: Cloud, method: str) -> Counter[str]:
    """Count the executor's calls of a method by how they were answered."""
    return Counter(
        f"{one['code']}{' ' + one['fault'] if one['fault'] else ''}"
        for one in cloud.calls()
        if one["method"].endswith(f"/{method}") and one["principal"].startswith("breakglass-executor@")
    )


@pytest.mark.parametrize(
    ("method", "action"),
    [("DisableServiceAccount", DISABLE), ("DisableServiceAccountKey", KEYS), ("PauseJob", PAUSE)],
)
def test_an_answer_without_effect_is_never_contained(cloud: Cloud, method: str, action: str) -> None:
    """What is read back decides, and not that the call was answered; the others are stopped."""
    reach = cloud.reach(**agent(cloud))
    cloud.faults({"method": f"*/{method}", "no_effect": True})
    with project_fleet(cloud, reach, step_s=8) as ours:
        _, done = ours.stop()

    step = next(one for one in done.report.steps if one.action == action)
    if action == KEYS:  # others made it moot: the account is dead, and proven so
        assert step.verdict is not Verdict.CONTAINED, said(done.report)
    else:
        assert step.verdict is Verdict.NOT_CONTAINED, said(done.report)
        assert ended(done.report) == (Verdict.NOT_CONTAINED, 3)
    assert made(cloud, method)["OK no effect"] >= 1


@pytest.mark.parametrize(("code", "calls"), [("DEADLINE_EXCEEDED", 1), ("UNAVAILABLE", 2)])
def test_writes_whose_answers_are_lost_are_done_and_undone_all_the_same(
    cloud: Cloud, code: str, calls: int
) -> None:
    """After a deadline it is read whether a call was made; of a service that fails it is asked once more."""
    found = agent(cloud)
    before = cloud.state()
    stop = ("DisableServiceAccount", "DisableServiceAccountKey", "PauseJob", "PauseQueue")
    lost: dict[str, Any] = {"code": code, "after": True, "times": 1}
    cloud.faults(*({"method": f"*/{one}", **lost} for one in stop))
    with project_fleet(cloud, cloud.reach(**found)) as ours:
        _, done = ours.stop(began=CLOCK.now())
        assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
        undo = ("EnableServiceAccount", "EnableServiceAccountKey", "ResumeJob", "ResumeQueue")
        cloud.faults(*({"method": f"*/{one}", **lost} for one in undo))
        _, back = ours.restore()

    assert back.verdict is Verdict.CONTAINED, said(back)
    assert before == cloud.state()
    for method in (*stop, *undo):
        tries = made(cloud, method)
        assert tries[f"{code} {code}"] == 1, method
        assert tries.total() <= calls, method


def test_a_quota_that_others_use_up_for_a_while_ends_contained(cloud: Cloud) -> None:
    """The stop takes longer, and each change is made once."""
    reach = cloud.reach(**agent(cloud))
    full = {"code": "RESOURCE_EXHAUSTED", "reason": "RATE_LIMIT_EXCEEDED", "times": 3}
    orders = [
        {"method": f"*/{one}", **full} for one in ("DisableServiceAccount", "GetServiceAccount", "PauseJob")
    ]
    with project_fleet(cloud, reach, step_s=60) as ours:
        _, done = ours.stop(planned=lambda _: cloud.faults(*orders))

    assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
    for method in ("DisableServiceAccount", "PauseJob"):
        found = made(cloud, method)
        assert found["OK"] == 1, found
        assert found["RESOURCE_EXHAUSTED"] == 3, found


def test_a_quota_that_is_used_up_for_ever_leaves_it_unknown_and_stops_the_rest(cloud: Cloud) -> None:
    """Nothing could be read of the account, so nothing is claimed of it."""
    reach = cloud.reach(**agent(cloud))
    order = {"method": "/google.iam.admin.*", "code": "RESOURCE_EXHAUSTED", "reason": "RATE_LIMIT_EXCEEDED"}
    with project_fleet(cloud, reach, step_s=8) as ours:
        _, done = ours.stop(planned=lambda _: cloud.faults(order))

    assert ended(done.report) == (Verdict.UNKNOWN, 4), said(done.report)
    steps = {one.action: one.verdict for one in done.report.steps}
    assert (steps[DISABLE], steps[PAUSE], steps[QUEUE]) == (
        Verdict.UNKNOWN,
        Verdict.CONTAINED,
        Verdict.CONTAINED,
    ), said(done.report)
    assert made(cloud, "DisableServiceAccount")["OK"] == 0


@pytest.mark.parametrize("when", ["from the start", "in the middle"])
def test_an_api_that_is_not_enabled_holds_up_nothing_else(cloud: Cloud, when: str) -> None:
    """A job that the plan names and that cannot be looked at any more is unknown; the rest is stopped."""
    reach = cloud.reach(**agent(cloud))

    def off(_plan: object = None) -> None:
        cloud.sandbox.control("project", {"id": cloud.project, "services": [*SERVICES]})

    if when == "from the start":
        off()
    with project_fleet(cloud, reach, step_s=8) as ours:
        _, done = ours.stop(planned=off)

    assert only(done.report, PAUSE) == {Verdict.UNKNOWN}, said(done.report)
    assert ended(done.report) == (Verdict.UNKNOWN, 4)


@pytest.mark.parametrize("when", ["from the start", "in the middle"])
def test_a_region_that_is_down_is_named_and_the_others_are_stopped(cloud: Cloud, when: str) -> None:
    """Unknown, since what is there may go on; everything elsewhere is contained."""
    found = agent(cloud)
    found["scheduler_jobs"].append(job(cloud, ELSEWHERE))
    down = {"method": "*", "location": ELSEWHERE, "code": "UNAVAILABLE"}
    if when == "from the start":
        cloud.faults(down)
    with project_fleet(cloud, cloud.reach(**found), step_s=8) as ours:
        _, done = ours.stop(planned=lambda _: cloud.faults(down))

    assert ended(done.report) == (Verdict.UNKNOWN, 4), said(done.report)
    dark = {name: one for name, one in verdicts(done.report).items() if ELSEWHERE in name}
    lit = {name: one for name, one in verdicts(done.report).items() if ELSEWHERE not in name}
    assert {*lit.values()} == {Verdict.CONTAINED}, said(done.report)
    assert {*dark.values()} <= {Verdict.UNKNOWN}, said(done.report)
    assert ELSEWHERE in said(done.report)


def test_an_operation_that_never_ends_is_never_contained(cloud: Cloud) -> None:
    """A Run service whose update goes on for ever may still answer; no turn is waited for without an end."""
    place = f"projects/{cloud.project}/locations/{LOCATION}"
    service = {"template": {"containers": [{"image": "worker"}]}}
    asked = {"parent": place, "service_id": "worker", "service": service}
    assert cloud.admin.operate("run_services", "create_service", asked)
    reach = cloud.reach(**agent(cloud), run_services=[f"{LOCATION}/worker"])
    with project_fleet(cloud, reach, step_s=10) as ours:
        _, done = ours.stop(
            planned=lambda _: cloud.faults({"method": "*/UpdateService", "operation": "never"})
        )
        cloud.faults()

    steps = {one.action: one.verdict for one in done.report.steps if one.action.startswith("gcp.run.")}
    assert any(one is not Verdict.CONTAINED for one in steps.values()), said(done.report)
    assert done.report.verdict.exit_code in {3, 4}
    others = {one.verdict for one in done.report.steps if not one.action.startswith("gcp.run.")}
    assert others == {Verdict.CONTAINED}, said(done.report)


@pytest.mark.parametrize("when", ["before the plan", "after the stop"])
def test_an_account_that_google_disabled_is_never_enabled_by_a_restore(cloud: Cloud, when: str) -> None:
    """Disabled before: it stays so. Disabled since: what the restore finds is not what the stop left."""
    found = agent(cloud)
    email = found["service_accounts"][0]
    if when == "before the plan":
        cloud.control("iam.google_disables", email=email)
    with project_fleet(cloud, cloud.reach(**found)) as ours:
        _, done = ours.stop()
        assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
        if when == "after the stop":
            cloud.control("iam.google_disables", email=email)
        _, back = ours.restore()

    wanted = Verdict.CONTAINED if when == "before the plan" else Verdict.NOT_CONTAINED
    steps = [one for one in back.steps if one.action == DISABLE]
    assert back.verdict is wanted, said(back)
    assert {one.verdict for one in steps} <= {wanted}, said(back)
    name = f"projects/-/serviceAccounts/{email}"
    assert cloud.admin.call("iam_admin", "get_service_account", {"name": name}).disabled


@pytest.mark.parametrize("accepted", [False, True], ids=["refused", "accepted"])
def test_a_shared_default_account_needs_an_explicit_acceptance(cloud: Cloud, *, accepted: bool) -> None:
    """Without it the account is an open door that is named before anybody signs; with it, it is disabled."""
    email = str(cloud.control("iam.default_account", kind="compute")["email"])
    found: dict[str, Any] = {"service_accounts": [email], "scheduler_jobs": [job(cloud)]}
    more: dict[str, Any] = {"accept_blast_radius": [email]} if accepted else {}
    plans: list[Plan] = []
    with project_fleet(cloud, cloud.reach(**found, **more)) as ours:
        _, done = ours.stop(planned=plans.append)

    steps = {one.action: one.verdict for one in done.report.steps}
    assert steps[PAUSE] is Verdict.CONTAINED
    if accepted:
        assert steps[DISABLE] is Verdict.CONTAINED
        assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
        return
    assert DISABLE not in steps
    assert ended(done.report) == (Verdict.NOT_CONTAINED, 3), said(done.report)
    assert any(email in one.name for one in plans[0].doors)
    assert any("accept_blast_radius" in str(one) for one in plans[0].doors)


def test_projects_that_nobody_answers_for_delay_the_others_plan_once_and_not_once_each(cloud: Cloud) -> None:
    """They are asked side by side, and each is named as not planned."""
    silent = projects(cloud, 6)
    orders = [{"method": "*Projects/GetProject", "project": one["project"], "hang": True} for one in silent]
    marks = [time.monotonic()]
    with project_fleet(cloud, cloud.reach(**agent(cloud)), *silent) as ours:
        cloud.faults(*orders)
        plan, done = ours.stop(began=CLOCK.now(), planned=lambda _: marks.append(time.monotonic()))

    assert {0} == {step.reach for step in plan.steps}
    assert len(silent) == len(plan.not_planned)
    assert {Verdict.CONTAINED} == {one.verdict for one in done.report.steps}, said(done.report)
    assert marks[1] - marks[0] < CALL_S * len(silent)
