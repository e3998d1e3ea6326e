"""Planning of many users: what no bulk listing tells of is left to the step, and said."""

from __future__ import annotations

from collections import Counter

from breakglass_aws.actions import access_keys, deny_user
from breakglass_aws.bulk import MOST_SINGLE_READS
from providers.aws.tests.rig_aws import Rig

USERS = 130


def test_keys_of_many_users_are_read_when_their_step_runs(rig: Rig) -> None:
    """A deadline of planning is not spent on them; the state says that it is not whole."""
    iam = rig.boto("iam")
    names = [f"bot-{n:03d}" for n in range(USERS)]
    for name in names:
        iam.create_user(UserName=name)
    iam.create_access_key(UserName=names[-1])
    provider = rig.provider(users=[*names])
    before = len(rig.sandbox.control("calls", {}))
    proposals = provider.discover().proposals

    states = {one.key: provider.actions[one.action].observe(one.target) for one in proposals}

    made = Counter(one["operation"] for one in rig.sandbox.control("calls", {})[before:])
    assert made["ListAccessKeys"] + made["ListServiceSpecificCredentials"] == MOST_SINGLE_READS
    assert made["GetUser"] == 0
    unread = [key for key, state in states.items() if not state.complete]
    assert len(unread) == 2 * USERS - MOST_SINGLE_READS
    assert {states[key].note for key in unread} == {"read when the step runs"}
    provider.preflight(())
    last = next(one for one in proposals if one.key == f"access_keys:{names[-1]}")
    assert len(provider.actions[access_keys.SPEC.name].observe(last.target).objects) == 1
    assert sum(one.action == deny_user.SPEC.name for one in proposals) == USERS
