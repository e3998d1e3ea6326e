"""Who appeared since the harm began is a stranger until somebody good made it; the executor is none."""

from __future__ import annotations

from breakglass.clock import Instant
from breakglass.model.plan import DoorKind
from breakglass_aws.discover.principals import Principal, explained, unexplained
from providers.aws.tests import least_executor
from providers.aws.tests.identity_rig import FREE
from providers.aws.tests.rig_aws import Rig


def test_an_executor_of_this_hour_is_no_stranger_and_another_new_user_is(rig: Rig) -> None:
    """CloudTrail does not answer, or an agent floods it: who made whom is not known, who we are is."""
    iam = rig.boto("iam")
    for name in ("bot", "friend"):
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="mine", PolicyDocument=FREE)

    provider = rig.provider(users=["bot"])
    rig.sandbox.control("faults", {"faults": [{"service": "cloudtrail", "answer": "error-500"}]})

    found = provider.discover()

    strangers = {one.door.name for one in found.doors if one.door.kind is DoorKind.CAN_MINT}
    assert any("CloudTrail" in one for one in found.incomplete)
    assert "user/friend in aws" in strangers
    assert f"user/{least_executor.NAME} in aws" not in strangers


NOON, BEFORE = Instant(1_767_225_600_000), Instant(1_767_222_000_000)


def _one(kind: str, name: str, created: Instant) -> Principal:
    arn = f"arn:aws:iam::123456789012:{kind}/{name}"
    return Principal(f"{kind}s", name, arn, "/", f"ID{name}", created, tagged=False, trusts=())


def test_whom_a_stranger_made_is_a_stranger_too() -> None:
    """CloudTrail names the maker, and the maker is the agent's friend, or deleted since, or the agent."""
    bot, admin = _one("user", "bot", BEFORE), _one("role", "admin", BEFORE)
    clerk, hired = _one("user", "clerk", NOON), _one("role", "hired", NOON)
    friend, second = _one("user", "friend", NOON), _one("role", "second", NOON)
    third, twice = _one("user", "third", NOON), _one("user", "twice", NOON)
    everybody = (bot, admin, clerk, hired, friend, second, third, twice)
    made = [
        (hired.arn, "user/clerk"),
        (clerk.arn, "role/admin"),
        (second.arn, "user/friend"),
        (third.arn, "user/deleted"),
        (twice.arn, "role/admin"),
        (twice.arn, "user/bot"),
    ]

    known = explained(made, everybody, [bot.arn], NOON)

    assert {clerk.arn, hired.arn} == set(known)
    strangers = unexplained(everybody, [bot.arn, *known], NOON)
    assert [friend, second, third, twice] == list(strangers)
