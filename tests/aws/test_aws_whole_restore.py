"""A whole agent in AWS is stopped and put back byte for byte; no step is called closed before it settled."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from breakglass.journal.history import first, replay
from breakglass.journal.reader import read_journal
from breakglass.model.action import Verdict
from breakglass_aws import drill_layout
from breakglass_aws.drill import EXECUTOR, AwsCloud
from breakglass_aws.parts import SPECS
from breakglass_aws.sandbox.process import ACCOUNT
from tests.aws.cloud_fleet import Cloud, Keys, cloud_fleet, said
from tests.hosts.fleet import Fleet

SERVICES = ("ec2", "iam", "lambda", "logs", "scheduler", "sns", "sqs", "stepfunctions")
"""Where the drill's agent has something that a restore must bring back."""
RULE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:rogue-jobs"
FACTOR = 0.2
KEYS = "aws.iam.deactivate_access_keys"
PATIENCE_S = 60.0
TRIES = 5
FREE = ("GetCallerIdentity",)
"""STS API Reference, GetCallerIdentity: allowed even where a policy denies it, and nothing comes of it. It is
what the executor asks with the agent's credentials, to know whether they are still good."""
WORK = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}
)
"""Rights with which nobody can hide an invocation that may live for 900 s."""


def test_a_whole_agent_is_stopped_and_put_back_byte_for_byte(cloud: Cloud, tmp_path: Path) -> None:
    """It works and resists until the report says contained, and nothing of it is let through after that."""
    with _drill(cloud, tmp_path) as (place, ours):
        _await_work(place)
        before = cloud.state()
        plan, done = ours.stop()
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        assert {Verdict.CONTAINED} == {one.verdict for one in done.report.steps}, said(done.report)
        assert [] == list(place.alive())
        contained_us = _contained_us(ours, done.report.timings.contained_s)
        late = _await_tries(cloud, contained_us)
        effects = place.effects()
        assert {} == {one.channel: one for one in effects if one.last_monotonic_us > contained_us}
        assert [] == [
            _call(one) for one in late if one["allowed"] and not one["code"] and one["operation"] not in FREE
        ]
        place.retire()
        stopped = cloud.state()
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    after = cloud.state()
    assert [] == [name for name in SERVICES if not before.get(name)], "nothing to compare"
    changed = {name for name in before if before[name] != stopped.get(name)}
    assert {"ec2", "iam", "lambda", "scheduler", "sns", "sqs"} <= changed
    for name in sorted({*before, *after}):
        assert _text(before, name) == _text(after, name), name
    assert len(plan.steps) == len(done.report.steps)


def test_a_key_that_the_agent_made_since_the_harm_began_stays_inactive(cloud: Cloud) -> None:
    """The plan names it, the restore says that it left it off, and all else is as it was."""
    keys = cloud.user()
    made = cloud.boto("iam", keys).create_access_key(UserName="rogue")["AccessKey"]["AccessKeyId"]
    before = cloud.state()
    with cloud_fleet(cloud, cloud.reach(users=["rogue"])) as ours:
        plan, _ = ours.stop()
        _, back = ours.restore()

    [step] = [one for one in plan.steps if one.action == KEYS]
    [said] = [one.reason for one in back.steps if one.action == KEYS]
    after = cloud.state()
    assert Verdict.CONTAINED is back.verdict
    assert made in " ".join(step.affects)
    assert said.startswith("1 restored, 1 ended")
    assert said.endswith(f"{made})")
    assert _keys_of_rogue(after) == {keys["AccessKeyId"]: "Active", made: "Inactive"}
    _keys_of_rogue(before)[made] = "Inactive"
    assert before == after


def test_no_step_in_iam_is_proven_before_its_settle_time_is_over(cloud: Cloud) -> None:
    """From the last change that the service took to the proof, by the journal's own clock."""
    cloud.user()
    cloud.role(trusts=["rogue"])
    reach = cloud.reach(users=["rogue"], roles=["rogue-role"], settle_factor=str(FACTOR))
    settle_s = {spec.name: spec.settle_s * FACTOR for spec in SPECS}
    with cloud_fleet(cloud, reach) as ours:
        plan, done = ours.stop()
        histories = replay(read_journal(ours.incident.journal).records)

    assert Verdict.CONTAINED is done.report.verdict, said(done.report)
    waited: dict[str, float] = {}
    for step in plan.steps:
        history = histories[step.n]
        if not step.action.startswith("aws.iam.") or history.accepted is None:
            continue
        assert history.proven is not None
        assert history.read_back is not None
        passed_s = (history.proven.monotonic_us - history.accepted.monotonic_us) / 1e6
        waited[step.action] = passed_s
        assert step.settle_ms >= settle_s[step.action] * 1000 > 0, step.action
        assert passed_s >= settle_s[step.action], step.action
        assert history.accepted.monotonic_us <= history.read_back.monotonic_us
        assert history.read_back.monotonic_us <= history.proven.monotonic_us
    assert {
        "aws.iam.deny_user",
        "aws.iam.deny_role",
        "aws.iam.deactivate_access_keys",
        "aws.iam.deny_new_sessions",
    } <= waited.keys()


