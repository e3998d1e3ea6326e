"""``aws.ec2.close_subnet``: a network ACL that denies all, for a subnet that the inventory lets us close.

A network ACL keeps no state, so it ends flows that a security group lets live on (Amazon VPC User Guide,
"Control subnet traffic with network access control lists"). It sees only what crosses the subnet's edge, and
never what goes to the resolver of the VPC, the metadata service, DHCP or the time service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Transient
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
from breakglass_aws.actions.ec2_groups import TAG
from breakglass_aws.found import Found

SPEC = ActionSpec(
    name="aws.ec2.close_subnet",
    capability=Capability.CUT_EGRESS,
    summary="gives the subnet a network ACL that denies everything, so that flows through its edge end",
    permissions=(
        "ec2:CreateNetworkAcl",
        "ec2:CreateTags",
        "ec2:DeleteNetworkAclEntry",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:ReplaceNetworkAclAssociation",
    ),
    blast_radius="everything else in the subnet",
    reversibility=Reversibility.FULL,
    undo="gives the subnet its own network ACL back and deletes the one that was made",
    settle_s=5,
    best_grade=Grade.READ_BACK,
    example="aws.ec2.close_subnet subnet/subnet-0123456789abcdef0",
    sources=(
        Source("settle", Authority.UNVERIFIED, "AWS publishes no time for a change of network ACLs"),
        Source("undo", Authority.VENDOR_TEXT, "Amazon EC2 API reference, ReplaceNetworkAclAssociation"),
        Source("effect", Authority.VENDOR_TEXT, "Amazon VPC User Guide, Network ACLs: they are stateless"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_ec2_subnet.py"),
    ),
    service="ec2",
    undo_permissions=(
        "ec2:DeleteNetworkAcl",
        "ec2:DescribeNetworkAcls",
        "ec2:ReplaceNetworkAclAssociation",
    ),
)
SUBNET_TAG = "breakglass.dev/subnet"
ASSOCIATION = "association"
CLOSING = "closing"
LAST_RULE = 32767
"""The rule that denies what no other rule names; it can be neither deleted nor changed."""


class CloseSubnet:
    """The network ACL of one subnet."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read which ACL the subnet has, what it lets through, and ours; a subnet that is gone has none."""
        subnet = str(resource.params["subnet"])
        of_subnet = self._acls({"association.subnet-id": subnet})
        if not of_subnet:
            return State({})
        acl = of_subnet[0]
        mine = self._acls({f"tag:{TAG}": self._account.connection.incident, f"tag:{SUBNET_TAG}": subnet})
        bound = next(one for one in acl["Associations"] if one["SubnetId"] == subnet)
        return State(
            {
                # The association gets a new id whenever it is replaced: what is put back is the ACL.
                ASSOCIATION: {
                    "id": bound["NetworkAclAssociationId"],
                    "acl": acl["NetworkAclId"],
                    "allows": len(_allowing(acl)),
                },
                CLOSING: {"id": mine[0]["NetworkAclId"]} if mine else None,
            }
        )

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Make an ACL without rules, or take the rules that somebody gave it, and give it to the subnet."""
        closing = before.objects.get(CLOSING)
        acl = str(closing["id"]) if isinstance(closing, Mapping) else self._make(resource, token)
        for entry in self._allowed_by(acl):
            self._account.call(
                "ec2",
                "delete_network_acl_entry",
                NetworkAclId=acl,
                RuleNumber=entry["RuleNumber"],
                Egress=entry["Egress"],
            )
        bound = before.objects[ASSOCIATION]
        if isinstance(bound, Mapping) and bound["acl"] != acl:
            self._associate(str(bound["id"]), acl)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether the subnet's ACL lets anything through."""
        bound = state.objects.get(ASSOCIATION)
        if not isinstance(bound, Mapping):
            return Judgement(Verdict.CONTAINED, "the subnet is not there any more")
        if bound["allows"]:
            return Judgement(Verdict.NOT_CONTAINED, f"{bound['acl']} has {bound['allows']} rules that allow")
        return Judgement(Verdict.CONTAINED, f"{bound['acl']} lets nothing in or out of the subnet")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the states say it all
        """Give the subnet its ACL back, where it still has ours, and delete ours."""
        was, bound = before.objects.get(ASSOCIATION), now.objects.get(ASSOCIATION)
        closing = now.objects.get(CLOSING)
        ours = str(closing["id"]) if isinstance(closing, Mapping) else ""
        outcomes: dict[str, Outcome] = {}
        if not isinstance(was, Mapping):
            return Reversal(outcomes, "the subnet was not there")
        outcomes[ASSOCIATION] = self._put_back(was, bound, ours)
        outcomes[CLOSING] = Outcome.ALREADY
        if ours and outcomes[ASSOCIATION] is not Outcome.DRIFTED and before.objects.get(CLOSING) is None:
            self._account.call("ec2", "delete_network_acl", NetworkAclId=ours)
            outcomes[CLOSING] = Outcome.RESTORED
        return Reversal(outcomes, "the subnet has its own network ACL")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: the executor is not in the subnet."""
        return None

    def _put_back(self, was: Mapping[str, Json], now: Json, ours: str) -> Outcome:
        if not isinstance(now, Mapping):
            return Outcome.DRIFTED
        if now["acl"] == was["acl"]:
            return Outcome.ALREADY
        if now["acl"] != ours:
            return Outcome.DRIFTED
        try:
            self._associate(str(now["id"]), str(was["acl"]))
        except Gone:
            return Outcome.DRIFTED
        return Outcome.RESTORED

    def _make(self, resource: Resource, token: str) -> str:
        tags = {TAG: self._account.connection.incident, SUBNET_TAG: str(resource.params["subnet"])}
        answer = self._account.call(
            "ec2",
            "create_network_acl",
            VpcId=resource.params["vpc"],
            ClientToken=token[:64],
            TagSpecifications=[
                {
                    "ResourceType": "network-acl",
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
            ],
        )
        return str(answer["NetworkAcl"]["NetworkAclId"])

    def _associate(self, association: str, acl: str) -> None:
        try:
            self._account.call(
                "ec2", "replace_network_acl_association", AssociationId=association, NetworkAclId=acl
            )
        except Gone as error:
            if "AssociationID" in error.what:
                # Somebody replaced it meanwhile: it has another id now.
                raise Transient("the subnet's ACL changed meanwhile", where=association) from error
            raise

    def _allowed_by(self, acl: str) -> list[Mapping[str, Any]]:
        pages = self._account.pages("ec2", "describe_network_acls", "NetworkAcls", NetworkAclIds=[acl])
        return [entry for one in pages for entry in _allowing(one)]

    def _acls(self, by: Mapping[str, str]) -> list[Mapping[str, Any]]:
        filters = [{"Name": name, "Values": [value]} for name, value in by.items()]
        return list(self._account.pages("ec2", "describe_network_acls", "NetworkAcls", Filters=filters))


def _allowing(acl: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in acl["Entries"] if one["RuleAction"] != "deny" and one["RuleNumber"] != LAST_RULE]


def neighbours(account: Account, subnet: str) -> list[Mapping[str, Any]]:
    """Return the network interfaces in a subnet."""
    filters = [{"Name": "subnet-id", "Values": [subnet]}]
    return list(account.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters))


def propose(account: Account, found: Found) -> Proposed:
    """Propose to close those subnets, and only those, that the inventory names."""
    proposals: list[Proposal] = []
    left: list[NotTouched] = []
    for subnet in found.of("nacl_subnets"):
        filters = [{"Name": "subnet-id", "Values": [subnet]}]
        there = list(account.pages("ec2", "describe_subnets", "Subnets", Filters=filters))
        if not there:
            left.append(NotTouched(f"subnet {subnet}", "there is none of this name"))
            continue
        own = set(found.of("instances"))
        others = [
            f"{face['NetworkInterfaceId']} {face.get('Description', '')}".strip()
            for face in neighbours(account, subnet)
            if face.get("Attachment", {}).get("InstanceId") not in own
        ]
        proposals.append(
            Proposal(
                key=f"close_subnet:{subnet}",
                action=SPEC.name,
                target=Resource(
                    "aws-subnet",
                    f"subnet/{subnet}",
                    f"subnet {subnet}, whole",
                    {"subnet": subnet, "vpc": there[0]["VpcId"]},
                ),
                settle_s=account.settle_s(SPEC),
                affects=tuple(others),
            )
        )
    return Proposed(tuple(proposals), not_touched=tuple(left))


ACTION_CLASSES = (CloseSubnet,)
SPECS = (SPEC,)
