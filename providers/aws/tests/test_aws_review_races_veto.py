"""Nobody keeps the agent's role from being denied by handing it to something new."""

from __future__ import annotations

import time

from breakglass.clock import Instant, SystemClock
from breakglass.provider import Proposed
from breakglass_aws.actions import deny_role, identities
from providers.aws.tests.rig_aws import Rig
from providers.aws.tests.test_aws_discover import gathered, trust


def _proposed(rig: Rig, since: Instant) -> Proposed:
    provider = rig.provider(roles=["bot"])
    found = gathered(provider, since).found
    return identities.propose(provider._account, found)  # noqa: SLF001 - what discovery works with


def _give(rig: Rig, role: str) -> None:
    rig.boto("lambda").create_function(
        FunctionName="payroll", Role=role, Runtime="python3.12", Handler="x.y", Code={"ZipFile": b"PK"}
    )


def test_what_took_the_agents_role_since_the_harm_began_is_named_but_spares_it_not(rig: Rig) -> None:
    """Before CloudTrail tells who made them."""
    rig.sandbox.control("settings", {"trail_delay_s": 300})
    role = rig.boto("iam").create_role(
        RoleName="bot", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com")
    )["Role"]["Arn"]
    since = SystemClock().now().plus(-60)
    _give(rig, role)

    found = _proposed(rig, since)

    (step,) = [one for one in found.proposals if one.action == deny_role.SPEC.name]
    assert step.affects == ("function payroll (since the harm began)",)


def test_what_used_the_role_before_the_harm_began_is_spared_without_consent(rig: Rig) -> None:
    """The role is left alone, and that is a door."""
    role = rig.boto("iam").create_role(
        RoleName="bot", AssumeRolePolicyDocument=trust(Service="lambda.amazonaws.com")
    )["Role"]["Arn"]
    _give(rig, role)
    time.sleep(1.1)

    found = _proposed(rig, SystemClock().now())

    assert [one for one in found.proposals if one.action == deny_role.SPEC.name] == []
    assert "shared with" in found.doors[0].door.reason
