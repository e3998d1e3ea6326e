"""The service copies whole log buckets to the locked bucket; a copy that has not ended is not contained."""

from __future__ import annotations

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Proposal
from breakglass_gcp.actions.evidence_bucket import Bucket, Taken
from breakglass_gcp.actions.log_bucket import SPEC
from breakglass_gcp.connect import GcpProvider
from providers.gcp.tests.rig_gcp import Rig
from providers.gcp.tests.test_gcp_logs import SERVICE, bucket


def steps(provider: GcpProvider) -> dict[str, Proposal]:
    """Return the steps by the log bucket's name."""
    found = [one for one in provider.discover().proposals if one.action == SPEC.name]
    return {one.target.id.rpartition("/")[2]: one for one in found}


def carried(rig: Rig, provider: GcpProvider, step: Proposal) -> State:
    """Begin a copy, and look until it has ended."""
    action = provider.actions[SPEC.name]
    action.apply(step.target, action.observe(step.target), "t")
    for _ in range(40):
        state = action.observe(step.target)
        if action.judge(step.target, state).verdict is Verdict.CONTAINED:
            break
        rig.sandbox.control("advance", {"seconds": 0.05})
    return state


def test_every_log_bucket_is_copied_and_said_to_take_secrets_along(rig: Rig) -> None:
    """What nobody can delete and what somebody can, each with a step of its own."""
    rig.control("logging.log", {**SERVICE, "text": "a line"})
    name = bucket(rig, "worm")
    provider = rig.provider(evidence_bucket=name)
    found = steps(provider)

    for one in found.values():
        assert any("secrets in them too" in said for said in one.affects)
        carried(rig, provider, one)

    assert sorted(found) == ["_Default", "_Required"]
    there = rig.control("storage.read", {"bucket": name})
    assert any("a line" in text for key, text in there.items() if key.startswith("_Default/"))
    assert any("cloudaudit" in text for key, text in there.items() if key.startswith("_Required/"))


def test_a_copy_that_goes_on_is_unknown_and_is_not_begun_twice(rig: Rig) -> None:
    """It goes on by itself; nobody says that it has ended."""
    provider = rig.provider(evidence_bucket=bucket(rig, "worm"))
    step, action = steps(provider)["_Default"], provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*CopyLogEntries", "operation": "never"}]})
    action.apply(step.target, action.observe(step.target), "t")
    state = action.observe(step.target)
    action.apply(step.target, state, "t")

    assert action.judge(step.target, state).verdict is Verdict.UNKNOWN
    assert action.observe(step.target).objects == state.objects


def test_a_copy_that_fails_is_unknown_with_the_services_words(rig: Rig) -> None:
    """Trying again would fail the same."""
    name = bucket(rig, "worm")
    provider = rig.provider(evidence_bucket=name)
    step, action = steps(provider)["_Default"], provider.actions[SPEC.name]
    rig.control("faults", {"faults": [{"method": "*CopyLogEntries", "operation": "0.3"}]})
    action.apply(step.target, action.observe(step.target), "t")
    rig.admin.rest("storage", "DELETE", f"storage/v1/b/{name}")
    rig.sandbox.control("advance", {"seconds": 1})
    rig.control("platform", {"ticks": 1})

    state = action.observe(step.target)

    assert "does not exist" in action.judge(step.target, state).reason
    with pytest.raises(Denied, match="does not exist"):
        action.apply(step.target, state, "t")


def test_without_a_bucket_or_with_one_that_is_none_nothing_is_proposed_and_that_is_said(rig: Rig) -> None:
    """A copy in a bucket that can be emptied proves nothing."""
    assert not steps(rig.provider())
    assert any("locked copy" in one.resource for one in rig.provider().discover().not_touched)
    opened = rig.provider(evidence_bucket=bucket(rig, "open", locked=False))
    assert not steps(opened)
    assert any("no locked retention" in one for one in opened.discover().incomplete)


def test_a_lost_answer_of_a_write_is_resolved_by_what_lies_there(rig: Rig) -> None:
    """The same bytes again are fine, others are never written over them."""
    held = Bucket(rig.provider().project, bucket(rig, "worm"), days=30)
    fault = {"method": "storage.objects.insert", "project": "*", "code": "UNAVAILABLE", "times": 1}
    rig.sandbox.control("faults", {"faults": [{**fault, "after": True}]})
    first = held.put("a/b.jsonl", b"one")
    rig.sandbox.control("faults", {"faults": []})

    assert held.put("a/b.jsonl", b"one") == first
    with pytest.raises(Taken):
        held.put("a/b.jsonl", b"two")
