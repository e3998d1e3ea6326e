"""``aws.states.stop_executions``: every running execution of a state machine is stopped.

Without error and cause, so that no key of KMS is needed (Step Functions API reference, StopExecution). Step
Functions cancels the jobs of a ``.sync`` state with the machine's role: where that is denied first, jobs
stay behind. Express executions cannot be stopped; they live 300 s at most (Step Functions quotas).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
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
from breakglass_aws.recorded import recorded
from breakglass_aws.refusals import code_of

EXPRESS = "EXPRESS"
EXPRESS_S = 300
SPEC = ActionSpec(
    name="aws.states.stop_executions",
    capability=Capability.STOP_WORKLOADS,
    summary="stops every running execution of the state machine, those that start meanwhile included",
    permissions=(
        "states:DescribeStateMachine",
        "states:ListExecutions",
        "states:ListMapRuns",
        "states:StopExecution",
    ),
    blast_radius="whoever waits for an execution; jobs of .sync states are cancelled with it",
    reversibility=Reversibility.NONE,
    undo="nothing: a stopped execution is started again by its owner",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.states.stop_executions state-machine/support-bot-flow",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "Step Functions API reference, StopExecution"),
        Source("settle", Authority.VENDOR_TEXT, "Step Functions API reference, ListExecutions: eventually"),
        Source("settle", Authority.UNVERIFIED, "no time is published; 10 s is our margin"),
        Source("window", Authority.VENDOR_TEXT, "Step Functions quotas: express execution, 5 minutes"),
    ),
    service="states",
)
MACHINE = "machine"
_DISTRIBUTED = "DISTRIBUTED"
_LOOK_BACK_S = 900
"""Children of a map run are looked for below parents that were stopped so recently, too."""


class StopExecutions:
    """The running executions of one state machine, and the children of their map runs."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read every running execution; an express machine lists none."""
        arn = str(resource.params["machine"])
        try:
            machine = self._machine(arn)
            if machine.get("type") == EXPRESS:
                return State({MACHINE: {"type": EXPRESS}})
            objects: dict[str, Json] = {one["executionArn"]: _record(one) for one in self._running(arn)}
            if resource.params["maps"] or _DISTRIBUTED in machine.get("definition", _DISTRIBUTED):
                objects |= {one["executionArn"]: _record(one) for one in self._children(arn, list(objects))}
        except Gone:
            return State({})
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop every execution; parents come first, since theirs would start more children."""
        for arn in before.objects:
            if arn == MACHINE:
                continue
            try:
                self._account.call("stepfunctions", "stop_execution", executionArn=arn)
            except Gone:
                continue

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether one is left that runs."""
        if MACHINE in state.objects:
            if resource.params["type"] == EXPRESS:
                reason = f"express executions cannot be stopped; one may live {EXPRESS_S} s"
                return Judgement(Verdict.CONTAINED, reason, Grade.NONE)
            return Judgement(Verdict.NOT_CONTAINED, "the machine was made again as an express one")
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} executions run")
        return Judgement(Verdict.CONTAINED, "no execution runs")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it
        """Leave them ended: their owner starts what is still wanted."""
        outcomes = {
            key: Outcome.ALREADY if key == MACHINE or key in now.objects else Outcome.ENDED
            for key in before.objects
        }
        return Reversal(outcomes, "executions that were stopped are started again by their owner")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: that an execution has ended is read back."""
        return None

    def _machine(self, arn: str) -> dict[str, Any]:
        try:
            return dict(self._account.call("stepfunctions", "describe_state_machine", stateMachineArn=arn))
        except ProviderError as error:
            if not code_of(error).startswith("Kms"):
                raise
        # Its definition is encrypted with a key that the executor may not use; the rest is not.
        return dict(
            self._account.call(
                "stepfunctions", "describe_state_machine", stateMachineArn=arn, includedData="METADATA_ONLY"
            )
        )

    def _running(self, arn: str) -> Iterator[Any]:
        return self._account.pages(
            "stepfunctions",
            "list_executions",
            "executions",
            stateMachineArn=arn,
            statusFilter="RUNNING",
            maxResults=1000,
        )

    def _children(self, arn: str, running: list[str]) -> Iterator[Any]:
        """Yield the running children of map runs, of parents that run or were stopped just now."""
        for parent in [*running, *self._stopped_just_now(arn)]:
            with suppress(Gone):  # it ended, and so did its map runs
                runs = self._account.pages("stepfunctions", "list_map_runs", "mapRuns", executionArn=parent)
                for run in list(runs):
                    yield from self._account.pages(
                        "stepfunctions",
                        "list_executions",
                        "executions",
                        mapRunArn=run["mapRunArn"],
                        statusFilter="RUNNING",
                        maxResults=1000,
                    )

    def _stopped_just_now(self, arn: str) -> Iterator[str]:
        """Yield those that were stopped lately; the listing has the newest first (ListExecutions)."""
        since_s = self._account.connection.clock.now().epoch_ms / 1000 - _LOOK_BACK_S
        listed = self._account.pages(
            "stepfunctions", "list_executions", "executions", stateMachineArn=arn, statusFilter="ABORTED"
        )
        for one in listed:
            if one["stopDate"].timestamp() < since_s:
                return
            yield one["executionArn"]


def _record(one: Any) -> Json:  # noqa: ANN401 - an answer of boto3's has no types
    kept = ("status", "startDate", "mapRunArn", "stateMachineVersionArn", "stateMachineAliasArn")
    return recorded({key: one[key] for key in kept if key in one})


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop the executions of each state machine."""
    action = StopExecutions(account)
    proposed = Proposed()
    for name in found.of("state_machines"):
        arn = account.arn("states", f"stateMachine:{name}")
        try:
            machine = action._machine(arn)  # noqa: SLF001 - of the same module
        except Gone:
            gone = NotTouched(f"state machine {name}", f"there is none in {account.region}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
            continue
        starters = NotTouched(
            f"who starts state machine {name}",
            "whoever may call states:StartExecution; the agent's own principals are denied by their steps",
        )
        proposed = proposed.plus(Proposed((_step(account, found, name, machine),), not_touched=(starters,)))
    return proposed


def _step(account: Account, found: Found, name: str, machine: dict[str, Any]) -> Proposal:
    express = machine.get("type") == EXPRESS
    definition = str(machine.get("definition", _DISTRIBUTED))
    params: dict[str, Json] = {
        "machine": machine["stateMachineArn"],
        "maps": _DISTRIBUTED in definition,
        "role_arn": machine["roleArn"],
        "type": str(machine["type"]),
    }
    label = f"executions of state machine {name}"
    return Proposal(
        key=f"stop_executions:{name}",
        action=SPEC.name,
        target=Resource("aws-state-machine", f"state-machine/{name}", label, params),
        best_grade=Grade.NONE if express else Grade.READ_BACK,
        settle_s=account.settle_s(SPEC),
        window_s=EXPRESS_S if express else None,
        moot_by=_denied_with(found, str(machine["roleArn"]), definition) if express else (),
    )


def _denied_with(found: Found, role_arn: str, definition: str) -> tuple[str, ...]:
    """Return the step that takes all power from an express execution: what it calls, it calls as its role.

    Not where a state takes on another role: that session outlives the deny (Step Functions Developer Guide,
    "Accessing resources in other accounts": Credentials).
    """
    if '"Credentials"' in definition or definition == _DISTRIBUTED:
        return ()
    own = role_arn.rpartition("/")[2]
    return tuple(f"deny_role:{role}" for role in found.of("roles") if role.rpartition("/")[2] == own)


ACTION_CLASSES = (StopExecutions,)
SPECS = (SPEC,)
