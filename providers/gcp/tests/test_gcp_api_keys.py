"""``gcp.apikeys.delete_key`` on the sandbox: deleted, and back again with the same string."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.apikeys.delete_key"


def make(rig: Rig, name: str = "maps") -> str:
    """Make a restricted key; return its id, which is its uid."""
    key = {
        "display_name": name,
        "restrictions": {"api_targets": [{"service": "translate.googleapis.com"}]},
    }
    parent = f"projects/{rig.project}/locations/global"
    assert rig.admin.operate("api_keys", "create_key", {"parent": parent, "key": key})
    found = rig.admin.every("api_keys", "list_keys", {"parent": parent}).items
    return next(str(one.uid) for one in found if one.display_name == name)


def test_a_key_is_deleted_and_comes_back_with_the_same_string(rig: Rig) -> None:
    """Its restrictions, too."""
    uid = make(rig)
    before = rig.control("state", {})["api_keys"]
    provider = rig.provider(api_keys=[uid])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    during = rig.control("state", {})["api_keys"]
    done = undo(action, step.target, prior)

    assert [one["deleted"] for one in during.values()] == [True]
    assert done.objects == {"key": Outcome.RESTORED}
    assert rig.control("state", {})["api_keys"] == before


def test_the_string_of_a_key_is_never_asked_for(rig: Rig) -> None:
    """It is a secret, and nothing here needs it."""
    uid = make(rig)
    strings = [one["keyString"] for one in rig.control("state", {})["api_keys"].values()]
    provider = rig.provider(api_keys=[uid])
    step = proposal(provider, ACTION)
    prior, last = close(provider.actions[ACTION], step.target)

    assert all(one not in str((prior, last, step)) for one in strings)
    assert "GetKeyString" not in str(rig.control("calls"))


def test_a_key_that_was_deleted_before_is_left_so(rig: Rig) -> None:
    """There is nothing to stop, and nothing to bring back."""
    uid = make(rig)
    name = f"projects/{rig.project}/locations/global/keys/{uid}"
    provider = rig.provider(api_keys=[uid])
    step = proposal(provider, ACTION)
    rig.admin.operate("api_keys", "delete_key", {"name": name})
    prior, _ = close(provider.actions[ACTION], step.target)
    done = undo(provider.actions[ACTION], step.target, prior)
    found = rig.provider(api_keys=[uid]).discover()

    assert done.objects == {"key": Outcome.ALREADY}
    assert ACTION not in [one.action for one in found.proposals]
    assert any("deleted already" in one.reason for one in found.not_touched)


def test_a_key_that_somebody_undeletes_during_the_stop_is_seen(rig: Rig) -> None:
    """The agent may have rights over API keys."""
    uid = make(rig)
    provider = rig.provider(api_keys=[uid])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    close(action, step.target)
    name = f"projects/{rig.project}/locations/global/keys/{uid}"
    rig.admin.operate("api_keys", "undelete_key", {"name": name})
    seen = action.judge(step.target, action.observe(step.target))
    close(action, step.target)

    assert seen.verdict is Verdict.NOT_CONTAINED


def test_a_key_that_nobody_made_is_said(rig: Rig) -> None:
    """The inventory names another uid."""
    found = rig.provider(api_keys=["b7ff1f9f-8275-410a-94dd-3855ee9b5dd2"]).discover()

    assert any("none of this uid" in one.reason for one in found.not_touched)
