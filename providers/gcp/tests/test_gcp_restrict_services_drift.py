"""Others write the same organisation policy: nothing of theirs is lost, and what they changed is told."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, InDoubt, ProviderError, Throttled, Transient
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_gcp.actions import restrict_services
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.feeds_gcp import verdict
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.services_gcp import (
    ACCEPTED,
    ACTION,
    MODELS,
    SECRETS,
    allowed,
    denied,
    policy,
    set_policy,
)

POLICY = restrict_services.POLICY


def test_what_others_changed_meanwhile_stays_and_only_our_value_goes(rig: Rig) -> None:
    """Before the stop there was none, or one: somebody denies more, or takes ours out, or deletes it."""
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, found.target)
    set_policy(rig, denied(MODELS, SECRETS))

    assert verdict(action, found.target) == "contained"
    assert undo(action, found.target, prior).objects == {POLICY: Outcome.DRIFTED, MODELS: Outcome.RESTORED}
    assert policy(rig)["spec"]["rules"] == denied(SECRETS)["rules"]
    assert verdict(action, found.target) == "not_contained"
    assert undo(action, found.target, prior).objects == {POLICY: Outcome.DRIFTED, MODELS: Outcome.ALREADY}
    assert policy(rig)["spec"]["rules"] == denied(SECRETS)["rules"]


def test_a_policy_that_was_deleted_meanwhile_is_not_made_again(rig: Rig) -> None:
    """It is drift, and told."""
    set_policy(rig, denied(SECRETS))
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, found.target)
    rig.admin.rest("orgpolicy", "DELETE", f"v2/{found.target.params['name']}")

    assert undo(action, found.target, prior).objects == {POLICY: Outcome.DRIFTED, MODELS: Outcome.ALREADY}
    assert policy(rig) is None


def test_a_policy_of_another_form_by_then_is_not_written(rig: Rig) -> None:
    """Not by the stop; an allow-list that lacks the service denies it as well."""
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    set_policy(rig, {"rules": [{"allowAll": True}]})
    with pytest.raises(ProviderError, match="since the plan was made"):
        action.apply(found.target, action.observe(found.target), "token")
    set_policy(rig, allowed(SECRETS))
    assert verdict(action, found.target) == "contained"


def test_who_writes_between_read_and_write_loses_nothing(rig: Rig) -> None:
    """The etag is compared: the next read has what they wrote, for the stop and for the restore."""
    set_policy(rig, denied(SECRETS))
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    old = action.observe(found.target)
    set_policy(rig, denied(SECRETS, "run.googleapis.com"))

    action.apply(found.target, old, "token")

    assert policy(rig)["spec"]["rules"] == denied(SECRETS, "run.googleapis.com", MODELS)["rules"]
    now = action.observe(found.target)
    set_policy(rig, denied(SECRETS, "run.googleapis.com", MODELS, "batch.googleapis.com"))
    outcome = action.revert(found.target, State(old.objects), now)
    assert outcome.objects == {POLICY: Outcome.DRIFTED, MODELS: Outcome.RESTORED}
    assert (
        policy(rig)["spec"]["rules"] == denied(SECRETS, "run.googleapis.com", "batch.googleapis.com")["rules"]
    )


def test_one_that_appears_between_read_and_write_is_added_to(rig: Rig) -> None:
    """Google refuses to make a second one (ALREADY_EXISTS)."""
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    none = action.observe(found.target)
    set_policy(rig, denied(SECRETS))

    action.apply(found.target, none, "token")

    assert policy(rig)["spec"]["rules"] == denied(SECRETS, MODELS)["rules"]


def test_somebody_who_writes_all_the_time_ends_the_try_and_not_the_step(rig: Rig) -> None:
    """Five conflicts, then the engine comes again."""
    set_policy(rig, denied(SECRETS))
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    state = action.observe(found.target)
    rig.control("faults", {"faults": [{"method": "*.policies.patch", "code": "ABORTED"}]})
    seen = len(rig.control("calls", {}))

    with pytest.raises(Conflict):
        action.apply(found.target, state, "token")

    tried = [one for one in rig.control("calls", {})[seen:] if one["method"].endswith("policies.patch")]
    assert len(tried) == restrict_services.MOST_TRIES


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"code": "PERMISSION_DENIED"}, Denied),
        ({"code": "RESOURCE_EXHAUSTED"}, Throttled),
        ({"code": "UNAVAILABLE", "after": True, "times": 1}, Transient),
        ({"code": "DEADLINE_EXCEEDED", "after": True, "times": 1}, InDoubt),
    ],
)
def test_a_refusal_a_quota_and_a_lost_answer_are_told_and_read_back(
    rig: Rig, fault: dict[str, Json], error: type[Exception]
) -> None:
    """What was carried out is seen by the next read; what was refused is not contained."""
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    before = action.observe(found.target)
    rig.control("faults", {"faults": [{"method": "*.policies.create", **fault}]})

    with pytest.raises(error):
        action.apply(found.target, before, "token")

    assert verdict(action, found.target) == ("contained" if fault.get("after") else "not_contained")
    rig.control("faults", {"faults": []})
    prior, _ = close(action, found.target)
    assert undo(action, found.target, {**prior, **before.objects}).objects[MODELS] is Outcome.RESTORED
    assert policy(rig) is None


def test_one_that_has_no_etag_is_not_written_blindly(rig: Rig) -> None:
    """Where Google gave none, whoever wrote meanwhile would be undone."""
    set_policy(rig, denied(SECRETS))
    provider = rig.provider(**ACCEPTED)
    found = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    bare = {"name": found.target.params["name"], "spec": denied(SECRETS)}

    with pytest.raises(ProviderError, match="no etag"):
        action.apply(found.target, State({POLICY: bare}), "token")

    assert policy(rig)["spec"]["rules"] == denied(SECRETS)["rules"]