def test_triggers_that_answer_200_and_stay_on_leave_the_stop_not_contained(cloud: Cloud) -> None:
    """Mapping and rule: exit 3, both named; and the restore leaves them as they always were."""
    _fed_function(cloud)
    before = cloud.state()
    cloud.faults(
        {"service": "lambda", "operation": "UpdateEventSourceMapping", "answer": "no-effect"},
        {"service": "events", "operation": "DisableRule", "answer": "no-effect"},
    )
    reach = cloud.reach(functions=["rogue-fn"], rules=["rogue-rule"])
    with cloud_fleet(cloud, reach, step_s=4) as ours:
        _, done = ours.stop()
        assert {"UpdateEventSourceMapping", "DisableRule"} == {
            one["operation"] for one in cloud.calls() if one["fault"] == "no-effect"
        }
        verdicts = {one.action: one.verdict for one in done.report.steps}
        for action in ("aws.lambda.disable_event_sources", "aws.events.disable_rule"):
            assert Verdict.NOT_CONTAINED is verdicts[action], said(done.report)
            assert any(action in one.name for one in done.report.open), said(done.report)
        assert (Verdict.NOT_CONTAINED, 3) == (
            done.report.verdict,
            done.report.verdict.exit_code,
        ), said(done.report)
        cloud.faults()
        ours.restore()

    assert before == cloud.state()


def test_services_that_refuse_most_calls_for_their_rate_delay_the_stop_and_no_more(cloud: Cloud) -> None:
    """IAM and Lambda let through fewer than they are asked for: contained, each change made once."""
    cloud.user(policy=WORK)
    _fed_function(cloud)
    cloud.boto("iam").put_role_policy(RoleName="rogue-role", PolicyName="work", PolicyDocument=WORK)
    before = cloud.state()
    reach = cloud.reach(users=["rogue"], roles=["rogue-role"], functions=["rogue-fn"], rules=["rogue-rule"])
    rates = {"iam": {"per_s": 8, "burst": 2}, "lambda": {"per_s": 4, "burst": 1}}
    with cloud_fleet(cloud, reach, step_s=60) as ours:
        _, done = ours.stop(planned=lambda _: cloud.settings(throttle=rates))
        cloud.settings(throttle={})
        throttled = {one["service"] for one in cloud.calls() if one["code"] in _THROTTLED}
        assert {"iam", "lambda"} <= throttled, throttled
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        for operation in ("AttachRolePolicy", "AttachUserPolicy", "UpdateEventSourceMapping"):
            assert 1 == len(cloud.made(operation)), operation
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == cloud.state()


_THROTTLED = ("Throttling", "ThrottlingException", "TooManyRequestsException")


@contextmanager
def _drill(cloud: Cloud, folder: Path) -> Iterator[tuple[AwsCloud, Fleet]]:
    """Lay out the drill's agent, let it act, and describe it in a kit."""
    place = AwsCloud(cloud.sandbox, folder)
    try:
        reach = place.reach
        held = {name: _keys(json.loads(one)) for name, one in place.credentials.items()}
        cloud.executor = held[EXECUTOR]
        with cloud_fleet(cloud, reach, held=held) as ours:
            yield place, ours
    finally:
        place.retire()


def _keys_of_rogue(state: Mapping[str, Any]) -> dict[str, str]:
    """Return the very mapping in a state, so that it can be changed there."""
    keys: dict[str, str] = state["iam"][f"{ACCOUNT}/aws"]["users"]["rogue"]["keys"]
    return keys


def _call(one: Mapping[str, Any]) -> str:
    return f"{one['principal']} {one['operation']} {one['params']} at {one['monotonic_us']}"


def _keys(held: Mapping[str, Any]) -> Keys:
    return {
        "AccessKeyId": held["access_key_id"],
        "SecretAccessKey": held["secret_access_key"],
        "SessionToken": held["session_token"],
    }


def _await_work(place: AwsCloud) -> None:
    """Wait until the agent has acted by every channel."""
    until_s = time.monotonic() + PATIENCE_S
    while missing := set(place.expected) - {one.channel for one in place.effects()}:
        assert time.monotonic() < until_s, missing
        time.sleep(0.2)


def _await_tries(cloud: Cloud, since_us: int) -> list[dict[str, Any]]:
    """Return the calls that the agent made since, but the free ones, once they are some."""
    until_s = time.monotonic() + PATIENCE_S
    while True:
        calls = [one for one in cloud.calls() if _is_agent(str(one["principal"]))]
        late = [one for one in calls if one["monotonic_us"] > since_us and one["operation"] not in FREE]
        if len(late) >= TRIES:
            return late
        assert time.monotonic() < until_s, "the agent did not even try"
        time.sleep(0.2)


def _is_agent(principal: str) -> bool:
    mine = (f":user/{drill_layout.USER}", f":assumed-role/{drill_layout.ROLE}/")
    return any(part in principal for part in mine)


def _contained_us(ours: Fleet, contained_s: float | None) -> int:
    """Return the instant that the report calls contained, in CLOCK_MONOTONIC."""
    issued = first(read_journal(ours.incident.journal).records, "stop.issued")
    assert issued is not None
    assert contained_s is not None
    return issued.monotonic_us + int(contained_s * 1e6)


def _text(state: Mapping[str, Any], name: str) -> str:
    return json.dumps(state.get(name), sort_keys=True)


def _fed_function(cloud: Cloud) -> None:
    """Make a function that a queue feeds, its role, and a rule."""
    cloud.function(cloud.role())
    cloud.mapping()
    cloud.rule(RULE)
