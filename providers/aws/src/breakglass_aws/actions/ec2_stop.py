"""``aws.ec2.stop_instances``: where the inventory allows it, the instances are stopped; flows end with them.

Memory and instance store are lost, so evidence comes first; hibernation is not tried. The operating system
shuts down first, and is cut off where it does not (Amazon EC2 User Guide, "Stop and start instances").
Somebody may have protected the instance against being stopped: the protection is lifted, and put back.
"""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.errors import Gone, Unsettled
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_aws.account import Account
from breakglass_aws.actions import ec2_instances
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ec2.stop_instances",
    capability=Capability.STOP_WORKLOADS,
    summary="stops the instance, also where it is protected against that; its memory is lost",
    permissions=(
        ec2_instances.GROUP_CALL,
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstances",
        "ec2:ModifyInstanceAttribute",
        "ec2:StopInstances",
    ),
    blast_radius="everything that runs on the instance; its public address changes if not an Elastic IP",
    reversibility=Reversibility.PARTIAL,
    undo="starts those instances again that ran before; memory and instance store stay lost",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    destroys_evidence="memory and instance store of the instance",
    example="aws.ec2.stop_instances instance/i-0123456789abcdef0",
    sources=(
        Source("settle", Authority.UNVERIFIED, "no time is published; the state is read until it is stopped"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon EC2 User Guide, Stop and start Amazon EC2 instances"),
        Source("destroys_evidence", Authority.VENDOR_TEXT, "Amazon EC2 User Guide, What happens on a stop"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ec2_stop.py"),
    ),
    service="ec2",
    undo_permissions=(
        ec2_instances.GROUP_CALL,
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeInstances",
        "ec2:ModifyInstanceAttribute",
        "ec2:StartInstances",
    ),
)
DEADLINE_S = 300.0
"""An operating system that does not shut down is cut off within minutes."""
_OFF = frozenset({"stopped", "terminated"})
_ON = frozenset({"running", "pending"})


class StopInstances:
    """One instance, or all instances of a group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read state and stop protection of each instance."""
        objects: dict[str, Json] = {}
        for one in ec2_instances.of(self._account, resource):
            name = one["InstanceId"]
            try:
                shown = self._account.call(
                    "ec2", "describe_instance_attribute", InstanceId=name, Attribute="disableApiStop"
                )
            except Gone:
                continue
            protected = bool(shown.get("DisableApiStop", {}).get("Value", False))
            objects[name] = {"state": one["State"]["Name"], "protected": protected}
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Stop each that runs; one that is on its way already is left to it."""
        for name, facts in _mappings(before).items():
            if facts["state"] not in _ON:
                continue
            if facts["protected"]:
                self._protect(name, on=False)
            try:
                self._account.call("ec2", "stop_instances", InstanceIds=[name])
            except Gone:
                continue

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether an instance is not stopped."""
        left = sorted(name for name, facts in _mappings(state).items() if facts["state"] not in _OFF)
        if left:
            words = ", ".join(f"{name} is {_mappings(state)[name]['state']}" for name in left[:5])
            return Judgement(Verdict.NOT_CONTAINED, words)
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "no such instance is there any more")
        return Judgement(Verdict.CONTAINED, f"all {len(state.objects)} instances are stopped")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it all
        """Start those that ran before, and protect those that were protected."""
        found = _mappings(now)
        outcomes = {
            name: self._put_back(name, was, found.get(name)) for name, was in _mappings(before).items()
        }
        return Reversal(outcomes, "those that ran before are started again; one that is gone was terminated")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: an instance that is stopped cannot be asked."""
        return None

    def _put_back(self, name: str, was: Mapping[str, Json], now: Mapping[str, Json] | None) -> Outcome:
        if now is None:
            return Outcome.DRIFTED
        if was["state"] in _ON and now["state"] == "stopping":
            raise Unsettled("is still on its way to being stopped", where=name)
        outcome = Outcome.ALREADY
        if was["state"] in _ON and now["state"] not in _ON:
            self._account.call("ec2", "start_instances", InstanceIds=[name])
            outcome = Outcome.RESTORED
        if was["protected"] and not now["protected"]:
            self._protect(name, on=True)
            outcome = Outcome.RESTORED
        return outcome

    def _protect(self, name: str, *, on: bool) -> None:
        self._account.call("ec2", "modify_instance_attribute", InstanceId=name, DisableApiStop={"Value": on})


def _mappings(state: State) -> dict[str, Mapping[str, Json]]:
    return {name: facts for name, facts in state.objects.items() if isinstance(facts, Mapping)}


def propose(account: Account, found: Found) -> Proposed:
    """Propose to stop the instances, once they are isolated, where the inventory says so."""
    if not account.settings.flag("stop_instances"):
        return Proposed()
    targets, _ = ec2_instances.targets(account, found)
    return Proposed(
        tuple(
            Proposal(
                key=f"stop_instances:{target.key}",
                action=SPEC.name,
                target=target.resource("EC2"),
                after=(
                    WaitFor(f"isolate_instances:{target.key}", 20),
                    WaitFor(f"suspend_processes:{target.group}", 10),
                ),
                settle_s=account.settle_s(SPEC),
                deadline_s=DEADLINE_S,
                affects=target.neighbours,
            )
            for target in targets
        )
    )


ACTION_CLASSES = (StopInstances,)
SPECS = (SPEC,)
