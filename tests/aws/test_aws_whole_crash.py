"""The executor is killed in the middle of a stop in AWS: another one goes on, and nothing is done twice."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.journal.sealing import verify_folder
from breakglass_aws.sandbox.process import ACCOUNT
from tests.aws.cloud_fleet import Cloud, cloud_fleet, said
from tests.hosts.executors import executors, make_plan
from tests.hosts.fleet import Fleet

KILLED = -signal.SIGKILL
RULE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:rogue-jobs"
WORK = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}
)
"""Rights with which nobody can hide an invocation that may live for 900 s."""
ONCE = ("stop.issued", "run.opened", "plan.claimed", "run.sealed")


@pytest.mark.parametrize(
    "die",
    [[["after", 12]], [["before", 28], ["after", 9]], [["after", 60]]],
    ids=["when its steps have begun", "in the middle, and its successor too", "near its end"],
)
def test_a_killed_stop_is_resumed_to_the_same_end_and_put_back_byte_for_byte(
    cloud: Cloud, die: list[list[object]]
) -> None:
    """Contained, each change made once, one whole journal; the restore knows what there was before."""
    with _agent(cloud) as ours, executors(ours) as one:
        before = cloud.state()
        plan = make_plan(ours)
        killed = [one.stop(die=die[0]), *(one.resume(die=again) for again in die[1:])]
        assert [KILLED] * len(die) == [each.code for each in killed], killed
        made_by_then = _writes(cloud)
        resumed = one.resume()

        report = json.loads((ours.incident.path / "report.json").read_bytes())
        assert (0, "contained") == (resumed.code, report["verdict"]), f"{resumed.said} {report['open']}"
        assert {"contained"} == {step["verdict"] for step in report["steps"]}
        assert [step.n for step in plan.steps] == [step["number"] for step in report["steps"]]
        assert [] == _complaints(ours)
        assert {} == {
            what: n for what, n in _writes(cloud).items() if n > 1 and what[0] not in BEGUN_AGAIN
        }, made_by_then
        made = Counter(what[0] for what in _writes(cloud))
        # A pair of groups (one lets all through for a moment, one nothing) and one snapshot, whoever died.
        assert (2, 1) == (made["CreateSecurityGroup"], made["CreateSnapshots"] + made["CreateSnapshot"])
        assert before != cloud.state()
        _, back = ours.restore()

    assert "contained" == back.verdict, said(back)
    assert before == cloud.state()


@contextmanager
def _agent(cloud: Cloud) -> Iterator[Fleet]:
    """Lay out an agent with a user, a role, a fed function, a rule and an instance."""
    cloud.user(policy=WORK)
    role = cloud.role()
    cloud.boto("iam").put_role_policy(RoleName="rogue-role", PolicyName="work", PolicyDocument=WORK)
    cloud.function(role)
    cloud.mapping()
    cloud.rule(RULE)
    ec2 = cloud.boto("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro")
    reach = cloud.reach(
        users=["rogue"],
        roles=["rogue-role"],
        functions=["rogue-fn"],
        rules=["rogue-rule"],
        instances=[made["Instances"][0]["InstanceId"]],
        stop_instances=True,
    )
    with cloud_fleet(cloud, reach) as ours:
        yield ours


BEGUN_AGAIN = frozenset({"ModifyNetworkInterfaceAttribute"})
"""An interface passes through the open group into the isolation group: killed between, it does so again."""


def _writes(cloud: Cloud) -> Counter[tuple[str, str]]:
    """Count what the executor changed, by call and all that it said in it."""
    reads = ("Get", "List", "Describe", "Lookup", "Head", "Simulate", "AssumeRole", "Filter")
    return Counter(
        (one["operation"], json.dumps(_without_token(one["params"]), sort_keys=True))
        for one in cloud.calls()
        if one["access_key"] == cloud.executor["AccessKeyId"]
        and one["allowed"]
        and not one["code"]
        and not one["operation"].startswith(reads)
    )


def _without_token(params: object) -> object:
    if not isinstance(params, dict):
        return params
    return {name: value for name, value in params.items() if name != "ClientToken"}


def _complaints(ours: Fleet) -> list[str]:
    """Say what is wrong with the record itself."""
    key = ours.site.kit.roster.executors[0].log_key
    found = list(verify_folder(ours.incident.path, key).problems)
    records = read_sealed(ours.incident.path).records
    open_: set[object] = set()
    for record in records:
        step = record.body.get("step")
        if record.type == "step.intent":
            open_.add(step)
        elif record.type == "step.accepted":
            if step not in open_:
                found.append(f"record {record.seq}: a change without an intent")
            open_.discard(step)
    found += [f"step {n} is not closed" for n, one in replay(records).items() if not one.closed]
    kinds = [record.type for record in records]
    found += [f"not exactly one {kind}" for kind in ONCE if kinds.count(kind) != 1]
    return found + ([] if "run.resumed" in kinds else ["nobody resumed it"])
