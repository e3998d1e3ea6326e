"""Many accounts of one agent in a project, and many projects; with --full 1,000 accounts and 200 projects."""

from __future__ import annotations

import pytest

from breakglass.model.action import Verdict
from breakglass_gcp.pace import CALLS
from tests.gcp.herd_gcp import (
    DENY,
    IAM,
    MINUTE_S,
    Stopped,
    busiest,
    documented,
    forget_laying_out,
    herd,
    plenty,
    projects,
    stop,
)
from tests.gcp.project_fleet import Cloud, arm, project_fleet, said

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1200)]
MANY, SAMPLE = 1000, 80
MANY_PROJECTS, SAMPLE_PROJECTS = 200, 12
DISABLE, CLASS = "gcp.iam.disable_service_account", "gcp.iam.deny_class"
HMAC, LOGS = "gcp.storage.deactivate_hmac_keys", "gcp.logging.collect_entries"
MOST_PLAN = 16 * 1024 * 1024
WRITES, READS, DENIES = 600, 6000, 5
"""A minute and project: IAM documentation, "Quotas and limits"."""
HMAC_OF = 20


def _within_the_budgets(done: Stopped) -> None:
    """Hold the sandbox's record against what is documented, and against our own rate in shorter windows."""
    calls = [*done.planning, *done.running]
    assert not [one for one in calls if one["code"] == "RESOURCE_EXHAUSTED"]
    assert busiest(calls, IAM, MINUTE_S, read=False) <= WRITES
    assert busiest(calls, IAM, MINUTE_S, read=True) <= READS
    assert busiest(calls, DENY, MINUTE_S, read=False) <= DENIES
    assert busiest(calls, DENY, MINUTE_S, read=True) <= DENIES
    for seconds in (1, 5, 20):
        for read, name in ((False, "iam:write"), (True, "iam:read")):
            rate = CALLS[name]
            most = (rate.burst + rate.per_s * seconds) * 1.05 + 1
            assert busiest(calls, IAM, seconds, read=read) <= most, f"{name} in {seconds} s"


@pytest.mark.parametrize("armed", [True, False], ids=["with a class deny", "without"])
def test_many_accounts_of_one_project_are_stopped_at_the_documented_budgets(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], *, full: bool, armed: bool
) -> None:
    """Where a class deny is armed its one call comes first; each account is disabled and given back."""
    count = MANY if full else SAMPLE
    plenty(cloud)
    accounts = herd(cloud, count, keys_of=10, hmac_of=HMAC_OF)
    more = {"class_deny_policy": arm(cloud)} if armed else {}
    forget_laying_out(cloud)
    documented(cloud)
    before = cloud.state()
    reach = cloud.reach(service_accounts=[*accounts], token_life_s="10", **more)  # noqa: S106 - seconds
    with project_fleet(cloud, reach, step_s=600 if full else 120) as ours:
        done = stop(cloud, ours)
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        assert {one.verdict for one in done.report.steps} == {Verdict.CONTAINED}
        _within_the_budgets(done)
        _is_sparing(done, count, armed=armed)
        assert {"disabled": True} == {"disabled": _all_disabled(cloud, accounts)}
        _, back = ours.restore()
    with capsys.disabled():
        print(f"\n{done.figures()}")  # noqa: T201 - what a campaign tells

    assert back.verdict is Verdict.CONTAINED, said(back)
    assert before == cloud.state()


def _is_sparing(done: Stopped, count: int, *, armed: bool) -> None:
    """No call was made twice, and none a principal where one for all is enough."""
    made = done.made()
    steps = [one.action for one in done.plan.steps]
    assert made["DisableServiceAccount"] == count
    assert made["UpdatePolicy"] == (1 if armed else 0)
    assert steps.count(DISABLE) == count
    assert steps.count(HMAC) == -(-count // HMAC_OF)
    assert len(steps) == count + steps.count(HMAC) + (2 if armed else 1)
    # What planning reads beside one look at each account is a number of listings.
    assert sum(done.planned().values()) <= count + count // 10 + 2 * steps.count(HMAC) + 60
    assert made["GetServiceAccount"] <= 8 * count
    assert made["DisableServiceAccountKey"] == made["SetIamPolicy"] == 0
    assert done.plan_bytes < MOST_PLAN
    assert done.planned_s < 30
    assert done.ran_s < 1.5 * done.plan.reaches[0].takes_s + 30
    last_s = max(0.0, (count - CALLS["iam:write"].burst) / CALLS["iam:write"].per_s)
    assert done.first_s("DisableServiceAccount") < 5
    assert done.last_s("DisableServiceAccount") < last_s * 1.2 + 10
    if armed:
        assert done.last_s("UpdatePolicy") < 5


def _all_disabled(cloud: Cloud, accounts: list[str]) -> bool:
    return not any(_works(cloud, one) for one in accounts[:: max(1, len(accounts) // 5)])


def _works(cloud: Cloud, email: str) -> bool:
    name = f"projects/{cloud.project}/serviceAccounts/{email}"
    return not cloud.admin.call("iam_admin", "get_service_account", {"name": name}).disabled


def test_many_projects_are_stopped_in_one_plan(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], *, full: bool
) -> None:
    """Each project has budgets of its own; connections are made once, not once a project."""
    count = MANY_PROJECTS if full else SAMPLE_PROJECTS
    reaches = projects(cloud, count)
    with project_fleet(cloud, *reaches, step_s=300 if full else 60) as ours:
        done = stop(cloud, ours)
        assert done.report.verdict is Verdict.CONTAINED, said(done.report)
        assert {one.verdict for one in done.report.steps} == {Verdict.CONTAINED}
        _within_the_budgets(done)
        assert done.made()["DisableServiceAccount"] == count
        assert done.planned()["oauth2.token"] <= 1
        assert done.planned_s < 30 + 0.5 * count
        assert done.plan_bytes < MOST_PLAN
        assert done.grown_mib < 300 + 2 * count
        _, back = ours.restore()
    with capsys.disabled():
        print(f"\n{done.figures()}")  # noqa: T201 - what a campaign tells

    assert back.verdict is Verdict.CONTAINED, said(back)
