"""``gcp.iam.disable_keys`` against the sandbox: keys of an account, those included that appear later."""

from __future__ import annotations

from dataclasses import replace

import pytest

from breakglass.errors import Throttled
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.iam.disable_keys"


def made(rig: Rig, email: str) -> tuple[str, bytes]:
    """Make a key; return its id and its JSON."""
    name = f"projects/-/serviceAccounts/{email}"
    key = rig.admin.call("iam_admin", "create_service_account_key", {"name": name})
    return str(key.name).rpartition("/")[2], bytes(key.private_key_data)


def set_key(rig: Rig, email: str, key: str, verb: str) -> None:
    """Disable, enable or delete a key as the owner."""
    name = f"projects/{rig.project}/serviceAccounts/{email}/keys/{key}"
    rig.admin.call("iam_admin", f"{verb}_service_account_key", {"name": name})


def test_every_key_of_the_account_is_disabled_and_comes_back_as_it_was(rig: Rig) -> None:
    """One was disabled before the stop: the restore leaves it so."""
    email = rig.account("bot")
    (first, _), (off, _) = made(rig, email), made(rig, email)
    set_key(rig, email, off, "disable")
    before = rig.control("state")["iam_keys"]
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, state = close(action, target)
    assert state.objects == {first: {"disabled": True}, off: {"disabled": True}}
    assert undo(action, target, prior).objects == {first: Outcome.RESTORED, off: Outcome.ALREADY}
    assert rig.control("state")["iam_keys"] == before
    assert undo(action, target, prior).objects == {first: Outcome.ALREADY, off: Outcome.ALREADY}


def test_keys_that_google_manages_are_not_among_them(rig: Rig) -> None:
    """Nobody can disable those; the account's own step is what makes them useless."""
    email = rig.account("bot")
    managed = rig.control("iam.managed_key", {"email": email})["id"]
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    assert managed not in action.observe(target).objects


def test_a_key_that_was_made_after_the_plan_is_disabled_and_does_not_come_back(rig: Rig) -> None:
    """The agent makes itself a key while people sign: a restore must not hand it out."""
    email = rig.account("bot")
    first, _ = made(rig, email)
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    late, _ = made(rig, email)
    prior, state = close(action, target)
    assert state.objects[late] == {"disabled": True}
    reversal = undo(action, target, prior)
    assert reversal.objects == {first: Outcome.RESTORED, late: Outcome.ENDED}
    assert action.observe(target).objects[late] == {"disabled": True}


def test_a_key_that_was_deleted_since_has_drifted(rig: Rig) -> None:
    """Its private half could not come back anyway."""
    email = rig.account("bot")
    key, _ = made(rig, email)
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    set_key(rig, email, key, "delete")
    assert undo(action, target, prior).objects == {key: Outcome.DRIFTED}


def test_a_key_that_is_held_proves_its_own_end(rig: Rig) -> None:
    """No token is given for it any more."""
    email = rig.account("bot")
    _, body = made(rig, email)
    rig.secrets.held["bot-key"] = body
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "bot-key"})
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    assert step.best_grade is Grade.REFUSED_AS_AGENT
    before = action.probe(step.target)
    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    close(action, step.target)
    after = action.probe(step.target)
    assert after is not None
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)
    with pytest.raises(Unauthenticated):
        provider.project.agent_token(email)


def test_a_token_made_from_the_key_before_lives_on_until_the_account_is_disabled(rig: Rig) -> None:
    """Disabling a key ends no token: that is why the account's own step comes first."""
    email = rig.account("bot", roles=["roles/viewer"])
    _, body = made(rig, email)
    rig.secrets.held["bot-key"] = body
    provider = rig.provider(service_accounts=[email], agent_credentials={email: "bot-key"})
    token = provider.project.agent_token(email)
    assert token
    close(provider.actions[ACTION], proposal(provider, ACTION).target)
    agent = rig.calls_as(token)
    agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    agent.close()


def test_an_account_without_keys_is_contained_and_a_gone_one_too(rig: Rig) -> None:
    """There is nothing to sign in with."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    assert action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED
    gone = replace(target, params={**target.params, "unique_id": "100000000000000000009"})
    assert action.observe(gone).objects == {}


def test_a_quota_that_ends_after_the_first_key_leaves_the_step_open_until_it_goes_on(rig: Rig) -> None:
    """What is done is done, what is left is seen."""
    email = rig.account("bot")
    keys = {made(rig, email)[0] for _ in range(3)}
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    action.apply(target, replace(action.observe(target), objects={min(keys): {"disabled": False}}), "t")
    fault = {"method": "*DisableServiceAccountKey", "code": "RESOURCE_EXHAUSTED", "times": 1}
    rig.control("faults", {"faults": [fault]})
    state = action.observe(target)
    with pytest.raises(Throttled):
        action.apply(target, state, "t")
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    _, last = close(action, target)
    assert last.objects.keys() == keys
