"""What the sandbox recorded of the agent and of all that it made, held against what a report says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from breakglass.model.action import Verdict
from breakglass.report.build import Report, ReportedStep
from tests.aws.cloud_fleet import Cloud

SEEN_LATE_MS = 5000
"""A change of just before the proof may be seen only after it."""
_LOOK = "GetAccountAuthorizationDetails"
"""What a look at everybody begins with; it goes on in CloudTrail for some seconds."""
ADMINISTRATOR = "AKIAADMINADMINADMIN0"
_DENIES = ("aws.iam.deny_role", "aws.iam.deny_user", "aws.iam.deactivate_access_keys")
_UNDOES = {
    "aws.iam.deny_new_sessions": ("UpdateAssumeRolePolicy",),
    "aws.iam.deactivate_access_keys": ("UpdateAccessKey", "CreateAccessKey"),
}
_LIFTS = ("Detach", "Delete")
_MAKES = {"CreateUser": ("user", "UserName"), "CreateRole": ("role", "RoleName")}


def answered(cloud: Cloud) -> list[dict[str, Any]]:
    """Return the calls of others than executor and administrator that were let through."""
    ours = {cloud.executor["AccessKeyId"], ADMINISTRATOR}
    return [
        one for one in cloud.calls() if one["access_key"] not in ours and one["allowed"] and not one["code"]
    ]


def who(call: Mapping[str, Any]) -> str:
    """Return ``user/NAME`` or ``role/NAME``: a session is its role."""
    parts = str(call["principal"]).rpartition(":")[2].split("/")
    return f"role/{parts[1]}" if parts[0] == "assumed-role" else f"{parts[0]}/{parts[-1]}"


def violations(cloud: Cloud, report: Report, ended_ms: int) -> list[str]:
    """Return where the record contradicts the report; `ended_ms` is when the report was made.

    A proven step may be undone by somebody whom the same report calls open; it is then no wrong proof.
    """
    calls = answered(cloud)
    found = [one for step in report.steps for one in _against_step(calls, step, report)]
    return [*found, *_against_verdict(calls, report, ended_ms, _last_look_ms(cloud, ended_ms))]


def _last_look_ms(cloud: Cloud, ended_ms: int) -> int:
    """Return when the last look at everybody began: whoever was made later was not there to be seen."""
    executor = cloud.executor["AccessKeyId"]
    mine = [one for one in cloud.calls() if one["access_key"] == executor and one["operation"] == _LOOK]
    return max(int(one["at_ms"]) for one in mine if not one["code"] and one["at_ms"] < ended_ms)


def _against_step(calls: Sequence[Mapping[str, Any]], step: ReportedStep, report: Report) -> Iterator[str]:
    if step.proven_at is None or step.verdict is not Verdict.CONTAINED:
        return
    since_ms = step.proven_at.epoch_ms
    late = [one for one in calls if one["at_ms"] > since_ms and _forbids(step, one)]
    if not late:
        return
    undone = [
        one
        for one in calls
        if since_ms - SEEN_LATE_MS < one["at_ms"] < late[0]["at_ms"]
        and _undoes(step, one)
        and _named(who(one), report)
    ]
    if not undone or report.verdict is Verdict.CONTAINED:
        yield f"{step.action} {step.target.id} is proven, yet {_said(late[0])} (and {len(late)} in all)"


def _forbids(step: ReportedStep, call: Mapping[str, Any]) -> bool:
    if step.action == "aws.iam.deny_new_sessions":
        role = str(call["params"].get("RoleArn", ""))
        return call["operation"] == "AssumeRole" and role.endswith(f":{step.target.id}")
    return step.action in _DENIES and who(call) == step.target.id


def _undoes(step: ReportedStep, call: Mapping[str, Any]) -> bool:
    """Return whether a call took a step's effect away."""
    params = call["params"]
    if step.target.id.partition("/")[2] not in (params.get("UserName"), params.get("RoleName")):
        return False
    own = _UNDOES.get(step.action)
    return call["operation"] in own if own else str(call["operation"]).startswith(_LIFTS)


def _against_verdict(
    calls: Sequence[Mapping[str, Any]], report: Report, ended_ms: int, looked_ms: int
) -> Iterator[str]:
    proven = [one.proven_at.epoch_ms for one in report.steps if one.proven_at is not None]
    if looked_ms < max(proven, default=0):
        yield "nobody looked at everybody again after the last proof"
    if report.verdict is Verdict.CONTAINED:
        yield from (f"contained, yet {_said(one)}" for one in calls if one["at_ms"] > max(proven))
        return
    made = {made: (who(one), one["at_ms"]) for one in calls for made in _made(one)}
    for acts in sorted({who(one) for one in calls if one["at_ms"] > ended_ms}):
        named = acts
        # Whoever was made after the last look is the doing of somebody whom the report had to name.
        while made.get(named, ("", 0))[1] > looked_ms - SEEN_LATE_MS and not _named(named, report):
            named = made[named][0]
        if not _named(named, report):
            age_ms = ended_ms - made.get(named, ("", 0))[1]
            yield f"{acts} (by {named}, {age_ms} ms old) acts after the report, which does not name it"


def _named(principal: str, report: Report) -> bool:
    """Return whether the report says that a principal is open, or appeared."""
    said = [f"{one.name} {one.reason}" for one in report.open]
    said += [f"{one.id} {one.reason}" for one in report.found_not_signed]
    return any(re.search(re.escape(principal).replace("/", "[/ ]") + r"(?![\w-])", one) for one in said)


def _made(call: Mapping[str, Any]) -> Iterator[str]:
    if call["operation"] in _MAKES:
        kind, key = _MAKES[call["operation"]]
        yield f"{kind}/{call['params'][key]}"


def _said(call: Mapping[str, Any]) -> str:
    return f"{who(call)} could {call['operation']} at {call['at_ms']}"
