"""``aws.ec2.snapshot_volumes``: one set of snapshots of all volumes of each instance, as of the call.

The set is consistent as after a crash and is of the moment of the call, also while it is still pending
(Amazon EBS User Guide, "Create Amazon EBS snapshots"): it counts as taken then. CreateSnapshots takes no
client token, so the incident's tag is looked for first, and no second set is made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
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
from breakglass_aws.actions.ec2_groups import TAG
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ec2.snapshot_volumes",
    capability=Capability.SNAPSHOT_LOGS,
    summary="takes a snapshot of every EBS volume of the instance, tagged with the incident",
    permissions=(
        ec2_instances.GROUP_CALL,
        "ec2:CreateSnapshots",
        "ec2:CreateTags",
        "ec2:DescribeInstances",
        "ec2:DescribeSnapshots",
    ),
    blast_radius="none; the snapshots cost what they hold until somebody deletes them",
    reversibility=Reversibility.FULL,
    undo="nothing of the agent's was changed; the snapshots stay as evidence",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="aws.ec2.snapshot_volumes instance/i-0123456789abcdef0",
    sources=(
        Source(
            "settle", Authority.VENDOR_TEXT, "Amazon EBS User Guide: a snapshot is of the time of the call"
        ),
        Source(
            "effect", Authority.VENDOR_TEXT, "Amazon EC2 API reference, CreateSnapshots: crash-consistent"
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ec2_snapshots.py"),
    ),
    service="ec2",
)
GOOD = frozenset({"pending", "completed", "recoverable", "recovering"})


class SnapshotVolumes:
    """The EBS volumes of one instance, or of all instances of a group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read each volume of the instances with the snapshot that this incident has of it."""
        taken = self._taken()
        objects: dict[str, Json] = {}
        for instance in ec2_instances.of(self._account, resource):
            for mapping in instance.get("BlockDeviceMappings", ()):
                volume = mapping.get("Ebs", {}).get("VolumeId")
                if volume:
                    objects[volume] = {
                        "instance": instance["InstanceId"],
                        "device": mapping["DeviceName"],
                        "snapshot": taken.get(volume, ""),
                    }
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Take one set of each instance that has a volume without one, and write down what was taken."""
        lacking = {
            str(facts["instance"])
            for facts in before.objects.values()
            if isinstance(facts, Mapping) and not facts["snapshot"]
        }
        tags = [{"Key": TAG, "Value": self._account.connection.incident}]
        for instance in sorted(lacking):
            answer = self._account.call(
                "ec2",
                "create_snapshots",
                InstanceSpecification={"InstanceId": instance, "ExcludeBootVolume": False},
                Description=f"breakglass {self._account.connection.incident}"[:255],
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}],
            )
            self._note(instance, answer)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a volume has no snapshot."""
        lacking = sorted(
            name
            for name, facts in state.objects.items()
            if isinstance(facts, Mapping) and not facts["snapshot"]
        )
        if lacking:
            return Judgement(Verdict.NOT_CONTAINED, f"no snapshot yet of {', '.join(lacking[:5])}")
        return Judgement(Verdict.CONTAINED, f"a snapshot was taken of each of {len(state.objects)} volumes")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing was changed
        """Leave the snapshots where they are: they are evidence."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "snapshots stay as evidence")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: evidence is not tried."""
        return None

    def _taken(self) -> dict[str, str]:
        filters = [{"Name": f"tag:{TAG}", "Values": [self._account.connection.incident]}]
        pages = self._account.pages(
            "ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], Filters=filters
        )
        return {one["VolumeId"]: one["SnapshotId"] for one in pages if one["State"] in GOOD}

    def _note(self, instance: str, answer: Mapping[str, Any]) -> None:
        rows = [
            {
                "snapshot": one["SnapshotId"],
                "volume": one["VolumeId"],
                "state": one.get("State", ""),
                "started": one["StartTime"].isoformat() if "StartTime" in one else "",
                "encrypted": bool(one.get("Encrypted", False)),
            }
            for one in answer["Snapshots"]
        ]
        lines = (json.dumps({"instance": instance, **row}, sort_keys=True).encode() + b"\n" for row in rows)
        self._account.connection.evidence.put(
            f"aws/{self._account.id}-{self._account.region}/snapshots-{instance}.jsonl",
            f"ec2:CreateSnapshots of {instance}",
            lines,
        )


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each instance and each group of instances."""
    targets, _ = ec2_instances.targets(account, found)
    return Proposed(
        tuple(
            Proposal(
                key=f"snapshot_volumes:{target.key}",
                action=SPEC.name,
                target=target.resource("volumes of"),
                settle_s=account.settle_s(SPEC),
            )
            for target in targets
        )
    )


ACTION_CLASSES = (SnapshotVolumes,)
SPECS = (SPEC,)
