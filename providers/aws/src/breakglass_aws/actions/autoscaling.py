"""``aws.autoscaling.suspend_processes``: the group neither replaces nor ends the instances."""

from __future__ import annotations

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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions import ec2_instances
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.autoscaling.suspend_processes",
    capability=Capability.BLOCK_RELAUNCH,
    summary="suspends the processes by which the group launches, replaces and terminates instances",
    permissions=(ec2_instances.GROUP_CALL, "autoscaling:SuspendProcesses"),
    blast_radius="the group does not grow, shrink or heal while the stop lasts",
    reversibility=Reversibility.FULL,
    undo="resumes those processes that the stop suspended",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.autoscaling.suspend_processes group/support-bot",
    sources=(
        Source("settle", Authority.UNVERIFIED, "AWS publishes no time for it"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon EC2 Auto Scaling API reference, ResumeProcesses"),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Amazon EC2 Auto Scaling User Guide, Suspend and resume processes",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_autoscaling.py"),
    ),
    service="autoscaling",
    undo_permissions=(ec2_instances.GROUP_CALL, "autoscaling:ResumeProcesses"),
)
PROCESSES = (
    "Launch",
    "Terminate",
    "HealthCheck",
    "ReplaceUnhealthy",
    "AZRebalance",
    "AlarmNotification",
    "ScheduledActions",
    "InstanceRefresh",
)
"""All but AddToLoadBalancer, which launches and ends nothing."""
GROUP = "group"


class SuspendProcesses:
    """The processes of one group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read which processes are suspended; a group that is gone has none."""
        name = str(resource.params["group"])
        pages = self._account.pages(
            "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", AutoScalingGroupNames=[name]
        )
        for group in pages:
            suspended = {one["ProcessName"] for one in group.get("SuspendedProcesses", ())}
            objects: dict[str, Json] = {one: one in suspended for one in PROCESSES}
            objects[GROUP] = {"arn": group["AutoScalingGroupARN"]}
            return State(objects)
        return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Suspend those that are not."""
        wanted = [one for one in PROCESSES if before.objects.get(one) is False]
        if wanted:
            self._account.call(
                "autoscaling",
                "suspend_processes",
                AutoScalingGroupName=resource.params["group"],
                ScalingProcesses=wanted,
            )

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a process works."""
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "the group is not there any more")
        working = [one for one in PROCESSES if state.objects.get(one) is not True]
        if working:
            return Judgement(Verdict.NOT_CONTAINED, f"still at work: {', '.join(working)}")
        return Judgement(Verdict.CONTAINED, "the group launches, replaces and ends no instance")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Resume those that worked before."""
        if now.objects.get(GROUP) != before.objects.get(GROUP):
            drifted = dict.fromkeys(before.objects, Outcome.DRIFTED)
            return Reversal(drifted, "the group is gone, or another one of its name")
        ours = [one for one in PROCESSES if before.objects.get(one) is False and now.objects.get(one) is True]
        if ours:
            try:
                self._account.call(
                    "autoscaling",
                    "resume_processes",
                    AutoScalingGroupName=resource.params["group"],
                    ScalingProcesses=ours,
                )
            except Gone:
                return Reversal(dict.fromkeys(before.objects, Outcome.DRIFTED), "the group is gone")
        outcomes = {key: Outcome.RESTORED if key in ours else Outcome.ALREADY for key in before.objects}
        return Reversal(outcomes, "only what the stop suspended is resumed")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: whether a group would launch cannot be asked."""
        return None


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each group that is there; instances of a group have steps of their own."""
    there = ec2_instances.groups_instances(account, found.of("auto_scaling_groups"))
    return Proposed(
        tuple(
            Proposal(
                key=f"suspend_processes:{name}",
                action=SPEC.name,
                target=Resource(
                    "aws-auto-scaling-group", f"group/{name}", f"Auto Scaling group {name}", {"group": name}
                ),
                settle_s=account.settle_s(SPEC),
            )
            for name in found.of("auto_scaling_groups")
            if name in there
        )
    )


ACTION_CLASSES = (SuspendProcesses,)
SPECS = (SPEC,)
