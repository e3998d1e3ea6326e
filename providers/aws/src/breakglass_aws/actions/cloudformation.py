"""``aws.cloudformation.deny_updates``: a stack policy that denies every update of the stack's resources.

What it does not do: a caller may override a stack policy for one update (CloudFormation API reference,
UpdateStack, `StackPolicyDuringUpdateBody`), and may delete the stack and make it anew. So this step closes no
deployer for good, and the plan shows the door. An update that runs goes on: cancelling it rolls resources
back, which is a change of its own. Termination protection is left alone: deleting a stack starts no agent.
"""

from __future__ import annotations

import json

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
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, ProposedDoor, Reversal
from breakglass_aws.account import Account, Answer
from breakglass_aws.found import Found
from breakglass_aws.refusals import text_of

SPEC = ActionSpec(
    name="aws.cloudformation.deny_updates",
    capability=Capability.FREEZE_CHANGE,
    summary="sets a stack policy that denies every update of the stack's resources",
    permissions=(
        "cloudformation:DescribeStacks",
        "cloudformation:GetStackPolicy",
        "cloudformation:SetStackPolicy",
    ),
    blast_radius="every update of this stack fails and is rolled back, by whoever makes it",
    reversibility=Reversibility.PARTIAL,
    undo=(
        "sets the policy that was there; where there was none, one that allows every update, since a stack"
        " policy cannot be removed"
    ),
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.cloudformation.deny_updates stack/support-bot",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, "CloudFormation User Guide, Prevent updates to stack resources"
        ),
        Source("undo", Authority.VENDOR_TEXT, "the same: a stack policy can be modified and not be removed"),
        Source("settle", Authority.UNVERIFIED, "no figure is published; read back twice, 5 s apart"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_deployers.py"),
    ),
    service="cloudformation",
)
KIND = "cloudformation:"


def _policy(effect: str) -> str:
    statement = {"Effect": effect, "Action": "Update:*", "Principal": "*", "Resource": "*"}
    return json.dumps({"Statement": [statement]}, separators=(",", ":"))


DENY, ALLOW = _policy("Deny"), _policy("Allow")


class DenyUpdates:
    """The stack of one name, by its unique id."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the policy's text and the status of the stack; one that is gone has neither."""
        try:
            stack = described(self._account, str(resource.params["stack"]))
        except Gone:
            return State({})
        stack_id = str(stack["StackId"])
        answer = self._account.call("cloudformation", "get_stack_policy", StackName=stack_id)
        body = answer.get("StackPolicyBody") or None
        return State({stack_id: {"policy": body, "status": str(stack.get("StackStatus") or "")}})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Set the policy that denies, where another one is."""
        for stack_id, value in before.objects.items():
            if not same(_of(value, "policy"), DENY):
                self._set(stack_id, DENY)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether an update can begin, or is under way."""
        for value in state.objects.values():
            if not same(_of(value, "policy"), DENY):
                return Judgement(Verdict.NOT_CONTAINED, "the stack policy lets updates through")
            status = str(_of(value, "status"))
            if status.endswith("_IN_PROGRESS"):
                why = f"the stack is in {status}: that goes on, since cancelling it would be a change too"
                return Judgement(Verdict.NOT_CONTAINED, why)
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the stack is gone: there is nothing to update")
        return Judgement(
            Verdict.CONTAINED,
            "every update is denied, unless its caller overrides the policy for that update",
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - by unique id
        """Set the policy that was there before; without one, the policy that allows all."""
        outcomes: dict[str, Outcome] = {}
        reason = "the stack policy is as it was"
        for stack_id, value in before.objects.items():
            was, there = _of(value, "policy"), now.objects.get(stack_id)
            if there is None:
                outcomes[stack_id] = Outcome.DRIFTED
            elif same(was, DENY) or _of(there, "policy") == (was or ALLOW):
                outcomes[stack_id] = Outcome.ALREADY
            elif not same(_of(there, "policy"), DENY):
                outcomes[stack_id] = Outcome.DRIFTED
            else:
                self._set(stack_id, str(was or ALLOW))
                outcomes[stack_id] = Outcome.RESTORED
            if was is None:
                reason = (
                    "there was no stack policy, and none can be removed: one that allows all took its place"
                )
        return Reversal(outcomes, reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a trial would be an update."""
        return None

    def _set(self, stack_id: str, body: str) -> None:
        self._account.call("cloudformation", "set_stack_policy", StackName=stack_id, StackPolicyBody=body)


def described(account: Account, name: str) -> Answer:
    """Return what the service tells of the one stack of this name.

    Raises:
        Gone: there is none (CloudFormation says ValidationError).
    """
    try:
        stacks = account.call("cloudformation", "describe_stacks", StackName=name).get("Stacks") or []
    except ProviderError as error:
        if "does not exist" in text_of(error):
            raise Gone("is not there", where=f"stack {name}") from error
        raise
    living = [one for one in stacks if one.get("StackStatus") != "DELETE_COMPLETE"]
    if not living:
        raise Gone("is deleted", where=f"stack {name}")
    found: Answer = living[0]
    return found


def same(one: Json, other: str) -> bool:
    """Return whether two policies say the same, whatever their spaces."""
    try:
        return bool(json.loads(str(one)) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def propose(account: Account, found: Found) -> Proposed:
    """Propose to freeze each stack that the inventory names as a deployer."""
    proposals, notes, doors = [], [], []
    for entry in found.of("deployers"):
        if not entry.startswith(KIND):
            continue
        name = entry.removeprefix(KIND)
        try:
            described(account, name)
        except Gone:
            notes.append(NotTouched(f"deployer {entry}", "there is no such stack"))
            continue
        target = Resource("stack", f"stack/{name}", f"stack {name}", {"stack": name})
        proposals.append(
            Proposal(
                key=f"deny_updates:{name}",
                action=SPEC.name,
                target=target,
                settle_s=account.settle_s(SPEC),
            )
        )
        doors.append(_door(name))
    return Proposed(tuple(proposals), not_touched=tuple(notes), doors=tuple(doors))


def _door(name: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=DoorKind.NO_STEP,
            name=f"deployer cloudformation {name}",
            reason="whoever may update the stack may override its policy for that update",
            remedy="deny cloudformation:UpdateStack, CreateStack and ExecuteChangeSet to whoever deploys",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )


def _of(value: Json, key: str) -> Json:
    return value.get(key) if isinstance(value, dict) else None


ACTION_CLASSES = (DenyUpdates,)
SPECS = (SPEC,)
