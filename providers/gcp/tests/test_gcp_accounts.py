"""``gcp.iam.disable_service_account`` against the sandbox, and what may go wrong about it."""

from __future__ import annotations

import pytest

from breakglass.errors import Denied, Throttled
from breakglass.model.action import Grade, Verdict
from breakglass.model.plan import DoorKind
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, proposal, undo

ACTION = "gcp.iam.disable_service_account"
ACCOUNT = "account"


def named(email: str) -> str:
    """Return how calls name an account."""
    return f"projects/-/serviceAccounts/{email}"


def is_disabled(rig: Rig, email: str) -> bool:
    """Ask as the owner."""
    return bool(rig.admin.call("iam_admin", "get_service_account", {"name": named(email)}).disabled)


def test_a_token_that_was_issued_before_is_refused_afterwards(rig: Rig) -> None:
    """Nothing is asked of the token's holder: disabling the account is enough."""
    email = rig.account("bot", roles=["roles/viewer"])
    agent = rig.calls_as(rig.token(email))
    agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    provider = rig.provider(service_accounts=[email])
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)
    with pytest.raises(Unauthenticated):
        agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    agent.close()


def test_without_a_held_credential_the_state_is_read_back_after_seven_minutes(rig: Rig) -> None:
    """IAM may need that long, and nobody here could see that the agent is refused."""
    email = rig.account("bot")
    step = proposal(rig.provider(service_accounts=[email]), ACTION)
    assert (step.best_grade, step.settle_s) == (Grade.READ_BACK, 0.42)
    assert step.target.params["held"] is False


def test_a_held_token_makes_the_refusal_itself_the_proof(rig: Rig) -> None:
    """Two minutes, and then the agent's own calls must be refused."""
    email = rig.account("bot")
    rig.secrets.keep_token("bot-token", rig.token(email))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "bot-token"})
    step = proposal(provider, ACTION)
    assert (step.best_grade, step.settle_s) == (Grade.REFUSED_AS_AGENT, 0.12)
    action = provider.actions[ACTION]
    before = action.probe(step.target)
    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    close(action, step.target)
    after = action.probe(step.target)
    assert after is not None
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)


def test_an_account_that_google_disabled_is_contained_and_never_enabled_by_us(rig: Rig) -> None:
    """It was so before the stop: the restore has nothing to do with it."""
    email = rig.account("bot")
    rig.control("iam.google_disables", {"email": email})
    provider = rig.provider(service_accounts=[email])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    assert undo(action, step.target, prior).objects == {ACCOUNT: Outcome.ALREADY}
    assert is_disabled(rig, email)


def test_an_account_that_google_disables_after_the_stop_is_left_alone(rig: Rig) -> None:
    """The owner may not enable it, and the restore says so instead of failing."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email], token_life_s="1")  # noqa: S106 - seconds
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    rig.control("iam.google_disables", {"email": email})
    reversal = undo(action, restoring(target, ago_s=60), prior)
    assert reversal.objects == {ACCOUNT: Outcome.DRIFTED}
    assert "Google" in reversal.reason


def test_an_account_that_is_deleted_between_plan_and_stop_is_contained_with_the_reason(rig: Rig) -> None:
    """It gives no tokens, and those that it gave are refused."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    target = proposal(provider, ACTION).target
    rig.admin.call("iam_admin", "delete_service_account", {"name": named(email)})
    action = provider.actions[ACTION]
    judgement = action.judge(target, action.observe(target))
    assert judgement.verdict is Verdict.CONTAINED
    assert "gone" in judgement.reason


def test_an_account_that_is_deleted_after_the_stop_has_drifted(rig: Rig) -> None:
    """What is gone is nobody's to enable."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    rig.admin.call("iam_admin", "delete_service_account", {"name": named(email)})
    assert undo(action, target, prior).objects == {ACCOUNT: Outcome.DRIFTED}


def test_an_account_that_was_made_again_under_the_same_address_is_reported_and_not_touched(rig: Rig) -> None:
    """Who deletes the account and makes it again does not get a contained out of us."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    rig.admin.call("iam_admin", "delete_service_account", {"name": named(email)})
    rig.account("bot")
    state = action.observe(target)
    judgement = action.judge(target, state)
    assert judgement.verdict is Verdict.UNKNOWN
    assert "another account" in judgement.reason
    with pytest.raises(Denied, match="not touched"):
        action.apply(target, state, "token")
    assert not is_disabled(rig, email)


def test_who_enables_it_between_rounds_is_disabled_again(rig: Rig) -> None:
    """The agent may have a second identity with the right to do so."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    rig.admin.call("iam_admin", "enable_service_account", {"name": named(email)})
    again, _ = close(action, target)
    assert is_disabled(rig, email)
    assert again.keys() == prior.keys()


@pytest.mark.parametrize("kind", ["compute", "appspot"])
def test_a_default_account_is_refused_without_accepting_the_blast_radius(rig: Rig, kind: str) -> None:
    """Others of the project act as it: the agent keeps it, and the verdict says so."""
    email = rig.control("iam.default_account", {"kind": kind})["email"]
    found = rig.provider(service_accounts=[email]).discover()
    assert [one for one in found.proposals if one.target.params.get("email") == email] == []
    door = next(one.door for one in found.doors if email in one.door.name)
    assert (door.kind, door.verdict) == (DoorKind.NO_STEP, Verdict.NOT_CONTAINED)
    assert "accept_blast_radius" in door.remedy


def test_a_default_account_is_disabled_once_its_blast_radius_is_accepted(rig: Rig) -> None:
    """The plan says whom it hits."""
    email = rig.control("iam.default_account", {"kind": "compute"})["email"]
    provider = rig.provider(service_accounts=[email], accept_blast_radius=[email])
    step = proposal(provider, ACTION)
    assert step.affects
    close(provider.actions[ACTION], step.target)
    assert is_disabled(rig, email)


def test_the_executors_own_account_is_refused(rig: Rig) -> None:
    """It could stop nothing more; `as` names it."""
    email = rig.email(EXECUTOR)
    rig.grant(f"serviceAccount:{email}", "roles/iam.serviceAccountTokenCreator")
    provider = rig.provider(**{"as": email}, service_accounts=[email])
    found = provider.discover()
    assert [one for one in found.proposals if one.target.params.get("email") == email] == []
    door = next(one.door for one in found.doors if email in one.door.name)
    assert door.verdict is Verdict.NOT_CONTAINED
    assert "executor" in door.reason


def test_a_quota_that_is_used_up_in_the_middle_is_told_as_throttling(rig: Rig) -> None:
    """The engine comes again; until then nothing is contained."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    order = {"method": "*DisableServiceAccount", "code": "RESOURCE_EXHAUSTED", "times": 1}
    rig.control("faults", {"faults": [order]})
    state = action.observe(target)
    with pytest.raises(Throttled):
        action.apply(target, state, "token")
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert is_disabled(rig, email)
