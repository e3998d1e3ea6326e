"""An executor with exactly the rights that the provider prints stops and restores every identity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from breakglass.model.action import Verdict
from breakglass.testing.plans import _step
from breakglass_aws.actions import class_switch, identities
from breakglass_aws.actions.denial import DENY_ALL
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import FREE, TRUST, account_of, managed
from providers.aws.tests.least_executor import give
from providers.aws.tests.rig_aws import EXECUTOR, Rig, close, undo

AGENT = Found({"users": ("bot",), "roles": ("bot",), "role_sessions": ("shared/bot",)})


def _agent(rig: Rig) -> tuple[Any, str]:
    iam = rig.boto("iam")
    policy = managed(iam, "class")
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=DENY_ALL, SetAsDefault=False)
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="free", PolicyDocument=FREE)
    iam.create_access_key(UserName="bot")
    iam.create_service_specific_credential(UserName="bot", ServiceName="bedrock.amazonaws.com")
    rig.age("bot")
    for role in ("bot", "shared"):
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)
        iam.put_role_policy(RoleName=role, PolicyName="free", PolicyDocument=FREE)
    iam.put_role_permissions_boundary(RoleName="bot", PermissionsBoundary=managed(iam, "old", FREE))
    iam.attach_role_policy(RoleName="bot", PolicyArn=policy)
    return iam, policy


def test_the_printed_rights_are_enough_and_restore_needs_its_own(rig: Rig) -> None:
    """Each action of identities: contained, proven, and afterwards the state of IAM is as it was."""
    _, policy = _agent(rig)
    for purpose in ("stop", "restore"):
        give(rig, (purpose,), f"breakglass-{purpose}")
        if purpose == "stop":
            rig.secrets.held["later"] = rig.secrets.held[EXECUTOR]
    rig.secrets.held[EXECUTOR], restorer = rig.secrets.held["later"], rig.secrets.held[EXECUTOR]
    before = rig.sandbox.control("state")["iam"]
    settings = {"class_policy": policy, "class_tag": "breakglass=contained"}
    stop = rig.provider(**settings)
    steps = identities.propose(account_of(stop), AGENT).proposals
    assert {one.action for one in steps} >= {spec.name for spec in identities.SPECS} - {
        "aws.organizations.extend_scp"
    }

    done = []
    for step in steps:
        action = stop.actions[step.action]
        prior, _ = close(action, step.target)
        proof = action.probe(step.target)
        assert proof is None or proof.verdict is Verdict.CONTAINED, step.key
        done.append((step, prior))
    rig.secrets.held[EXECUTOR] = restorer
    restore = rig.provider(**settings)
    for step, prior in reversed(done):
        undo(restore.actions[step.action], step.target, prior)

    assert rig.sandbox.control("state")["iam"] == before
    assert class_switch.KEY in {step.key for step, _ in done}


def test_preflight_finds_the_printed_rights_sufficient_and_sees_what_is_missing(rig: Rig) -> None:
    """A right that holds under a condition is no false alarm; one that was left out is named."""
    _, policy = _agent(rig)
    give(rig, ("stop",), "breakglass-stop")
    stop = rig.provider(class_policy=policy)
    proposals = identities.propose(account_of(stop), AGENT).proposals
    steps = [
        replace(_step(one.action), n=n, action=one.action, target=one.target)
        for n, one in enumerate(proposals)
    ]

    assert [finding.message for finding in stop.preflight(steps) if not finding.ok] == []

    deny = FREE.replace('"Allow","Action":"*"', '"Deny","Action":"iam:AttachRolePolicy"')
    rig.boto("iam").put_user_policy(UserName="breakglass-stop", PolicyName="less", PolicyDocument=deny)
    missing = [finding.message for finding in stop.preflight(steps) if not finding.ok]
    assert missing
    assert all("iam:AttachRolePolicy (explicitDeny)" in message for message in missing)
