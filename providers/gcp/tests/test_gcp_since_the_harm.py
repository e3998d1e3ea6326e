"""Keys that were let in since the harm began: a stop turns them off, and no restore turns them on again."""

from __future__ import annotations

import pytest

from providers.gcp.tests.harm_gcp import CREATOR, MALLORY, MINT, Harm, enable, upload
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig
from providers.gcp.tests.test_gcp_hmac import made as hmac_key
from providers.gcp.tests.test_gcp_hmac import set_state
from providers.gcp.tests.test_gcp_keys import made, set_key

KEYS, HMAC = "gcp.iam.disable_keys", "gcp.storage.deactivate_hmac_keys"
UNREAD = {"method": "*ListLogEntries", "code": "PERMISSION_DENIED", "times": 99}


@pytest.fixture
def harm(rig: Rig) -> Harm:
    """Return an agent before the harm."""
    return Harm.of(rig)


def test_a_key_that_was_uploaded_since_stays_off_and_one_of_before_comes_back(harm: Harm) -> None:
    """Its times are those of a certificate that whoever uploads it writes: the audit log alone tells."""
    known = upload(harm)
    harm.begins()
    planted = upload(harm)

    step, _ = harm.plan(KEYS)

    assert harm.stopped_and_restored(step) == {known: "restored", planted: "ended"}
    assert [one.partition(" at ")[0] for one in step.affects] == [
        f"key {planted}, uploaded since the harm began, by {harm.bot}"
    ]
    assert step.target.label.endswith("; 1 since the harm began: off for good")


def test_a_retired_key_that_was_enabled_since_stays_off_whoever_enabled_it(harm: Harm) -> None:
    """It was off when the harm began; but what the executor's own restore enabled is as it was before."""
    by_agent, by_owner, by_executor = (made(harm.rig, harm.bot)[0] for _ in range(3))
    for key in (by_agent, by_owner, by_executor):
        set_key(harm.rig, harm.bot, key, "disable")
    harm.rig.secrets.held["executor-key"] = made(harm.rig, harm.rig.email(EXECUTOR))[1]  # it tells who it is
    harm.begins(credential="executor-key")
    assert harm.provider is not None
    enable(harm, by_agent)
    enable(harm, by_owner, harm.rig.admin)
    enable(harm, by_executor, harm.provider.project)  # type: ignore[arg-type]  # the executor's own calls

    step, _ = harm.plan(KEYS)

    done = harm.stopped_and_restored(step)
    assert done == {by_agent: "ended", by_owner: "ended", by_executor: "restored"}


def test_a_key_that_was_off_in_the_plan_and_on_when_it_was_carried_out_stays_off(harm: Harm) -> None:
    """The agent enables it while people sign."""
    key, _ = made(harm.rig, harm.bot)
    set_key(harm.rig, harm.bot, key, "disable")
    hmac = hmac_key(harm.rig, harm.bot)
    set_state(harm.rig, hmac, "INACTIVE")
    harm.begins()
    steps = [harm.plan(one)[0] for one in (KEYS, HMAC)]
    enable(harm, key)
    set_state(harm.rig, hmac, "ACTIVE")

    assert [harm.stopped_and_restored(one) for one in steps] == [{key: "ended"}, {hmac: "ended"}]


def test_an_hmac_key_that_was_set_active_since_stays_inactive(harm: Harm) -> None:
    """It was made long before."""
    known, retired = hmac_key(harm.rig, harm.bot), hmac_key(harm.rig, harm.bot)
    set_state(harm.rig, retired, "INACTIVE")
    harm.begins()
    path = f"storage/v1/projects/{harm.rig.project}/hmacKeys/{retired}"
    harm.agent.rest("storage", "PUT", path, body={"state": "ACTIVE"})

    step, _ = harm.plan(HMAC)

    assert harm.stopped_and_restored(step) == {known: "restored", retired: "ended"}
    assert [one.partition(" at ")[0] for one in step.affects] == [
        f"key {retired}, set active since the harm began, by {harm.bot}"
    ]


def test_where_the_log_cannot_be_read_uploaded_keys_stay_off_and_the_others_are_named(harm: Harm) -> None:
    """Whether those were enabled since is not known: people are told before they sign."""
    uploaded, (own, _) = upload(harm), made(harm.rig, harm.bot)
    known, changed = hmac_key(harm.rig, harm.bot), hmac_key(harm.rig, harm.bot)
    harm.mints(MALLORY)
    harm.begins()
    set_state(harm.rig, changed, "INACTIVE")
    set_state(harm.rig, changed, "ACTIVE")
    harm.rig.control("faults", {"faults": [UNREAD]})

    step, found = harm.plan(KEYS)

    told = {one.resource: one.reason for one in found.not_touched if "audit log cannot be read" in one.reason}
    assert set(told) == {
        f"keys of service account {harm.bot}",
        "grants that were added since the harm began",
    }
    assert own in told[f"keys of service account {harm.bot}"]
    assert harm.stopped_and_restored(step) == {uploaded: "ended", own: "restored"}
    assert harm.stopped_and_restored(harm.plan(HMAC)[0]) == {known: "restored", changed: "ended"}
    assert set(harm.stopped_and_restored(harm.plan(MINT)[0]).values()) == {"restored"}


def test_a_time_that_nobody_said_judges_nothing(harm: Harm) -> None:
    """Without a moment at which the harm began there is no before: all comes back as it was."""
    key = upload(harm)
    harm.mints(MALLORY)
    harm.provider = harm.rig.provider(service_accounts=[harm.bot])

    outcomes = [harm.stopped_and_restored(harm.plan(one)[0]) for one in (KEYS, MINT)]

    assert outcomes == [{key: "restored"}, {f"{CREATOR} {MALLORY}": "restored"}]
