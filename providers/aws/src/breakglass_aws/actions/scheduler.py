"""``aws.scheduler.disable_schedule``: a schedule of EventBridge Scheduler fires no more.

UpdateSchedule sets every field that it is not given to its default, so all of them are sent again, as they
stand (EventBridge Scheduler API reference, UpdateSchedule). The target's input may hold secrets: the state
carries the schedule but for that, and a salted commitment to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.recorded import fields, recorded

SPEC = ActionSpec(
    name="aws.scheduler.disable_schedule",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="disables the schedule; every other field is sent again as it is",
    permissions=("iam:PassRole", "scheduler:GetSchedule", "scheduler:UpdateSchedule"),
    blast_radius="the schedule's target; a one-time schedule that passes while it is disabled never fires",
    reversibility=Reversibility.FULL,
    undo="enables the schedule again, with every other field as it is; what passed is not made up for",
    settle_s=60,
    best_grade=Grade.READ_BACK,
    example="aws.scheduler.disable_schedule schedule/default/support-bot-hourly",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "EventBridge Scheduler API reference, UpdateSchedule: State"),
        Source(
            "settle", Authority.VENDOR_TEXT, "EventBridge Scheduler User Guide: invokes within 60 seconds"
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_scheduler.py"),
    ),
    service="scheduler",
)
SCHEDULE = "schedule"
DISABLED = "DISABLED"
_MOVES = frozenset({"LastModificationDate", "ResponseMetadata"})
_NOT_SENT = _MOVES | {"Arn", "CreationDate", "State"}
_SECRET = ("Input",)


class DisableSchedule:
    """One schedule of one group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the whole schedule; one that is gone has no state."""
        try:
            return State({SCHEDULE: self._record(resource, self._read(resource))})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - see `_update`
        """Disable it unless it is."""
        if SCHEDULE in before.objects and fields(before.objects[SCHEDULE])["State"] != DISABLED:
            try:
                self._update(self._read(resource), DISABLED)
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it can fire."""
        if SCHEDULE not in state.objects:
            return Judgement(Verdict.CONTAINED, f"schedule {resource.params['schedule']} is gone")
        is_now = fields(state.objects[SCHEDULE])["State"]
        if is_now != DISABLED:
            return Judgement(Verdict.NOT_CONTAINED, f"the schedule is {is_now}")
        return Judgement(Verdict.CONTAINED, "the schedule is DISABLED")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable it again, where nothing else of it changed."""
        outcome = Outcome.DRIFTED
        was, current = fields(before.objects.get(SCHEDULE)), fields(now.objects.get(SCHEDULE))
        if was == current or was.get("State") == DISABLED:
            outcome = Outcome.ALREADY
        elif {**was, "State": DISABLED} == current:
            live = self._read(resource)
            if self._record(resource, live) == current:
                self._update(live, str(was["State"]))
                outcome = Outcome.RESTORED
        return Reversal(
            dict.fromkeys(before.objects, outcome),
            "the schedule is as it was; one that others changed, removed or made again is left alone",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: only time makes it fire."""
        return None

    def _read(self, resource: Resource) -> Mapping[str, Any]:
        return self._account.call("scheduler", "get_schedule", **_named(resource))

    def _update(self, live: Mapping[str, Any], state: str) -> None:
        # No ClientToken: after somebody enabled it again a repeated one would be answered, and do nothing.
        sent = {key: value for key, value in live.items() if key not in _NOT_SENT and value is not None}
        self._account.call("scheduler", "update_schedule", **sent, State=state)

    def _record(self, resource: Resource, live: Mapping[str, Any]) -> Json:
        # NONE is what a schedule has that says nothing of it (Scheduler API reference, CreateSchedule).
        whole: dict[str, Any] = {"ActionAfterCompletion": "NONE"}
        whole |= {key: value for key, value in live.items() if key not in _MOVES}
        target = dict(whole["Target"])
        for key in _SECRET:
            if key in target:
                label = f"schedule {resource.params['group']}/{resource.params['schedule']} {key}"
                target[key] = self._account.connection.sealed.put(label, json.dumps(target[key]).encode())
        return recorded({**whole, "Target": target})


def _named(resource: Resource) -> dict[str, str]:
    return {"Name": str(resource.params["schedule"]), "GroupName": str(resource.params["group"])}


def propose(account: Account, found: Found) -> Proposed:
    """Propose to disable each schedule."""
    proposed = Proposed()
    for name in found.of("schedules"):
        group, _, schedule = name.rpartition("/")
        group = group or "default"
        shown = f"schedule {group}/{schedule}"
        params: dict[str, Json] = {"group": group, "schedule": schedule}
        try:
            seen = account.call("scheduler", "get_schedule", Name=schedule, GroupName=group)
        except Gone:
            gone = NotTouched(shown, f"there is none in {account.region}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        once = str(seen["ScheduleExpression"]).startswith("at(")
        label = f"{shown}: fires once, and never if its time passes while it is disabled" if once else shown
        step = Proposal(
            key=f"disable_schedule:{group}/{schedule}",
            action=SPEC.name,
            target=Resource("aws-schedule", f"schedule/{group}/{schedule}", label, params),
            settle_s=account.settle_s(SPEC),
            affects=(f"target {seen['Target']['Arn']}",),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (DisableSchedule,)
SPECS = (SPEC,)
