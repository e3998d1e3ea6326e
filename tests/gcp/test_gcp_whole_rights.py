"""The executor has exactly what is printed, one right less, no credentials, another project, ended tokens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable

import pytest

from breakglass.errors import Unreachable
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass_gcp import permissions
from breakglass_gcp.drill import GcpCloud
from breakglass_gcp.drill_identities import PROJECT
from breakglass_gcp.drill_layout import owner
from breakglass_gcp.sandbox.process import Sandbox
from tests.gcp.project_fleet import EXECUTOR, Cloud, project_fleet, said
from tests.gcp.test_gcp_whole_faults import PAUSE, agent, ended
from tests.hosts.fleet import CLOCK, give, quick_fleet

LIFE_S = 6.0


def allow(sandbox: Sandbox, project: str, allowed: Iterable[str]) -> None:
    """Let the executor's role hold exactly this."""
    calls = owner(sandbox)
    name = f"projects/{project}/roles/breakglassExecutor"
    role = {"included_permissions": sorted(allowed)}
    mask = {"paths": ["included_permissions"]}
    calls.call("iam_admin", "update_role", {"name": name, "role": role, "update_mask": mask})
    calls.close()


def printed(purpose: str) -> list[str]:
    """Return the permissions of the role that is printed for a purpose."""
    (role,) = permissions.documents(purpose, (), split=False)
    found = role["includedPermissions"]
    assert isinstance(found, list)
    return [str(one) for one in found]


def refused(sandbox: Sandbox, project: str, since: int) -> list[str]:
    """Return what the executor asked for in vain."""
    calls = sandbox.control("calls", {"project": project, "since": since})
    return [
        str(one["method"])
        for one in calls
        if one["code"] == "PERMISSION_DENIED" and one["principal"].startswith("breakglass-executor@")
    ]


def test_the_role_for_a_stop_stops_a_whole_agent_and_that_for_a_restore_puts_it_back(
    sandbox_of_projects: Sandbox, drilled: GcpCloud
) -> None:
    """Neither holds what only the other needs, and nothing is asked for in vain."""
    reach = drilled.reach
    assert set(printed("stop")) != set(printed("restore"))
    allow(sandbox_of_projects, PROJECT, printed("stop"))
    since = len(sandbox_of_projects.control("calls", {}))
    with quick_fleet([reach], drilled.credentials) as ours:
        _, done = ours.stop(began=CLOCK.now())
        assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
        assert [] == refused(sandbox_of_projects, PROJECT, since)
        drilled.retire()
        allow(sandbox_of_projects, PROJECT, printed("restore"))
        since = len(sandbox_of_projects.control("calls", {}))
        _, back = ours.restore()

    assert back.verdict is Verdict.CONTAINED, said(back)
    assert [] == refused(sandbox_of_projects, PROJECT, since)


def test_a_right_that_is_missing_is_named_before_anybody_signs_and_its_step_is_left_out(cloud: Cloud) -> None:
    """The rest is stopped, and nobody is told that the agent is contained."""
    found = agent(cloud)
    allow(cloud.sandbox, cloud.project, set(printed("")) - {"cloudscheduler.jobs.pause"})
    plans: list[Plan] = []
    with project_fleet(cloud, cloud.reach(**found)) as ours:
        _, done = ours.stop(planned=plans.append)

    assert PAUSE not in {one.action for one in plans[0].steps}
    assert "cloudscheduler.jobs.pause" in str(plans[0])
    assert {one.verdict for one in done.report.steps} == {Verdict.CONTAINED}, said(done.report)
    assert done.report.verdict is not Verdict.CONTAINED
    assert done.report.verdict.exit_code in {3, 4}
    assert "nightly" in said(done.report)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (None, "no credential spare"),
        (b"key", "is not JSON of Google credentials"),
        (b'{"type": "access_token", "token": "guessed"}', "are refused"),
    ],
    ids=["none", "no JSON", "unknown"],
)
def test_a_reach_without_good_credentials_is_not_planned_and_the_others_are_stopped(
    cloud: Cloud, data: bytes | None, word: str
) -> None:
    """It is named before anybody signs; the other reach is contained, and the whole is unknown."""
    found = agent(cloud)
    blind = cloud.reach(**found, credential="spare")
    plans: list[Plan] = []
    with project_fleet(cloud, cloud.reach(**found), blind) as ours:
        if data is not None:
            give(ours, "spare", data)
        _, done = ours.stop(planned=plans.append)

    assert [True] == [word in one.reason for one in plans[0].not_planned], plans[0].not_planned
    assert len(plans[0].reaches) == 1
    assert ended(done.report) == (Verdict.UNKNOWN, 4), said(done.report)
    assert {one.verdict for one in done.report.steps} == {Verdict.CONTAINED}, said(done.report)


def test_a_project_of_another_number_is_refused_before_anything_is_read_there(cloud: Cloud) -> None:
    """Its id may have been given to somebody else since."""
    found = agent(cloud)
    before = cloud.state()
    wrong = cloud.reach(**found, project_number="999999999999")
    since = len(cloud.calls())
    with project_fleet(cloud, wrong) as ours, pytest.raises(Unreachable) as caught:
        ours.stop()

    assert caught.value.exit_code == 69
    assert "this is another project" in caught.value.what
    assert before == cloud.state()
    asked = {
        one["method"].rpartition("/")[2] for one in cloud.calls()[since:] if "executor" in one["principal"]
    }
    assert asked == {"GetProject", "oauth2.token"}


def test_credentials_that_end_in_the_middle_are_asked_for_and_the_stop_goes_on_with_new_ones(
    cloud: Cloud,
) -> None:
    """Nothing is lost: the steps wait, and end contained once somebody laid down a new token."""
    found = agent(cloud)
    me = f"breakglass-executor@{cloud.project}.iam.gserviceaccount.com"

    def fresh(life_s: float) -> bytes:
        return json.dumps({"type": "access_token", "token": cloud.token(me, life_s)}).encode()

    began_s = time.monotonic()
    cloud.held[EXECUTOR] = fresh(LIFE_S)
    with project_fleet(cloud, cloud.reach(**found), step_s=60) as ours:
        later = threading.Timer(LIFE_S + 4, lambda: give(ours, EXECUTOR, fresh(3600)))

        def planned(_plan: Plan) -> None:
            later.start()
            time.sleep(max(0.0, began_s + LIFE_S + 0.5 - time.monotonic()))

        _, done = ours.stop(planned=planned)
        later.join()

    assert ended(done.report) == (Verdict.CONTAINED, 0), said(done.report)
    codes = [one["code"] for one in cloud.calls()]
    assert "UNAUTHENTICATED" in codes
    disables = [one for one in cloud.calls() if one["method"].endswith("/DisableServiceAccount")]
    assert [one["code"] for one in disables].count("OK") == 1
