"""A class of roles in one plan (1,000 with --full): nothing is lost and no verdict is false."""

from __future__ import annotations

from collections import Counter

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass_aws.actions import class_switch, deny_role, trust_policy
from breakglass_aws.actions.denial import DENY_ALL
from breakglass_aws.actions.identities import MOST_TRUSTS
from breakglass_aws.pace import CALLS
from breakglass_aws.probe import judge_principal
from providers.aws.tests.identity_rig import NEUTRAL, account_of, managed
from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.rig_scale import Stop, busiest, roles, stop

SAMPLE = 30
"""In `make test`: at IAM's rate a role is half a second."""
CLASS = MOST_TRUSTS + 10
"""With a class switch that is armed, the trust policies of so many are not changed one by one any more."""
MANY = 1000
QUICK_S = 15.0
PROVEN = (str(Verdict.CONTAINED), str(Grade.PLATFORM_EVALUATOR))
READ_BACK = (str(Verdict.CONTAINED), str(Grade.READ_BACK))


def _within_the_rate(done: Stop) -> None:
    """IAM saw no more than the bucket's burst and what the rate adds, in any window."""
    for kind in ("read", "write"):
        rate = CALLS[f"iam:{kind}"]
        for seconds in (1, 5, 20):
            most = rate.burst + rate.per_s * seconds
            assert busiest(done.calls(), kind, seconds) <= most * 1.1, f"{kind} in {seconds} s"


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_many_roles_are_denied_first_and_then_proven_at_the_rate_of_iam(rig: Rig, *, full: bool) -> None:
    """Planned in a few calls; a queue and a rule of the same plan do not wait for them."""
    count = MANY if full else SAMPLE
    names = roles(rig, count)
    rig.boto("sqs").create_queue(QueueName="work")
    rig.boto("events").put_rule(Name="tick", ScheduleExpression="rate(5 minutes)")

    done = stop(rig, names, queues=["work"], rules=["tick"])
    planning = Counter(one["operation"] for one in done.calls(end=done.planned))
    done.run()

    assert planning["GetAccountAuthorizationDetails"] == -(-count // 1000)
    assert planning["GetRole"] == 0
    assert done.planned_s < 30
    verdicts = done.verdicts()
    assert verdicts[(deny_role.SPEC.name, *PROVEN)] == count
    assert verdicts[(trust_policy.SPEC.name, *READ_BACK)] == count
    assert {verdict for _, verdict, _ in verdicts} == {str(Verdict.CONTAINED)}
    # A queue's policy holds 8,192 bytes: it has no room for a thousand principals, and the plan says so.
    without_room = [door.name for door in done.plan.doors if "no room for a Deny" in door.reason]
    assert without_room == (["queue work"] if full else [])
    for action in ("aws.events.disable_rule", *(() if full else ("aws.sqs.pause_queue",))):
        assert done.first_s(action, "proven")[0] < QUICK_S
    last_change = done.first_s(deny_role.SPEC.name, "calling")[-1]
    assert last_change < done.first_s(deny_role.SPEC.name, "read_back")[-count // 2]
    made = Counter(one["operation"] for one in done.calls(done.planned))
    assert made["AttachRolePolicy"] + made["PutRolePolicy"] == count
    assert made["UpdateAssumeRolePolicy"] == count
    assert sum(made.values()) <= 16 * count + 100
    _within_the_rate(done)
    assert done.ran_s < 1.5 * done.plan.reaches[0].takes_s + 10
    assert done.look_again() == 0


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_throttled_below_its_own_rate_a_stop_slows_down_and_loses_nothing(rig: Rig, *, full: bool) -> None:
    """Each step ends; what is proven is so; few calls are made for nothing."""
    count = 300 if full else 20
    names = roles(rig, count)
    done = stop(rig, names)
    rig.sandbox.control("settings", {"throttle": {"iam": {"per_s": 20, "burst": 20}}})

    done.run()
    rig.sandbox.control("settings", {"throttle": {}})

    assert len(done.histories) == len(done.plan.steps)
    assert all(one.closed for one in done.histories.values())
    for n, history in done.histories.items():
        step = done.plan.steps[n]
        if step.action == deny_role.SPEC.name and history.verdict is Verdict.CONTAINED:
            said = judge_principal(account_of(done.provider), str(step.target.params["role_arn"]))
            assert said.verdict is Verdict.CONTAINED
    assert done.verdicts()[(deny_role.SPEC.name, *PROVEN)] == count
    calls = [one for one in done.calls(done.planned) if one["service"] == "iam"]
    refused = [one for one in calls if one["code"] == "Throttling"]
    assert len(calls) < 2 * (len(calls) - len(refused))


@pytest.mark.campaign
@pytest.mark.timeout(1800)
def test_an_armed_class_switch_denies_all_by_one_call_and_each_is_proven(rig: Rig, *, full: bool) -> None:
    """No principal is called contained because the class is: each has its own answer of the evaluator."""
    count = MANY if full else CLASS
    policy = managed(rig.boto("iam"), "class")
    rig.boto("iam").create_policy_version(PolicyArn=policy, PolicyDocument=DENY_ALL, SetAsDefault=False)
    names = roles(rig, count, policy=policy)

    done = stop(rig, names, class_policy=policy)
    done.run()

    writes = Counter(
        one["operation"]
        for one in done.calls(done.planned)
        if one["service"] == "iam" and not one["operation"].startswith(("Get", "List", "Simulate"))
    )
    assert writes == {"SetDefaultPolicyVersion": 1}
    verdicts = done.verdicts()
    assert verdicts[(class_switch.SPEC.name, *READ_BACK)] == 1
    assert verdicts[(deny_role.SPEC.name, *PROVEN)] == count
    assert done.first_s(class_switch.SPEC.name, "read_back")[0] < QUICK_S
    _within_the_rate(done)


def test_a_class_switch_that_changes_nothing_leaves_each_to_its_own_deny(rig: Rig) -> None:
    """IAM says yes and does nothing: the principals are denied one by one."""
    policy = managed(rig.boto("iam"), "class")
    rig.boto("iam").create_policy_version(PolicyArn=policy, PolicyDocument=DENY_ALL, SetAsDefault=False)
    names = roles(rig, 3, policy=policy)
    done = stop(rig, names, class_policy=policy)
    fault = {
        "service": "iam",
        "operation": "SetDefaultPolicyVersion",
        "answer": "no-effect",
        "times": 100_000,
    }
    rig.sandbox.control("faults", {"faults": [fault]})

    done.run()

    assert done.verdicts()[(deny_role.SPEC.name, *PROVEN)] == 3
    assert (class_switch.SPEC.name, *PROVEN) not in done.verdicts()


def test_the_listing_for_planning_says_what_single_reads_say(rig: Rig) -> None:
    """Byte for byte, with and without policies and boundaries; and it is used before a change only."""
    iam = rig.boto("iam")
    names = roles(rig, 3, policy=managed(iam, "some"))
    bound = managed(iam, "bound")
    iam.put_role_permissions_boundary(RoleName=names[1], PermissionsBoundary=bound)
    text = NEUTRAL.replace(":", " : ").replace("s3 : ", "s3:")
    iam.put_role_policy(RoleName=names[2], PolicyName="breakglass-quarantine", PolicyDocument=text)
    provider = rig.provider(roles=[*names])
    steps = [one for one in provider.discover().proposals if one.action.startswith("aws.iam")]
    before = len(rig.sandbox.control("calls", {}))

    listed = [provider.actions[one.action].observe(one.target) for one in steps]
    middle = len(rig.sandbox.control("calls", {}))
    provider.preflight(())
    single = [provider.actions[one.action].observe(one.target) for one in steps]

    assert listed == single
    assert middle == before
    assert len(rig.sandbox.control("calls", {})) > middle


def test_cloudtrail_is_read_once_for_all_principals(rig: Rig) -> None:
    """Two regions, one scan each when planning."""
    names = roles(rig, 30)

    done = stop(rig, names)

    scans = [one for one in done.calls(end=done.planned) if one["operation"] == "LookupEvents"]
    firsts = [one for one in scans if "NextToken" not in one["params"]]
    assert sorted(one["region"] for one in firsts) == ["eu-west-1", "us-east-1"]
