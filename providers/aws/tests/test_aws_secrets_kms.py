"""Secrets and keys: the agent's principals are refused, everybody else is not, and the policy comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_aws.actions import kms, secrets
from providers.aws.tests.rig_aws import Rig, close, proposal, undo

AGENT_USER = "user/bot"


def _user(rig: Rig, name: str) -> dict[str, str]:
    """Make a user who may read every secret and use every key; return keys."""
    iam = rig.boto("iam")
    iam.create_user(UserName=name)
    everything = {"Effect": "Allow", "Action": ["secretsmanager:*", "kms:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [everything]})
    iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=document)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AccessKeyId": made["AccessKeyId"], "SecretAccessKey": made["SecretAccessKey"]}


def _read(rig: Rig, keys: dict[str, str]) -> str:
    return str(rig.boto("secretsmanager", keys).get_secret_value(SecretId="stripe")["SecretString"])


def _policy(rig: Rig) -> Any:  # noqa: ANN401 - a text or nothing
    return rig.boto("secretsmanager").get_resource_policy(SecretId="stripe").get("ResourcePolicy")


@pytest.mark.parametrize("prior", [None, '{ "Version": "2012-10-17",\n "Statement": [] }'])
def test_the_agent_is_refused_a_secret_and_others_read_on(rig: Rig, prior: str | None) -> None:
    """Without a policy before there is none after; with one it has the same bytes."""
    rig.boto("secretsmanager").create_secret(Name="stripe", SecretString="sk")
    if prior is not None:
        rig.boto("secretsmanager").put_resource_policy(SecretId="stripe", ResourcePolicy=prior)
    bot, other = _user(rig, "bot"), _user(rig, "other")
    rig.secrets.keep("bot-key", bot)
    provider = rig.provider(users=["bot"], secrets=["stripe"], agent_credentials={AGENT_USER: "bot-key"})
    found = proposal(provider, secrets.SPEC.name)
    action = provider.actions[found.action]
    before = action.probe(found.target)

    taken, _ = close(action, found.target)

    with pytest.raises(ClientError, match="AccessDenied"):
        _read(rig, bot)
    assert _read(rig, other) == "sk"
    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    probed = action.probe(found.target)
    assert probed is not None
    assert (probed.verdict, probed.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)
    assert set(undo(action, found.target, taken).objects.values()) == {Outcome.RESTORED}
    assert _policy(rig) == prior
    assert _read(rig, bot) == "sk"


def test_a_secret_is_said_to_be_withheld_and_not_revoked(rig: Rig) -> None:
    """The agent may have read it: only its issuer can make it worthless."""
    rig.boto("secretsmanager").create_secret(Name="stripe", SecretString="sk")
    provider = rig.provider(users=["bot"], secrets=["stripe", "gone"])

    discovery = provider.discover()

    step = next(one for one in discovery.proposals if one.action == secrets.SPEC.name)
    assert step.withholds == ("secretsmanager:stripe",)
    assert step.best_grade is Grade.READ_BACK
    assert secrets.SPEC.withholds_only
    assert "secret gone" in {one.resource for one in discovery.not_touched}


def test_the_deny_of_another_stop_stays_when_this_one_is_undone(rig: Rig) -> None:
    """Two agents share a secret: the restore of one does not let the other read."""
    rig.boto("secretsmanager").create_secret(Name="stripe", SecretString="sk")
    bot, other = _user(rig, "bot"), _user(rig, "other")
    first = rig.provider(users=["bot"], secrets=["stripe"])
    second = rig.provider(users=["other"], secrets=["stripe"])
    one, two = proposal(first, secrets.SPEC.name), proposal(second, secrets.SPEC.name)
    prior, _ = close(first.actions[one.action], one.target)
    later, _ = close(second.actions[two.action], two.target)

    outcome = undo(first.actions[one.action], one.target, prior)

    assert set(outcome.objects.values()) == {Outcome.RESTORED}
    assert _read(rig, bot) == "sk"
    with pytest.raises(ClientError, match="AccessDenied"):
        _read(rig, other)
    undo(second.actions[two.action], two.target, later)
    assert _read(rig, other) == "sk"


def test_the_agent_cannot_use_a_key_nor_change_its_policy(rig: Rig) -> None:
    """Its grants are beaten by the Deny and stay as they are; others use the key."""
    key = rig.boto("kms").create_key()["KeyMetadata"]
    bot, other = _user(rig, "bot"), _user(rig, "other")
    user = "arn:aws:iam::123456789012:user/bot"
    rig.boto("kms").create_grant(KeyId=key["KeyId"], GranteePrincipal=user, Operations=["Decrypt"])
    before = rig.boto("kms").get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"]
    provider = rig.provider(users=["bot"], keys=[key["KeyId"]])
    found = proposal(provider, kms.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)

    with pytest.raises(ClientError, match="AccessDenied"):
        rig.boto("kms", bot).encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    with pytest.raises(ClientError, match="AccessDenied"):
        rig.boto("kms", bot).put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=before)
    rig.boto("kms", other).encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert any("grant" in one.resource for one in provider.discover().not_touched)
    assert set(undo(action, found.target, prior).objects.values()) == {Outcome.RESTORED}
    assert rig.boto("kms").get_key_policy(KeyId=key["KeyId"], PolicyName="default")["Policy"] == before
    rig.boto("kms", bot).encrypt(KeyId=key["KeyId"], Plaintext=b"x")


def test_a_key_policy_that_others_changed_is_left_alone(rig: Rig) -> None:
    """The restore says so, and the Deny stays."""
    key = rig.boto("kms").create_key()["KeyMetadata"]
    provider = rig.provider(users=["bot"], keys=[key["KeyId"], "00000000-0000-0000-0000-000000000000"])
    found = proposal(provider, kms.SPEC.name)
    action = provider.actions[found.action]
    prior, state = close(action, found.target)
    document = json.loads(str(state.objects[key["Arn"]]))
    document["Statement"].append(
        {"Sid": "Mine", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}
    )
    rig.boto("kms").put_key_policy(KeyId=key["KeyId"], PolicyName="default", Policy=json.dumps(document))

    outcome = undo(action, found.target, prior)

    assert outcome.objects == {key["Arn"]: Outcome.DRIFTED}
    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.CONTAINED


def test_without_a_principal_there_is_nobody_to_deny(rig: Rig) -> None:
    """A session of a shared role is denied alone; with neither, it is said."""
    rig.boto("secretsmanager").create_secret(Name="stripe", SecretString="sk")
    nobody = rig.provider(secrets=["stripe"])
    session = rig.provider(secrets=["stripe"], role_sessions=["shared/bot-1"])

    left = {one.resource for one in nobody.discover().not_touched}
    found = proposal(session, secrets.SPEC.name)
    close(session.actions[found.action], found.target)

    assert "secret stripe" in left
    condition = json.loads(_policy(rig))["Statement"][0]["Condition"]
    assert condition["StringLike"] == {"aws:userid": ["*:bot-1"]}
