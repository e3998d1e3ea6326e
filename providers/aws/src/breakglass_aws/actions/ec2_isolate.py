"""``aws.ec2.isolate_instances``: every network interface of the instances, those included that come later.

Each interface gets the group that lets everything through, and at once the group without rules: a flow that
was tracked only because of narrow rules is untracked under the first and dies under the second (Amazon EC2
User Guide, "Security group connection tracking"; the runbook AWSSupport-ContainEC2Instance does the same).
Groups are set interface by interface: ModifyInstanceAttribute reaches the primary one alone.
"""

from __future__ import annotations

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
from breakglass_aws.actions import ec2_groups, ec2_instances
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ec2.isolate_instances",
    capability=Capability.CUT_EGRESS,
    summary=(
        "puts every network interface of the instance into a group that lets everything through, for a"
        " moment, and then into one that lets nothing through, also one that is attached during the stop"
    ),
    permissions=(
        ec2_instances.GROUP_CALL,
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateSecurityGroup",
        "ec2:CreateTags",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:ModifyNetworkInterfaceAttribute",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ),
    blast_radius="everything else that runs on the instance; for a moment all ports of it can be reached",
    reversibility=Reversibility.FULL,
    undo="puts each interface back into its own groups, and deletes the two groups that were made",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.ec2.isolate_instances instance/i-0123456789abcdef0",
    sources=(
        Source("settle", Authority.UNVERIFIED, "AWS publishes no time for a change of groups"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon EC2 API reference, ModifyNetworkInterfaceAttribute"),
        Source("effect", Authority.VENDOR_TEXT, "Amazon EC2 User Guide, Security group connection tracking"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ec2_isolate.py"),
    ),
    service="ec2",
    undo_permissions=(
        ec2_instances.GROUP_CALL,
        "ec2:DeleteSecurityGroup",
        "ec2:DescribeInstances",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSecurityGroups",
        "ec2:ModifyNetworkInterfaceAttribute",
    ),
)
INSTANCE = "instance:"
GROUPS = "groups:"


class IsolateInstances:
    """The network interfaces of one instance, or of all instances of a group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the instances, their interfaces with their groups, and our own groups with their rules."""
        instances = ec2_instances.of(self._account, resource)
        objects: dict[str, Json] = {
            f"{INSTANCE}{one['InstanceId']}": {"state": one["State"]["Name"]} for one in instances
        }
        filters = "attachment.instance-id"
        vpcs: dict[str, None] = {}
        for face in self._interfaces(filters, [one["InstanceId"] for one in instances]):
            objects[face["NetworkInterfaceId"]] = _facts(face)
            vpcs[face["VpcId"]] = None
        for vpc in vpcs:
            for kind, shown in ec2_groups.read(self._account, vpc).items():
                objects[f"{GROUPS}{kind}:{vpc}"] = shown
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Make both groups ready, then move each interface that is not isolated through them."""
        for vpc in sorted({str(face["vpc"]) for face in _faces(before).values()}):
            # Also where all interfaces are in: somebody may have given the group a rule.
            shut = ec2_groups.ready(self._account, ec2_groups.ISOLATION, vpc)
            mine = [
                one for one, face in _faces(before).items() if face["vpc"] == vpc and face["groups"] != [shut]
            ]
            if not mine:
                continue
            through = ec2_groups.ready(self._account, ec2_groups.OPEN, vpc)
            for face in mine:
                self._move(face, [through])
                self._move(face, [shut])

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether every interface is in a group that lets nothing through, and in no other."""
        faces = _faces(state)
        for name, face in faces.items():
            shut = state.objects.get(f"{GROUPS}{ec2_groups.ISOLATION}:{face['vpc']}")
            if not isinstance(shut, Mapping) or face["groups"] != [shut["id"]]:
                return Judgement(Verdict.NOT_CONTAINED, f"interface {name} is not isolated")
            if not ec2_groups.is_shut(shut):
                return Judgement(Verdict.NOT_CONTAINED, f"the isolation group {shut['id']} has rules")
        alone = sorted(_instances(state) - {str(face["instance"]) for face in faces.values()})
        if alone:
            return Judgement(Verdict.UNKNOWN, f"no interface is seen of {', '.join(alone)[:200]}", Grade.NONE)
        if not faces:
            return Judgement(Verdict.CONTAINED, "the instance is not there any more")
        return Judgement(Verdict.CONTAINED, f"all {len(faces)} interfaces are in a group without rules")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - interfaces may have moved
        """Put each interface that is still as the stop left it back into its groups, then delete ours."""
        faces = _faces(before)
        found = {one["NetworkInterfaceId"]: one for one in self._interfaces("network-interface-id", [*faces])}
        own = {
            str(shown["id"])
            for vpc in {str(face["vpc"]) for face in faces.values()}
            for shown in ec2_groups.read(self._account, vpc).values()
            if isinstance(shown, Mapping)
        }
        outcomes = {name: self._put_back(name, face, found.get(name), own) for name, face in faces.items()}
        for key in before.objects:
            if key.startswith(GROUPS):
                _, kind, vpc = key.split(":", 2)
                removed = ec2_groups.remove(self._account, kind, vpc)
                outcomes[key] = Outcome.RESTORED if removed else Outcome.ALREADY
        return Reversal(
            outcomes, "a group that another interface still uses stays until that one is restored"
        )

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the executor is not on the instance."""
        return None

    def _put_back(
        self, name: str, was: Mapping[str, Json], now: Mapping[str, Any] | None, own: set[str]
    ) -> Outcome:
        groups = [str(one) for one in was["groups"]] if isinstance(was["groups"], list) else []
        if now is None:
            return Outcome.DRIFTED
        have = sorted(group["GroupId"] for group in now["Groups"])
        if have == sorted(groups):
            return Outcome.ALREADY
        if len(have) != 1 or have[0] not in own:
            return Outcome.DRIFTED
        try:
            self._move(name, groups)
        except Gone:
            return Outcome.DRIFTED
        return Outcome.RESTORED

    def _move(self, face: str, groups: list[str]) -> None:
        self._account.call(
            "ec2", "modify_network_interface_attribute", NetworkInterfaceId=face, Groups=groups
        )

    def _interfaces(self, by: str, values: list[str]) -> list[Mapping[str, Any]]:
        return [
            face
            for some in ec2_instances.chunks(values)
            for face in self._account.pages(
                "ec2",
                "describe_network_interfaces",
                "NetworkInterfaces",
                Filters=[{"Name": by, "Values": some}],
            )
        ]


def _facts(face: Mapping[str, Any]) -> Json:
    return {
        "instance": face["Attachment"]["InstanceId"],
        "attachment": face["Attachment"].get("AttachmentId", ""),
        "vpc": face["VpcId"],
        "subnet": face["SubnetId"],
        "groups": [group["GroupId"] for group in face["Groups"]],
    }


def _faces(state: State) -> dict[str, Mapping[str, Json]]:
    """Return the network interfaces of a state."""
    return {
        key: value
        for key, value in state.objects.items()
        if isinstance(value, Mapping) and not key.startswith((INSTANCE, GROUPS))
    }


def _instances(state: State) -> set[str]:
    return {key.removeprefix(INSTANCE) for key in state.objects if key.startswith(INSTANCE)}


def propose(account: Account, found: Found) -> Proposed:
    """Propose to isolate each instance and each group of instances."""
    targets, gone = ec2_instances.targets(account, found)
    proposals = tuple(
        Proposal(
            key=f"isolate_instances:{target.key}",
            action=SPEC.name,
            target=target.resource("network interfaces of"),
            settle_s=account.settle_s(SPEC),
            affects=target.neighbours,
        )
        for target in targets
    )
    return Proposed(
        proposals, not_touched=tuple(NotTouched(name, "there is none of this name") for name in gone)
    )


ACTION_CLASSES = (IsolateInstances,)
SPECS = (SPEC,)
