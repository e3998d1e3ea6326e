"""``aws.pipes.stop_pipe``: an EventBridge pipe takes nothing from its source any more."""

from __future__ import annotations

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
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found
from breakglass_aws.recorded import fields, recorded

SPEC = ActionSpec(
    name="aws.pipes.stop_pipe",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="stops the pipe; what its source holds waits there",
    permissions=("pipes:DescribePipe", "pipes:StopPipe"),
    undo_permissions=("pipes:DescribePipe", "pipes:StartPipe"),
    blast_radius="the pipe's target; records that leave its source's retention are lost",
    reversibility=Reversibility.FULL,
    undo="starts the pipe again where it ran",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.pipes.stop_pipe pipe/support-bot",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "EventBridge Pipes API reference, StopPipe: CurrentState"),
        Source("settle", Authority.UNVERIFIED, "STOPPED is said once it is so; 10 s is our margin"),
        tiers.source("request shapes and states are held against the service's model"),
    ),
    service="pipes",
)
PIPE = "pipe"
STOPPED = "STOPPED"
_RUNNING = "RUNNING"
"""The state that somebody wants; the current one may be on its way there, or have failed to get there."""
_ON_ITS_WAY = frozenset({"STOPPING", "DELETING"})
_WHAT = ("Arn", "CreationTime", "Source", "Target", "Enrichment", "RoleArn")


class StopPipe:
    """One pipe."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read its states and what it joins; a pipe that is gone has none."""
        try:
            seen = self._account.call("pipes", "describe_pipe", Name=str(resource.params["pipe"]))
        except Gone:
            return State({})
        kept = (*_WHAT, "DesiredState", "CurrentState")
        return State({PIPE: recorded({key: seen[key] for key in kept if seen.get(key) is not None})})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop it unless it stops or has stopped; while it changes it refuses, and is asked again."""
        pipe = fields(before.objects.get(PIPE))
        if pipe and pipe["CurrentState"] not in _ON_ITS_WAY | {STOPPED}:
            try:
                self._account.call("pipes", "stop_pipe", Name=str(resource.params["pipe"]))
            except Gone:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether it has stopped; stopping is not stopped."""
        pipe = fields(state.objects.get(PIPE))
        if not pipe:
            return Judgement(Verdict.CONTAINED, f"pipe {resource.params['pipe']} is gone")
        shown = f"the pipe is {pipe['CurrentState']} and shall be {pipe['DesiredState']}"
        if pipe["CurrentState"] != STOPPED or pipe["DesiredState"] != STOPPED:
            return Judgement(Verdict.NOT_CONTAINED, shown)
        return Judgement(Verdict.CONTAINED, shown)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Start it again, where it ran and is the same."""
        was, current = fields(before.objects.get(PIPE)), fields(now.objects.get(PIPE))
        if not current or any(was.get(key) != current.get(key) for key in _WHAT):
            outcome = Outcome.DRIFTED
        elif was["DesiredState"] != _RUNNING or current["DesiredState"] == _RUNNING:
            outcome = Outcome.ALREADY
        elif current["CurrentState"] != STOPPED:
            outcome = Outcome.DRIFTED
        else:
            self._account.call("pipes", "start_pipe", Name=str(resource.params["pipe"]))
            outcome = Outcome.RESTORED
        return Reversal(
            dict.fromkeys(before.objects, outcome),
            "the pipe is as it was; one that others changed, removed or made again is left alone",
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what a pipe takes is nothing that the agent can be refused."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop each pipe."""
    proposed = Proposed()
    for name in found.of("pipes"):
        try:
            seen = account.call("pipes", "describe_pipe", Name=name)
        except Gone:
            gone = NotTouched(f"pipe {name}", f"there is none in {account.region}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        step = Proposal(
            key=f"stop_pipe:{name}",
            action=SPEC.name,
            target=Resource("aws-pipe", f"pipe/{name}", tiers.label(f"pipe {name}"), {"pipe": name}),
            settle_s=account.settle_s(SPEC),
            affects=(f"source {seen['Source']}", f"target {seen['Target']}"),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (StopPipe,)
SPECS = (SPEC,)
