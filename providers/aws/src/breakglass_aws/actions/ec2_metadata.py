"""``aws.ec2.disable_metadata``: the instances get no new credential of their role from the metadata service.

It counts as withholding, not as revoking: a credential that was fetched before stays good for up to six hours
(IAM User Guide, "Using an IAM role to grant permissions to applications running on Amazon EC2 instances");
the role's deny is what ends those.
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws.account import Account
from breakglass_aws.actions import ec2_instances
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ec2.disable_metadata",
    capability=Capability.REVOKE_CREDENTIALS,
    summary=(
        "turns the metadata service of the instance off, so that nothing on it gets new credentials of its"
        " role; those that it has already live on for up to six hours: the role's deny ends them"
    ),
    permissions=(ec2_instances.GROUP_CALL, "ec2:DescribeInstances", "ec2:ModifyInstanceMetadataOptions"),
    blast_radius="every program on the instance that uses its role or reads its metadata",
    reversibility=Reversibility.FULL,
    undo="turns it on again with the options that it had",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.ec2.disable_metadata instance/i-0123456789abcdef0",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "Amazon EC2 API reference: MetadataOptions State is applied"),
        Source(
            "undo",
            Authority.VENDOR_TEXT,
            "Amazon EC2 API reference, ModifyInstanceMetadataOptions: options kept",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ec2_metadata.py"),
    ),
    service="ec2",
    withholds_only=True,
)
OPTIONS = (
    "HttpEndpoint",
    "HttpTokens",
    "HttpPutResponseHopLimit",
    "HttpProtocolIpv6",
    "InstanceMetadataTags",
)
OFF = "disabled"


class DisableMetadata:
    """The metadata service of one instance, or of all instances of a group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read the options of each instance."""
        return State(
            {one["InstanceId"]: _facts(one) for one in ec2_instances.of(self._account, resource)},
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Turn it off where it is on."""
        for name, options in _mappings(before).items():
            if options.get("HttpEndpoint") != OFF:
                try:
                    self._set(name, {"HttpEndpoint": OFF})
                except Gone:
                    continue

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether it answers anywhere, or has not been told yet."""
        for name, options in sorted(_mappings(state).items()):
            if options.get("HttpEndpoint") != OFF:
                return Judgement(Verdict.NOT_CONTAINED, f"the metadata service of {name} answers")
            if options.get("State") != "applied":
                return Judgement(Verdict.NOT_CONTAINED, f"the change is not applied yet on {name}")
        if not state.objects:
            return Judgement(Verdict.CONTAINED, "no such instance is there any more")
        return Judgement(Verdict.CONTAINED, "it gives no new credentials; old ones end with the role's deny")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it all
        """Turn it on again where it was on, with what options it had."""
        found = _mappings(now)
        outcomes: dict[str, Outcome] = {}
        for name, was in _mappings(before).items():
            have = found.get(name)
            if have is None:
                outcomes[name] = Outcome.DRIFTED
            elif have.get("HttpEndpoint") == was.get("HttpEndpoint"):
                outcomes[name] = Outcome.ALREADY
            else:
                self._set(name, {"HttpEndpoint": was["HttpEndpoint"], **_lost(was, have)})
                outcomes[name] = Outcome.RESTORED
        return Reversal(outcomes, "the service answers where it did; an instance that is gone was terminated")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the executor is not on the instance."""
        return None

    def _set(self, name: str, options: Mapping[str, Any]) -> None:
        self._account.call("ec2", "modify_instance_metadata_options", InstanceId=name, **options)


def _lost(was: Mapping[str, Json], now: Mapping[str, Json]) -> dict[str, Json]:
    """Return the options that the change dropped."""
    return {key: was[key] for key in OPTIONS if key in was and key not in now and key != "HttpEndpoint"}


def _facts(instance: Mapping[str, Any]) -> Json:
    options = instance.get("MetadataOptions") or {}
    return {key: options[key] for key in ("State", *OPTIONS) if options.get(key) is not None}


def _mappings(state: State) -> dict[str, Mapping[str, Json]]:
    return {name: options for name, options in state.objects.items() if isinstance(options, Mapping)}


def propose(account: Account, found: Found) -> Proposed:
    """Propose it for each instance and each group of instances."""
    targets, _ = ec2_instances.targets(account, found)
    return Proposed(
        tuple(
            Proposal(
                key=f"disable_metadata:{target.key}",
                action=SPEC.name,
                target=target.resource("metadata service of"),
                settle_s=account.settle_s(SPEC),
                affects=target.neighbours,
            )
            for target in targets
        )
    )


ACTION_CLASSES = (DisableMetadata,)
SPECS = (SPEC,)
