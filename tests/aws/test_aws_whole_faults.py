"""The service throttles, answers 200 and does nothing, loses answers; resources move; slots are full."""

from __future__ import annotations

import json

import pytest

from breakglass.model.action import Verdict
from tests.aws.cloud_fleet import MAY_ALL, Cloud, cloud_fleet, said

QUARANTINE = "breakglass-quarantine"
DENY = "aws.iam.deny_role"


def test_an_answer_of_200_without_effect_is_never_contained(cloud: Cloud) -> None:
    """What is read back decides, and not that the call was answered; each step is open by itself."""
    without = {"AttachRolePolicy": DENY, "UpdateAccessKey": "aws.iam.deactivate_access_keys"}
    cloud.user()
    cloud.role()
    cloud.faults(*({"service": "iam", "operation": one, "answer": "no-effect"} for one in without))
    with cloud_fleet(cloud, cloud.reach(users=["rogue"], roles=["rogue-role"]), step_s=4) as ours:
        _, done = ours.stop()

    assert done.report.verdict.exit_code in {3, 4}
    for operation, action in without.items():
        step = next(one for one in done.report.steps if one.action == action)
        assert Verdict.CONTAINED is not step.verdict, said(done.report)
        assert any(action in one.name for one in done.report.open), said(done.report)
        made = [one for one in cloud.calls() if one["operation"] == operation]
        assert [one for one in made if one["fault"] == "no-effect"]


def test_writes_whose_answers_are_lost_are_done_once_and_undone_once(cloud: Cloud) -> None:
    """Whether a call was made is read, not guessed: nothing is done twice, and nothing stays."""
    cloud.user()
    cloud.role()
    before = cloud.state()
    stop = ("AttachUserPolicy", "AttachRolePolicy", "UpdateAccessKey", "UpdateAssumeRolePolicy")
    cloud.faults(*({"operation": one, "answer": "drop", "times": 1} for one in stop))
    with cloud_fleet(cloud, cloud.reach(users=["rogue"], roles=["rogue-role"])) as ours:
        _, done = ours.stop()
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        undo = ("DetachUserPolicy", "DetachRolePolicy", "UpdateAccessKey", "UpdateAssumeRolePolicy")
        cloud.faults(*({"operation": one, "answer": "drop", "times": 1} for one in undo))
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == cloud.state()
    for operation in (*stop[:2], *undo[:2]):
        dropped = [one for one in cloud.calls() if one["operation"] == operation and one["fault"] == "drop"]
        assert 1 == len(dropped), operation


def test_throttling_of_every_call_that_passes_ends_contained(cloud: Cloud) -> None:
    """IAM lets a few calls through a second: the stop takes longer, and each change is made once."""
    cloud.user()
    cloud.role()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"], roles=["rogue-role"])) as ours:
        _, done = ours.stop(planned=lambda _: cloud.settings(throttle={"iam": {"per_s": 8, "burst": 1}}))
    cloud.settings(throttle={})

    throttled = [one for one in cloud.calls() if one["service"] == "iam" and "Throttl" in one["code"]]
    assert throttled
    steps = [one for one in done.report.steps if one.provider == "aws"]
    assert {Verdict.CONTAINED} == {one.verdict for one in steps}, said(done.report)
    assert 1 == len(cloud.made("AttachRolePolicy"))
    assert 1 == len(cloud.made("AttachUserPolicy"))


def test_a_service_that_throttles_every_call_leaves_the_stop_unknown(cloud: Cloud) -> None:
    """Nothing could be read, so nothing is claimed, and the report says why."""
    cloud.user()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"]), step_s=3) as ours:
        _, done = ours.stop(planned=lambda _: cloud.faults({"service": "iam", "answer": "throttle"}))

    assert (Verdict.UNKNOWN, 4) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert [] == cloud.made("AttachUserPolicy")


def test_a_role_that_is_replaced_after_planning_is_denied_and_not_touched_by_the_restore(
    cloud: Cloud,
) -> None:
    """The new one of the same name is the agent's container too; what the restore finds is not what was."""
    cloud.role()
    iam = cloud.boto("iam")

    def replace(_plan: object) -> None:
        iam.delete_role_policy(RoleName="rogue-role", PolicyName="work")
        iam.delete_role(RoleName="rogue-role")
        cloud.role()

    with cloud_fleet(cloud, cloud.reach(roles=["rogue-role"])) as ours:
        _, done = ours.stop(planned=replace)
        assert Verdict.CONTAINED is done.report.verdict, said(done.report)
        assert ["AWSDenyAll"] == _attached(cloud)
        _, back = ours.restore()

    assert Verdict.CONTAINED is not back.verdict, said(back)
    assert any("changed since the stop" in one.reason for one in back.steps if one.action == DENY), said(back)
    assert ["AWSDenyAll"] == _attached(cloud)


def test_a_role_that_is_deleted_after_planning_is_contained(cloud: Cloud) -> None:
    """Nobody can act as it any more; the report says that it is gone."""
    cloud.role()
    iam = cloud.boto("iam")

    def delete(_plan: object) -> None:
        iam.delete_role_policy(RoleName="rogue-role", PolicyName="work")
        iam.delete_role(RoleName="rogue-role")

    with cloud_fleet(cloud, cloud.reach(roles=["rogue-role"])) as ours:
        _, done = ours.stop(planned=delete)

    step = next(one for one in done.report.steps if one.action == DENY)
    assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(done.report)
    assert "does not exist any more" in step.reason


@pytest.mark.parametrize("boundary", [False, True], ids=["attachments full", "and a boundary"])
def test_a_role_without_a_free_slot_is_denied_by_the_next_one_and_put_back(
    cloud: Cloud, *, boundary: bool
) -> None:
    """Ten policies are attached; its own boundary, if it has one, comes back byte for byte."""
    cloud.role()
    iam = cloud.boto("iam")
    for n in range(10):
        arn = iam.create_policy(PolicyName=f"p{n}", PolicyDocument=MAY_ALL)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="rogue-role", PolicyArn=arn)
    if boundary:
        iam.put_role_permissions_boundary(RoleName="rogue-role", PermissionsBoundary=arn)
    before = cloud.state()
    with cloud_fleet(cloud, cloud.reach(roles=["rogue-role"])) as ours:
        _, done = ours.stop()
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == cloud.state()


def test_names_and_texts_with_markup_are_shown_and_break_nothing(cloud: Cloud) -> None:
    """IAM allows signs that a terminal's markup uses; texts of the agent's may hold any."""
    odd = "rogue=@,.+-_[red]".replace("[red]", "")
    cloud.user(odd, Path="/[bold]".replace("[", "!").replace("]", "!") + "/")
    cloud.role("rogue-role", Description="[bold red]contained[/]", Tags=[{"Key": "note", "Value": "a+b=c"}])
    before = cloud.state()
    with cloud_fleet(cloud, cloud.reach(users=[odd], roles=["rogue-role"])) as ours:
        _, done = ours.stop()
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        json.loads(done.report.to_json())
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == cloud.state()


def _attached(cloud: Cloud) -> list[str]:
    found = cloud.boto("iam").list_attached_role_policies(RoleName="rogue-role")["AttachedPolicies"]
    return [one["PolicyName"] for one in found]
