"""Schedules: disabled and enabled with every other field as it was."""

from __future__ import annotations

import datetime as dt
from typing import Any

from breakglass.canon import canonical
from breakglass.provider import Outcome
from breakglass_aws.actions import scheduler
from breakglass_aws.sandbox.process import ACCOUNT, REGION
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_platform import role
from providers.aws.tests.rig_triggers import still, verdict

INPUT = '{"token": "hunter2"}'


def whole(rig: Rig, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - what boto3 takes
    """Make a schedule with every field that there is."""
    client = rig.boto("scheduler")
    client.create_schedule_group(Name="bots")
    given: dict[str, Any] = {
        "Name": "hourly",
        "GroupName": "bots",
        "ScheduleExpression": "rate(1 hour)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "Description": "wakes it",
        "StartDate": dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=1),
        "EndDate": dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=9),
        "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5},
        "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-1111-1111-1111-111111111111",
        "ActionAfterCompletion": "NONE",
        "Target": {
            "Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:bot",
            "RoleArn": role(rig, "schedule-role", "scheduler.amazonaws.com"),
            "Input": INPUT,
            "RetryPolicy": {"MaximumEventAgeInSeconds": 60, "MaximumRetryAttempts": 1},
        },
    }
    client.create_schedule(**{**given, **more})
    return still(client.get_schedule(Name="hourly", GroupName="bots"))


def test_a_schedule_is_disabled_and_enabled_with_every_other_field_as_it_was(rig: Rig) -> None:
    """UpdateSchedule resets what it is not given; the target's input is not in the state."""
    before = whole(rig)
    client = rig.boto("scheduler")
    provider = rig.provider(schedules=["bots/hourly"])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    stopped = still(client.get_schedule(Name="hourly", GroupName="bots"))
    assert stopped == {**before, "State": "DISABLED"}
    assert b"hunter2" not in canonical(prior)
    assert undo(action, found.target, prior).objects == {"schedule": Outcome.RESTORED}
    assert still(client.get_schedule(Name="hourly", GroupName="bots")) == before


def test_a_schedule_that_was_off_stays_off_and_one_that_others_changed_is_left_alone(rig: Rig) -> None:
    """Even where only the input changed, which the state does not show."""
    before = whole(rig)
    client = rig.boto("scheduler")
    provider = rig.provider(schedules=["bots/hourly"])
    found = proposal(provider, scheduler.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    again, _ = close(action, found.target)
    assert undo(action, found.target, again).objects == {"schedule": Outcome.ALREADY}
    sent = {key: value for key, value in before.items() if key not in {"Arn", "CreationDate"}}
    client.update_schedule(**{**sent, "Target": {**sent["Target"], "Input": "{}"}, "State": "ENABLED"})

    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
    assert undo(action, found.target, prior).objects == {"schedule": Outcome.DRIFTED}


def test_a_one_time_schedule_says_that_it_may_never_fire(rig: Rig) -> None:
    """Two signatures are given for that, too."""
    later = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S")
    whole(rig, ScheduleExpression=f"at({later})")

    found = proposal(rig.provider(schedules=["bots/hourly"]), scheduler.SPEC.name)

    assert "never" in found.target.label
