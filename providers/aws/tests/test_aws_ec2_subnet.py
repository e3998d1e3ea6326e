"""A subnet that is closed whole: an ACL that lets nothing through, and its own one back."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Verdict
from breakglass.provider import Action, Outcome, Proposal
from breakglass_aws.actions import ec2_subnet
from providers.aws.tests.rig_aws import Rig, close, proposal, undo
from providers.aws.tests.rig_workloads import instance, network, plain


def _found(rig: Rig, subnet: str, **settings: Any) -> tuple[Action, Proposal]:  # noqa: ANN401 - keys of a reach
    provider = rig.provider(nacl_subnets=[subnet], **settings)
    found = proposal(provider, ec2_subnet.SPEC.name)
    return provider.actions[found.action], found


def _acls(rig: Rig) -> dict[str, Any]:
    """Return all ACLs; an association has a new id whenever it is replaced, on the real service too."""
    answer = plain(rig.boto("ec2").describe_network_acls())
    for acl in answer["NetworkAcls"]:
        for bound in acl["Associations"]:
            bound.pop("NetworkAclAssociationId")
        acl["Associations"].sort(key=lambda bound: bound["SubnetId"])
    return answer


def _of(rig: Rig, subnet: str) -> Any:  # noqa: ANN401 - boto3 has no types
    filters = [{"Name": "association.subnet-id", "Values": [subnet]}]
    return rig.boto("ec2").describe_network_acls(Filters=filters)["NetworkAcls"][0]


def test_the_subnet_is_closed_and_gets_its_own_acl_back(rig: Rig) -> None:
    """The neighbours in it are named in the plan; the ACL that was made is gone afterwards."""
    _, subnet, group = network(rig)
    bot, other = instance(rig, subnet, group), instance(rig, subnet, group)
    before = _acls(rig)
    action, found = _found(rig, subnet, instances=[bot])

    prior, _ = close(action, found.target)
    shut = _of(rig, subnet)

    assert [one for one in shut["Entries"] if one["RuleAction"] == "allow"] == []
    assert len(found.affects) == 1
    assert other
    assert undo(action, found.target, prior).objects == {
        "association": Outcome.RESTORED,
        "closing": Outcome.RESTORED,
    }
    assert before == _acls(rig)
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.ALREADY}


def test_rules_that_somebody_gives_our_acl_are_taken_out_again(rig: Rig) -> None:
    """So is another ACL that somebody gives the subnet."""
    vpc, subnet, _ = network(rig)
    action, found = _found(rig, subnet)
    close(action, found.target)
    ec2, shut = rig.boto("ec2"), _of(rig, subnet)
    ec2.create_network_acl_entry(
        NetworkAclId=shut["NetworkAclId"],
        RuleNumber=5,
        Protocol="-1",
        RuleAction="allow",
        Egress=True,
        CidrBlock="0.0.0.0/0",
    )
    opened = action.judge(found.target, action.observe(found.target))
    close(action, found.target)
    usual = next(
        acl["NetworkAclId"]
        for acl in ec2.describe_network_acls()["NetworkAcls"]
        if acl["IsDefault"] and acl["VpcId"] == vpc
    )
    bound = _of(rig, subnet)["Associations"][0]["NetworkAclAssociationId"]
    ec2.replace_network_acl_association(AssociationId=bound, NetworkAclId=usual)
    replaced = action.judge(found.target, action.observe(found.target))
    _, state = close(action, found.target)

    assert [opened.verdict, replaced.verdict] == [Verdict.NOT_CONTAINED] * 2
    assert action.judge(found.target, state).verdict is Verdict.CONTAINED


def test_an_acl_that_others_gave_the_subnet_since_stays(rig: Rig) -> None:
    """Ours is left where it is, so that nothing is opened that was not looked at."""
    vpc, subnet, _ = network(rig)
    action, found = _found(rig, subnet)
    prior, _ = close(action, found.target)
    ec2 = rig.boto("ec2")
    theirs = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    bound = _of(rig, subnet)["Associations"][0]
    ec2.replace_network_acl_association(AssociationId=bound["NetworkAclAssociationId"], NetworkAclId=theirs)

    assert undo(action, found.target, prior).objects["association"] is Outcome.DRIFTED
    assert _of(rig, subnet)["NetworkAclId"] == theirs


def test_only_subnets_that_the_inventory_names_are_closed(rig: Rig) -> None:
    """One that is not there is named as not touched."""
    found = rig.provider(nacl_subnets=["subnet-0123456789abcdef0"]).discover()

    assert "subnet subnet-0123456789abcdef0" in [one.resource for one in found.not_touched]
    assert [one for one in found.proposals if one.action == ec2_subnet.SPEC.name] == []
