"""Calls as the agent prove that its account is dead: only refusals that say so, and only if they last."""

from __future__ import annotations

from breakglass.model.action import Grade, Verdict
from breakglass_gcp.probe import judge_account, keep_token, why_no_proof
from providers.gcp.tests.rig_gcp import Rig, close, proposal
from providers.gcp.tests.test_gcp_keys import made

DISABLE = "gcp.iam.disable_service_account"
KEYS = "gcp.iam.disable_keys"


def disable(rig: Rig, email: str, verb: str = "disable") -> None:
    """Disable or enable an account as the owner."""
    name = f"projects/-/serviceAccounts/{email}"
    rig.admin.call("iam_admin", f"{verb}_service_account", {"name": name})


def test_a_token_that_ended_by_itself_proves_nothing(rig: Rig) -> None:
    """Google says that the token ended, not that the account is dead."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", rig.token(email, life_s=0.05))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    provider.project.connection.clock.sleep(0.1)
    disable(rig, email)
    assert judge_account(provider.project, email).verdict is Verdict.UNKNOWN
    assert "proves nothing" in why_no_proof(provider.project, email)


def test_a_token_that_nobody_knows_proves_nothing(rig: Rig) -> None:
    """It may have been made up."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", "ya29.not-a-token")
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    disable(rig, email)
    assert judge_account(provider.project, email).verdict is Verdict.UNKNOWN


def test_a_credential_that_proves_nothing_when_planning_is_not_counted_on(rig: Rig) -> None:
    """The plan then promises no more than a read back, and says why."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", "ya29.not-a-token")
    step = proposal(rig.provider(service_accounts=[email], agent_credentials={email: "t"}), DISABLE)
    assert step.best_grade is Grade.READ_BACK
    assert "proves nothing" in str(step.target.params["no_proof"])


def test_one_refusal_that_a_success_follows_is_not_contained(rig: Rig) -> None:
    """One part of Google knows of the disable and another does not yet."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", rig.token(email))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    fault = {
        "method": "*Projects/TestIamPermissions",
        "principal": email,
        "code": "UNAUTHENTICATED",
        "reason": "ACCOUNT_STATE_INVALID",
        "times": 1,
    }
    rig.control("faults", {"faults": [fault]})
    judgement = judge_account(provider.project, email)
    rig.control("faults", {"faults": []})
    assert judgement.verdict is Verdict.NOT_CONTAINED


def test_an_unreachable_service_proves_nothing(rig: Rig) -> None:
    """Nobody answering is no refusal."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", rig.token(email))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    fault = {"method": "*TestIamPermissions", "code": "UNAVAILABLE"}
    rig.control("faults", {"faults": [fault]})
    judgement = judge_account(provider.project, email)
    rig.control("faults", {"faults": []})
    assert judgement.verdict is Verdict.UNKNOWN


def test_a_disable_that_is_seen_late_is_not_contained_until_it_is(rig: Rig) -> None:
    """The account is read back as disabled while its tokens still work."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", rig.token(email))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    action, target = provider.actions[DISABLE], proposal(provider, DISABLE).target
    rig.control("advance", {"seconds": 60})
    rig.control("settings", {"visibility_delay_s": 30})
    try:
        close(action, target)
        early = action.probe(target)
    finally:
        rig.control("settings", {"visibility_delay_s": 0})
    late = action.probe(target)
    assert early is not None
    assert early.verdict is Verdict.NOT_CONTAINED
    assert late is not None
    assert late.verdict is Verdict.CONTAINED


def test_a_held_key_proves_the_account_even_where_the_key_itself_was_disabled_first(rig: Rig) -> None:
    """A token was asked of it before: that token is what must be refused."""
    email = rig.account("bot")
    rig.secrets.held["k"] = made(rig, email)[1]
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "k"})
    keys, account = proposal(provider, KEYS).target, proposal(provider, DISABLE).target
    close(provider.actions[KEYS], keys)
    between = provider.actions[DISABLE].probe(account)
    assert between is not None
    assert between.verdict is Verdict.NOT_CONTAINED
    close(provider.actions[DISABLE], account)
    after = provider.actions[DISABLE].probe(account)
    assert after is not None
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)


def test_a_key_that_was_dead_before_anything_was_kept_says_nothing_of_the_account(rig: Rig) -> None:
    """A refused signature is about the key."""
    email = rig.account("bot")
    key, rig.secrets.held["k"] = made(rig, email)
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "k"})
    name = f"projects/-/serviceAccounts/{email}/keys/{key}"
    rig.admin.call("iam_admin", "disable_service_account_key", {"name": name})
    keep_token(provider.project, email)
    assert judge_account(provider.project, email).verdict is Verdict.UNKNOWN


def test_an_account_that_is_enabled_again_makes_the_proof_fail(rig: Rig) -> None:
    """Whoever lifted it is seen by the next look."""
    email = rig.account("bot")
    rig.secrets.keep_token("t", rig.token(email))
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "t"})
    disable(rig, email)
    assert judge_account(provider.project, email).verdict is Verdict.CONTAINED
    disable(rig, email, "enable")
    assert judge_account(provider.project, email).verdict is Verdict.NOT_CONTAINED


def test_a_kept_token_counts_only_while_it_cannot_have_ended_by_itself(rig: Rig) -> None:
    """In a drill tokens live for seconds: one that ended is no proof that the account is dead."""
    email = rig.account("bot")
    rig.secrets.held["k"] = made(rig, email)[1]
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "k"}, token_life_s="1")  # noqa: S106 - seconds
    rig.control("settings", {"token_life_s": 1})
    try:
        keep_token(provider.project, email)
    finally:
        rig.control("settings", {"token_life_s": 3600})
    assert email in provider.project.kept
    close(provider.actions[KEYS], proposal(provider, KEYS).target)
    disable(rig, email)
    provider.project.connection.clock.sleep(1.1)
    assert judge_account(provider.project, email).verdict is Verdict.UNKNOWN
