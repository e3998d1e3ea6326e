"""An SCP names the agent's principals, or a tag puts them under a standing one; both go back as they were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass.model.resource import Resource
from breakglass.provider import Outcome
from breakglass_aws.actions import class_scp, class_tag
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import TRUST, planned, proposed
from providers.aws.tests.rig_aws import Rig, close, undo

AGENT = Found({"roles": ("bot",)})
BOT = "arn:aws:iam::123456789012:role/bot"
EXECUTOR = "arn:aws:iam::123456789012:role/breakglass"
FULL = '{ "Version": "2012-10-17", "Statement": {"Effect":"Allow","Action":"*","Resource":"*"} }'


def _role(rig: Rig) -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=TRUST, Tags=[{"Key": "stage", "Value": "x"}])
    return iam


def test_the_scp_gets_a_deny_that_spares_the_executor_and_keeps_what_it_had() -> None:
    """Another incident's principals stay in the list."""
    once = class_scp.extended(FULL, [BOT], EXECUTOR)
    twice = json.loads(class_scp.extended(once, [f"{BOT}-2"], EXECUTOR))

    allow, deny = twice["Statement"]
    assert allow == json.loads(FULL)["Statement"]
    assert deny["Condition"] == {
        "ArnLike": {"aws:PrincipalArn": [BOT, f"{BOT}-2"]},
        "ArnNotLike": {"aws:PrincipalArn": [EXECUTOR]},
    }
    assert class_scp.extended(once, [BOT], EXECUTOR) == once


def test_an_scp_that_would_be_too_long_is_refused() -> None:
    """5,120 characters, and then nothing is changed."""
    with pytest.raises(ProviderError, match="5120 is the most"):
        class_scp.extended(FULL, [f"{BOT}-{n:03}" for n in range(120)], EXECUTOR)
    with pytest.raises(ProviderError, match="no policy"):
        class_scp.extended("[]", [BOT], EXECUTOR)


def test_an_executor_outside_of_the_management_account_leaves_the_scp_alone(rig: Rig) -> None:
    """The calls are the management account's: the plan says so, and the single denies stay."""
    _role(rig)
    found = proposed(rig, AGENT, class_scp="p-abcd1234")
    assert [one.resource for one in found.not_touched] == ["SCP p-abcd1234"]
    assert {one.key for one in found.proposals} == {"deny_role:bot", "deny_new_sessions:bot"}


def test_the_management_account_itself_is_never_reached_by_an_scp(rig: Rig) -> None:
    """An SCP there would look like a stop and be none."""
    _role(rig)
    organizations = rig.boto("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    made = organizations.create_policy(
        Name="agents", Description="x", Type="SERVICE_CONTROL_POLICY", Content=FULL
    )
    found = proposed(rig, AGENT, class_scp=made["Policy"]["PolicySummary"]["Id"])
    assert "management account" in found.not_touched[0].reason


def test_the_class_tag_is_set_and_goes_again_without_touching_other_tags(rig: Rig) -> None:
    """A value that stood there comes back."""
    iam = _role(rig)
    iam.tag_role(RoleName="bot", Tags=[{"Key": "breakglass", "Value": "no"}])
    action, target = planned(rig, class_tag.SPEC.name, AGENT, class_tag="breakglass=contained")

    prior, _ = close(action, target)

    assert {"Key": "breakglass", "Value": "contained"} in iam.list_role_tags(RoleName="bot")["Tags"]
    assert [*undo(action, target, prior).objects.values()] == [Outcome.RESTORED]
    tags = {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName="bot")["Tags"]}
    assert tags == {"stage": "x", "breakglass": "no"}


def test_a_class_tag_that_was_not_there_is_removed(rig: Rig) -> None:
    """And one that somebody changed since is left alone."""
    iam = _role(rig)
    action, target = planned(rig, class_tag.SPEC.name, AGENT, class_tag="breakglass=contained")
    prior, _ = close(action, target)
    undo(action, target, prior)
    assert [tag["Key"] for tag in iam.list_role_tags(RoleName="bot")["Tags"]] == ["stage"]

    again, _ = close(action, target)
    iam.tag_role(RoleName="bot", Tags=[{"Key": "breakglass", "Value": "other"}])
    assert [*undo(action, target, again).objects.values()] == [Outcome.DRIFTED]


def test_the_scps_text_comes_back_byte_for_byte(rig: Rig) -> None:
    """And one that others changed since is left alone."""
    organizations = rig.boto("organizations")
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    made = organizations.create_policy(
        Name="agents", Description="x", Type="SERVICE_CONTROL_POLICY", Content=FULL
    )
    scp = made["Policy"]["PolicySummary"]["Id"]
    action = rig.provider().actions[class_scp.SPEC.name]
    target = Resource("aws-scp", scp, "the SCP", {"scp": scp, "principals": [BOT], "executor": EXECUTOR})

    prior, _ = close(action, target)

    assert BOT in str(action.observe(target).objects["content"])
    assert [*undo(action, target, prior).objects.values()] == [Outcome.RESTORED]
    assert action.observe(target).objects == {"content": FULL}
    prior, _ = close(action, target)
    organizations.update_policy(PolicyId=scp, Content=FULL.replace("Allow", "Deny"))
    assert [*undo(action, target, prior).objects.values()] == [Outcome.DRIFTED]
