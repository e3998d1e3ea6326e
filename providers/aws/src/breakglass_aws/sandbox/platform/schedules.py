"""EventBridge Scheduler: schedules that fire as their target's role."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from breakglass_aws.sandbox.call import Call, Refusal
from breakglass_aws.sandbox.platform import backends
from breakglass_aws.sandbox.platform.acting import ACTING
from breakglass_aws.sandbox.platform.expressions import Dues
from breakglass_aws.sandbox.platform.targets import deliver_as_role

DUES = Dues()


def tick(now: float) -> None:
    """Fire what is due, and forget what passed while it was disabled."""
    from moto.scheduler.models import scheduler_backends

    for _account, _region, backend in backends.existing(scheduler_backends):
        for group in list(backend.schedule_groups.values()):
            for schedule in list(group.schedules.values()):
                _look(group, schedule, now)


def _look(group: Any, schedule: Any, now: float) -> None:  # noqa: ANN401 - moto's
    enabled = (schedule.state or "ENABLED") == "ENABLED" and _within(schedule)
    expression = schedule.schedule_expression
    name, zone = f"{schedule.arn} {schedule.creation_date}", schedule.schedule_expression_timezone
    if not DUES.due(name, expression, zone, enabled=enabled, now=now):
        return
    target = dict(schedule.target)
    ACTING.submit(
        f"schedule {schedule.arn} {now}",
        lambda: deliver_as_role(
            f"schedule/{schedule.group_name}/{schedule.name}", target, str(target.get("Input") or "{}")
        ),
    )
    if expression.startswith("at(") and schedule.action_after_completion == "DELETE":
        group.schedules.pop(schedule.name, None)


def _within(schedule: Any) -> bool:  # noqa: ANN401 - moto's
    moment = datetime.now(UTC).timestamp()
    start, end = _seconds(schedule.start_date), _seconds(schedule.end_date)
    return (start is None or start <= moment) and (end is None or moment <= end)


def update(call: Call) -> Mapping[str, Any]:
    """Replace a schedule whole: what the caller leaves out is back at its default.

    EventBridge Scheduler API reference, UpdateSchedule: "Amazon EventBridge Scheduler uses all values,
    including empty values, specified in the request and overrides the existing schedule".
    """
    from moto.scheduler.models import scheduler_backends

    given = call.params
    backend = scheduler_backends[call.account][call.region]
    try:
        schedule = backend.get_schedule(given.get("GroupName"), given["Name"])
    except backends.refusals() as error:
        text = f"Schedule {given['Name']} does not exist."
        raise Refusal("ResourceNotFoundException", text, 404) from error
    tick(_now())
    schedule.update(
        description=given.get("Description"),
        end_date=_seconds(given.get("EndDate")),
        flexible_time_window=_plain(given["FlexibleTimeWindow"]),
        kms_key_arn=given.get("KmsKeyArn"),
        schedule_expression=given["ScheduleExpression"],
        schedule_expression_timezone=given.get("ScheduleExpressionTimezone") or "UTC",
        start_date=_seconds(given.get("StartDate")),
        state=given.get("State") or "ENABLED",
        target=_plain(given["Target"]),
    )
    schedule.action_after_completion = given.get("ActionAfterCompletion") or "NONE"
    return {"ScheduleArn": schedule.arn}


def _now() -> float:
    import time

    return time.monotonic()


def _plain(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _seconds(value: object) -> float | None:
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float | str) and value != "" else None


HANDLERS = {("scheduler", "UpdateSchedule"): update}
