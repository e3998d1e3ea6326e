"""A restore revives no token: it waits until none can live, or the account's rights go to a successor."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, Transient
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Unauthenticated
from breakglass_gcp.token_life import CONSTRAINT, HOUR_S, LONGEST_S, life_of, token_lives
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.iam.disable_service_account"
ACCOUNT = "account"
BOT = "bot@p.iam.gserviceaccount.com"


@pytest.mark.parametrize(
    ("rules", "seconds"),
    [
        ([], HOUR_S),
        ([{"denyAll": True}], HOUR_S),
        ([{"allowAll": True}], LONGEST_S),
        ([{"values": {"allowedValues": [BOT]}}], LONGEST_S),
        ([{"values": {"allowedValues": [f"is:{BOT}"]}}], LONGEST_S),
        ([{"values": {"allowedValues": ["other@p.iam.gserviceaccount.com"]}}], HOUR_S),
        ([{"values": {"allowedValues": ["under:projects/p"]}}], LONGEST_S),
    ],
)
def test_the_policy_of_the_organisation_decides(rules: Json, seconds: int) -> None:
    """What is not understood counts as allowed: a longer wait harms nobody."""
    assert life_of({"spec": {"rules": rules}}, BOT).seconds == seconds


def test_the_effective_policy_is_read_once_for_all_accounts(rig: Rig) -> None:
    """One account may have long tokens, the other not."""
    long, short = rig.account("long"), rig.account("short")
    rules = [{"values": {"allowedValues": [long]}}]
    rig.control("orgpolicy.set", {"constraint": CONSTRAINT, "rules": rules})
    lives = token_lives(rig.provider().project, (long, short))
    assert (lives[long].seconds, lives[short].seconds) == (LONGEST_S, HOUR_S)


def test_a_policy_that_cannot_be_read_means_twelve_hours_and_says_so(rig: Rig) -> None:
    """It is never assumed to be short."""
    email = rig.account("bot")
    fault = {"method": "orgpolicy.*", "code": "PERMISSION_DENIED"}
    rig.control("faults", {"faults": [fault]})
    step = proposal(rig.provider(service_accounts=[email]), ACTION)
    rig.control("faults", {"faults": []})
    assert step.target.params["token_life_s"] == LONGEST_S
    assert "assumed" in str(step.target.params["token_life_why"])


def test_the_wait_is_part_of_what_is_signed(rig: Rig) -> None:
    """An hour and what IAM may need to be seen everywhere."""
    email = rig.account("bot")
    params = proposal(rig.provider(service_accounts=[email], settle_factor="1"), ACTION).target.params
    assert (params["tokens"], params["tokens_choices"]) == ("wait", ["wait"])
    assert params["undo_wait_s"] == HOUR_S + 421
    assert params["stopped_at_ms"] == 0


def test_a_restore_within_the_life_of_a_token_does_not_revive_it(rig: Rig) -> None:
    """A stolen token would be good again the moment that the account is enabled."""
    email = rig.account("bot", roles=["roles/viewer"])
    agent = rig.calls_as(rig.token(email))
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    with pytest.raises(Transient, match="live until"):
        undo(action, restoring(target, ago_s=HOUR_S - 60), prior)
    with pytest.raises(Unauthenticated):
        agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    agent.close()


def test_after_the_life_of_the_tokens_the_account_is_enabled(rig: Rig) -> None:
    """A token that was good before the stop has ended by then."""
    email = rig.account("bot", roles=["roles/viewer"])
    before = rig.control("state")["iam_accounts"]
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    later = restoring(target, ago_s=HOUR_S + 60)
    assert undo(action, later, prior).objects == {ACCOUNT: Outcome.RESTORED}
    assert undo(action, later, prior).objects == {ACCOUNT: Outcome.ALREADY}
    assert rig.control("state")["iam_accounts"] == before


def test_where_the_moment_of_the_stop_is_not_known_nothing_is_enabled(rig: Rig) -> None:
    """Zero is what a plan of a stop has."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    with pytest.raises(Denied, match="not known"):
        undo(action, target, prior)


def test_who_enables_it_before_the_time_is_told_as_drift(rig: Rig) -> None:
    """The tokens from before are good again: that is no restored state."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    rig.admin.call("iam_admin", "enable_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    reversal = undo(action, restoring(target, ago_s=5), prior)
    assert reversal.objects == {ACCOUNT: Outcome.DRIFTED}
    assert "somebody has enabled it: tokens from before the stop live until" in reversal.reason


def test_rotating_leaves_the_account_disabled_and_its_successor_has_its_roles(rig: Rig) -> None:
    """No wait: the old tokens stay dead. What must be pointed at the new account is said."""
    email, new = rig.account("bot", roles=["roles/viewer", "roles/browser"]), rig.account("bot-2")
    agent = rig.calls_as(rig.token(email))
    provider = rig.provider(service_accounts=[email], successors={email: new})
    action, step = provider.actions[ACTION], proposal(provider, ACTION)
    assert step.target.params["tokens_choices"] == ["wait", "rotate"]
    prior, _ = close(action, step.target)
    chosen = restoring(step.target, ago_s=5, tokens="rotate")
    reversal = undo(action, chosen, prior)
    assert reversal.objects == {ACCOUNT: Outcome.RESTORED}
    assert f"{email} stays disabled" in reversal.reason
    assert "Point at it" in reversal.reason
    roles = {
        one["role"]
        for one in rig.control("state")["resource_manager"]["bindings"]
        if f"serviceAccount:{new}" in one["members"]
    }
    assert roles == {"roles/viewer", "roles/browser"}
    with pytest.raises(Unauthenticated):
        agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    agent.close()
    assert undo(action, chosen, prior).objects == {ACCOUNT: Outcome.ALREADY}


def test_a_successor_that_does_not_exist_is_refused(rig: Rig) -> None:
    """Nothing is granted to an address that somebody could take."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email], successors={email: rig.email("nobody")})
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    with pytest.raises(Denied, match="does not exist"):
        undo(action, restoring(target, ago_s=5, tokens="rotate"), prior)
