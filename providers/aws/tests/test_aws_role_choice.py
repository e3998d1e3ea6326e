"""Roles that must not or cannot be denied are left alone, and the plan says so."""

from __future__ import annotations

import json

from breakglass.model.action import Verdict
from breakglass.provider import Proposed
from breakglass_aws.actions import role_choice
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import ROLE_ARN, TRUST, account_of
from providers.aws.tests.rig_aws import Rig


def _proposed(rig: Rig, found: Found, *, caller: str = "", accept: list[str] | None = None) -> Proposed:
    provider = rig.provider(accept_blast_radius=[*(accept or [])])
    return role_choice.propose(account_of(provider), found, caller)


def _left_open(proposed: Proposed, words: str) -> None:
    assert not proposed.proposals
    (left,), (door,) = proposed.not_touched, proposed.doors
    assert words in left.reason
    assert words in door.door.reason
    assert door.door.verdict is Verdict.UNKNOWN
    assert not door.closed_by


def test_a_role_that_is_linked_to_a_service_is_left_alone(rig: Rig) -> None:
    """IAM lets nobody change it."""
    iam = rig.boto("iam")
    made = iam.create_service_linked_role(AWSServiceName="ecs.amazonaws.com")["Role"]
    _left_open(_proposed(rig, Found({"roles": (made["RoleName"],)})), "linked to a service")


def test_a_role_of_identity_center_is_left_alone(rig: Rig) -> None:
    """It cannot be changed from IAM."""
    name, path = "AWSReservedSSO_Admin_0123456789abcdef", "/aws-reserved/sso.amazonaws.com/"
    rig.boto("iam").create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=TRUST)
    _left_open(_proposed(rig, Found({"roles": (name,)})), "IAM Identity Center")


def test_the_executors_own_role_is_left_alone(rig: Rig) -> None:
    """Denied, it could stop nothing more."""
    rig.boto("iam").create_role(RoleName="responder", Path="/ops/", AssumeRolePolicyDocument=TRUST)
    found = Found({"roles": ("/ops/responder",)})
    _left_open(_proposed(rig, found, caller=f"{ROLE_ARN}responder"), "the executor acts as this role")


def test_a_role_that_does_not_exist_is_named(rig: Rig) -> None:
    """A misspelt name must show."""
    proposed = _proposed(rig, Found({"roles": ("nobody",)}))
    assert "no such role" in proposed.not_touched[0].reason


def test_a_shared_role_is_denied_only_where_the_inventory_accepts_it(rig: Rig) -> None:
    """Who else is cut off is said before anyone signs."""
    rig.boto("iam").create_role(RoleName="shared", AssumeRolePolicyDocument=TRUST)
    found = Found({"roles": ("shared",)}, {}, {"shared": ("function payroll",)})
    _left_open(_proposed(rig, found), "shared with function payroll")

    deny, trust = _proposed(rig, found, accept=["role/shared"]).proposals

    assert deny.affects == ("function payroll",)
    assert trust.after[0].key == deny.key


def test_of_a_shared_role_only_the_agents_sessions_are_denied(rig: Rig) -> None:
    """And where nobody knows who makes them, the plan says that another name may be taken."""
    rig.boto("iam").create_role(RoleName="shared", AssumeRolePolicyDocument=TRUST)
    names = {"roles": ("shared",), "role_sessions": ("shared/bot-*", "shared/other")}
    shared = {"shared": ("function payroll",)}

    alone = _proposed(rig, Found(names, {}, shared))
    known = _proposed(rig, Found({**names, "users": ("bot",)}, {}, shared))

    (step,) = alone.proposals
    assert step.target.params["sessions"] == ["bot-*", "other"]
    assert "another session name" in alone.doors[0].door.reason
    assert not known.doors
    assert "arn:aws:iam::123456789012:user/bot" in json.dumps(known.proposals[0].target.params["principals"])
