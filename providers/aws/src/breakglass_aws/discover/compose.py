"""Puts steps of different parts in the order that keeps one from spoiling the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from breakglass.provider import Proposal, WaitFor

STOPS_RUNNING_WORK = "aws.states.stop_executions"
DENIES = frozenset(
    {"aws.iam.deny_role", "aws.iam.deny_role_sessions", "aws.iam.switch_class", "aws.iam.tag_class"}
)
AT_MOST_S = 10.0
"""Then the role is denied all the same, and orphans are reported (DESIGN 5)."""


def running_work_before_its_role(proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Let a role's deny wait for what the platform stops with that very role.

    Step Functions cancels the children of an execution with the execution's role (Developer Guide, "Service
    integrations: run a job"); denied first, the children would run on as orphans.
    """
    stops = {
        one.key: str(one.target.params.get("role_arn", ""))
        for one in proposals
        if one.action == STOPS_RUNNING_WORK
    }
    return tuple(
        replace(one, after=(*one.after, *_waits(one, stops))) if one.action in DENIES else one
        for one in proposals
    )


def _waits(denial: Proposal, stops: dict[str, str]) -> tuple[WaitFor, ...]:
    role = str(denial.target.params.get("role_arn", ""))
    every = not role
    return tuple(WaitFor(key, AT_MOST_S) for key, arn in stops.items() if every or arn == role)
