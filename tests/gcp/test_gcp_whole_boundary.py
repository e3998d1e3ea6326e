"""A whole stop and restore with a class boundary: a layer that reaches other projects, and proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.model.action import Grade, Verdict
from providers.gcp.tests import boundary_gcp
from providers.gcp.tests.rig_gcp import Rig
from tests.gcp.project_fleet import Cloud, arm, project_fleet, said
from tests.gcp.test_gcp_whole_principals import engine, granted, may_publish

ACTION = "gcp.iam.class_boundary"


def test_a_boundary_reaches_another_project_and_the_verdict_stays_unknown(
    cloud: Cloud, tmp_path: Path
) -> None:
    """What it blocks there is not proven: the door stays open; its restore gives the access back."""
    _, identity = engine(cloud)
    cloud.grant(identity, "roles/pubsub.publisher")
    elsewhere = cloud.sandbox.control("project", {})["project"]
    granted(cloud, elsewhere, identity)
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    name = boundary_gcp.arm(rig, executor="breakglass-executor")
    reach = cloud.reach(
        principals=[identity],
        class_deny_policy=arm(cloud, f"projects/{cloud.number}"),
        class_boundary_binding=name,
    )
    before = may_publish(cloud, elsewhere, identity)
    with project_fleet(cloud, reach, step_s=15) as ours:
        _, done = ours.stop()
        during = may_publish(cloud, elsewhere, identity)
        [step] = [one for one in done.report.steps if one.action == ACTION]
        # Five reads and five writes a minute: somebody restores in another minute than that of the stop.
        cloud.sandbox.control("advance", {"seconds": 61})
        try:
            _, back = ours.restore()
            after = may_publish(cloud, elsewhere, identity)
        finally:
            cloud.sandbox.control("advance", {"back": True})

    assert (before, during, after) == (True, False, True), said(done.report) + said(back)
    assert (step.verdict, step.grade) == (Verdict.UNKNOWN, Grade.NONE)
    assert done.report.verdict is Verdict.UNKNOWN, said(done.report)
    assert [one for one in done.report.open if "in other projects" in str(one)], said(done.report)
    assert not [one for one in done.report.open if ACTION in str(one)], said(done.report)
    assert "not_looked_again" not in {one.kind for one in done.report.open}, said(done.report)
    assert back.verdict is Verdict.CONTAINED, said(back)
    assert boundary_gcp.shown(rig)["expression"] == boundary_gcp.ARMED


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "PERMISSION_DENIED"])
def test_a_binding_that_cannot_be_read_makes_no_stop_worse(cloud: Cloud, tmp_path: Path, code: str) -> None:
    """The agent may spend its project's five reads a minute; what disables its account is proven."""
    account = cloud.account("bot", "roles/pubsub.editor")
    rig = Rig(cloud.sandbox, tmp_path, cloud.project, cloud.number, cloud.admin)
    name = boundary_gcp.arm(rig, executor="breakglass-executor")
    with project_fleet(cloud, cloud.reach(service_accounts=[account], class_boundary_binding=name)) as ours:
        cloud.control("faults", faults=[{"method": "*GetPolicyBinding", "code": code}])
        _, done = ours.stop()

    assert done.report.verdict is Verdict.CONTAINED, said(done.report)
    assert [one for one in done.report.not_touched if name in one.resource]
    assert [one for one in done.report.steps if one.action == ACTION] == []
