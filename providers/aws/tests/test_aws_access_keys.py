"""Access keys of a user: all inactive, and back as they were."""

from __future__ import annotations

from breakglass.provider import Outcome
from breakglass_aws.actions import access_keys
from breakglass_aws.since_harm import ACTIVE, INACTIVE, status
from providers.aws.tests.rig_aws import Rig, close, proposal, undo


def test_every_key_is_set_inactive_and_only_those_that_were_active_come_back(rig: Rig) -> None:
    """A key that was off before the stop stays off."""
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    first, second = (iam.create_access_key(UserName="bot")["AccessKey"]["AccessKeyId"] for _ in range(2))
    iam.update_access_key(UserName="bot", AccessKeyId=second, Status="Inactive")
    rig.age("bot")
    provider = rig.provider(users=["bot"])
    found = proposal(provider, access_keys.SPEC.name)
    action = provider.actions[found.action]

    prior, state = close(action, found.target)

    assert {key: status(one) for key, one in state.objects.items()} == {first: INACTIVE, second: INACTIVE}
    assert undo(action, found.target, prior).objects == {first: Outcome.RESTORED, second: Outcome.ALREADY}
    now = action.observe(found.target).objects
    assert {key: status(one) for key, one in now.items()} == {first: ACTIVE, second: INACTIVE}
