"""``gcp.storage.deactivate_hmac_keys`` against the sandbox: Cloud Storage's own keys."""

from __future__ import annotations

import pytest

from breakglass.errors import Throttled
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.storage.deactivate_hmac_keys"


def made(rig: Rig, email: str) -> str:
    """Make an HMAC key; return its access id."""
    path = f"storage/v1/projects/{rig.project}/hmacKeys"
    answer = rig.admin.rest("storage", "POST", path, query={"serviceAccountEmail": email})
    return str(answer["metadata"]["accessId"])


def set_state(rig: Rig, key: str, state: str) -> None:
    """Change one as the owner."""
    path = f"storage/v1/projects/{rig.project}/hmacKeys/{key}"
    rig.admin.rest("storage", "PUT", path, body={"state": state})


def works(rig: Rig, key: str) -> bool:
    """Tell whether a request that is signed with it would be taken."""
    return bool(rig.control("hmac.works", {"access_id": key})["works"])


def test_every_key_of_the_account_is_inactive_and_comes_back_as_it_was(rig: Rig) -> None:
    """One was inactive before, and those of another account are not touched."""
    email, other = rig.account("bot"), rig.account("other")
    first, off, others = made(rig, email), made(rig, email), made(rig, other)
    set_state(rig, off, "INACTIVE")
    before = rig.control("state")["hmac"]
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    assert [works(rig, one) for one in (first, off, others)] == [False, False, True]
    assert undo(action, target, prior).objects == {first: Outcome.RESTORED, off: Outcome.ALREADY}
    assert rig.control("state")["hmac"] == before


def test_a_key_that_was_made_after_the_plan_is_inactive_and_stays_so(rig: Rig) -> None:
    """The agent makes itself one while people sign."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    late = made(rig, email)
    prior, _ = close(action, target)
    assert not works(rig, late)
    assert undo(action, target, prior).objects == {late: Outcome.ENDED}
    assert not works(rig, late)


def test_a_key_that_is_gone_at_the_restore_has_drifted(rig: Rig) -> None:
    """Whoever deleted it meant it."""
    email = rig.account("bot")
    key = made(rig, email)
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    prior, _ = close(action, target)
    rig.admin.rest("storage", "DELETE", f"storage/v1/projects/{rig.project}/hmacKeys/{key}")
    assert undo(action, target, prior).objects == {key: Outcome.DRIFTED}


def test_a_change_that_somebody_else_always_wins_is_a_conflict_and_never_contained(rig: Rig) -> None:
    """Cloud Storage refuses the write whose ETag is old."""
    email = rig.account("bot")
    made(rig, email)
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    state = action.observe(target)
    rig.control("faults", {"faults": [{"method": "storage.projects.hmacKeys.update", "code": "ABORTED"}]})
    with pytest.raises(Conflict):
        action.apply(target, state, "t")
    rig.control("faults", {"faults": []})
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED


def test_a_write_with_an_old_etag_is_refused_by_the_sandbox(rig: Rig) -> None:
    """That is what the compare-and-set relies on."""
    email = rig.account("bot")
    path = f"storage/v1/projects/{rig.project}/hmacKeys/{made(rig, email)}"
    with pytest.raises(Conflict):
        rig.admin.rest("storage", "PUT", path, body={"state": "INACTIVE", "etag": "old"})


def test_throttling_leaves_the_step_open(rig: Rig) -> None:
    """The engine waits and comes again."""
    email = rig.account("bot")
    key = made(rig, email)
    provider = rig.provider(service_accounts=[email])
    action, target = provider.actions[ACTION], proposal(provider, ACTION).target
    state = action.observe(target)
    fault = {"method": "storage.projects.hmacKeys.update", "code": "RESOURCE_EXHAUSTED", "times": 1}
    rig.control("faults", {"faults": [fault]})
    with pytest.raises(Throttled):
        action.apply(target, state, "t")
    assert works(rig, key)
    close(action, target)
    assert not works(rig, key)


def test_where_cloud_storage_is_not_enabled_there_are_none(rig: Rig) -> None:
    """It is said, and nothing else waits for it."""
    email = rig.account("bot")
    services = ["iam.googleapis.com", "cloudresourcemanager.googleapis.com"]
    rig.control("project", {"id": rig.project, "services": services})
    found = rig.provider(service_accounts=[email]).discover()
    assert "HMAC keys" in [one.resource for one in found.not_touched]
