"""What counts as the agent's: by inventory and by label; and who else would be cut off with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakglass_gcp.discover.gather import gather
from breakglass_gcp.discover.labels import LABEL, origin_of, value_of
from breakglass_gcp.refusals import SERVICE_DISABLED
from providers.gcp.tests.rig_gcp import AGENT, LOCATION, Rig

LABELS = {LABEL: AGENT}


def parent(rig: Rig) -> str:
    """Return where things lie."""
    return f"projects/{rig.project}/locations/{LOCATION}"


def run_service(rig: Rig, name: str, account: str = "", **more: object) -> None:
    """Deploy a Cloud Run service."""
    template = {"containers": [{"image": "x"}], "service_account": account}
    asked = {"parent": parent(rig), "service_id": name, "service": {"template": template, **more}}
    assert rig.admin.operate("run_services", "create_service", asked)


def scheduler_job(rig: Rig, name: str, account: str) -> None:
    """Make a Cloud Scheduler job that calls something with an account's token."""
    target = {"uri": "https://example.com/", "oidc_token": {"service_account_email": account}}
    job = {"name": f"{parent(rig)}/jobs/{name}", "schedule": "0 3 * * *", "http_target": target}
    rig.admin.call("scheduler", "create_job", {"parent": parent(rig), "job": job})


@pytest.fixture
def faults(rig: Rig) -> Iterator[Rig]:
    """Give a project whose calls go wrong on order, and no longer than the test."""
    yield rig
    rig.control("faults", {"faults": []})


def test_what_carries_its_label_is_the_agents(rig: Rig) -> None:
    """Work, triggers and topics; of the same kind without the label nothing."""
    run_service(rig, "bot", labels=LABELS)
    run_service(rig, "web", labels={LABEL: "somebody-else"})
    topic = {"name": f"projects/{rig.project}/topics/events", "labels": LABELS}
    rig.admin.call("topics", "create_topic", topic)

    found = gather(rig.provider().project).found

    assert found.of("run_services") == (f"{LOCATION}/bot",)
    assert found.of("topics") == ("events",)
    assert found.origin("run_services", f"{LOCATION}/bot") == f"labelled {LABEL}={AGENT}"


def test_a_name_that_no_label_can_hold_is_written_with_underscores() -> None:
    """And it is said, since another agent's name may be written the same."""
    assert value_of("team/Bot.7") == "team_bot_7"
    assert "for team/Bot.7" in origin_of("team/Bot.7")
    assert origin_of("bot") == f"labelled {LABEL}=bot"


def test_other_users_of_its_account_are_named(rig: Rig) -> None:
    """Its own work is no other user; a service and a job of somebody else are, in words."""
    bot = rig.account("bot")
    run_service(rig, "own", bot)
    run_service(rig, "web", bot)
    scheduler_job(rig, "nightly", bot)

    found = gather(rig.provider(service_accounts=[bot], run_services=[f"{LOCATION}/own"]).project).found

    assert set(found.sharers[bot]) == {
        f"Cloud Run service {LOCATION}/web",
        f"Cloud Scheduler job {LOCATION}/nightly",
    }


def test_work_without_an_account_uses_the_default_one(rig: Rig) -> None:
    """A stop of that account would cut off everything that names none."""
    default = f"{rig.number}-compute@developer.gserviceaccount.com"
    run_service(rig, "web")

    found = gather(rig.provider(service_accounts=[default]).project).found

    if default in found.identities:
        assert found.sharers[default] == (f"Cloud Run service {LOCATION}/web",)
    else:
        assert "there is none" in str(gather(rig.provider(service_accounts=[default]).project).proposed)


def test_a_service_that_is_not_enabled_holds_nothing(faults: Rig) -> None:
    """It is no gap in what was seen."""
    faults.control(
        "faults",
        {"faults": [{"method": "*ListWorkflows", "code": "PERMISSION_DENIED", "reason": SERVICE_DISABLED}]},
    )

    assert gather(faults.provider().project).proposed.incomplete == ()


def test_a_listing_that_is_refused_is_said(faults: Rig) -> None:
    """What lies there may be the agent's: the verdict is unknown at best."""
    faults.control("faults", {"faults": [{"method": "*ListTriggers", "code": "PERMISSION_DENIED"}]})

    said = gather(faults.provider().project).proposed.incomplete

    assert any("Eventarc trigger" in one for one in said)


def test_a_region_that_is_down_hides_only_its_own(faults: Rig) -> None:
    """The other region is looked at all the same, and the gap is named."""
    run_service(faults, "bot", labels=LABELS)
    order = {"method": "*ListServices", "code": "UNAVAILABLE", "location": "us-central1"}
    faults.control("faults", {"faults": [order]})

    gathered = gather(faults.provider(locations=[LOCATION, "us-central1"]).project)

    assert gathered.found.of("run_services") == (f"{LOCATION}/bot",)
    assert any("us-central1" in one for one in gathered.proposed.incomplete)


def test_where_nobody_looked_is_said(rig: Rig) -> None:
    """Regions that the reach does not name."""
    notes = [one for one in gather(rig.provider().project).proposed.not_touched if "regions" in one.resource]

    assert LOCATION in notes[0].reason


def test_an_account_that_is_gone_is_said_and_the_others_are_read(rig: Rig) -> None:
    """One by one, and of many in one listing."""
    bots = [rig.account(f"bot-{n:02}-x") for n in range(12)]
    gone = rig.email("nobody-here")

    for named in ([bots[0], gone], [*bots, gone]):
        gathered = gather(rig.provider(service_accounts=[*named]).project)

        assert list(gathered.found.identities) == named[:-1]
        assert gathered.proposed.not_touched[0].resource == f"service account {gone}"


def test_an_account_made_anew_under_the_same_address_is_another_principal(rig: Rig) -> None:
    """So that one which appears after the signatures is found, and not taken for the one that was signed."""
    bot = rig.account("bot")
    before = rig.provider(service_accounts=[bot]).discover().principals
    rig.admin.call("iam_admin", "delete_service_account", {"name": f"projects/-/serviceAccounts/{bot}"})
    rig.account("bot")

    after = rig.provider(service_accounts=[bot]).discover().principals

    assert {one.id for one in before} != {one.id for one in after}
