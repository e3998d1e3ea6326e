"""Log entries: those of the agent, without secrets, here and locked in the bucket, honest about the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from breakglass.errors import Denied
from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_gcp.actions.evidence_bucket import Collected
from breakglass_gcp.actions.log_entries import SPEC
from breakglass_gcp.connect import GcpProvider
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

SERVICE = {"type": "cloud_run_revision", "labels": {"service_name": "bot", "location": "europe-west1"}}
DAYS = 86_400


def lines(rig: Rig, state: State) -> list[dict[str, Any]]:
    """Return the collected entries."""
    found: list[dict[str, Any]] = []
    for name, item in state.objects.items():
        if isinstance(item, dict) and name.endswith(".jsonl"):
            text = Path(rig.folder / "incident-0" / str(item["path"])).read_text(encoding="utf-8")
            found += [json.loads(line) for line in text.splitlines()]
    return found


def texts(rig: Rig, state: State) -> list[str]:
    """Return the text of each collected entry of the agent's work."""
    return [str(one["text_payload"]) for one in lines(rig, state) if "text_payload" in one]


def collected(provider: GcpProvider) -> State:
    """Carry the step out as the engine does."""
    return close(provider.actions[SPEC.name], proposal(provider, SPEC.name).target)[1]


def bucket(rig: Rig, name: str, *, days: int = 31, locked: bool = True, project: str = "") -> str:
    """Make a bucket with a retention policy; return its name."""
    name = f"{rig.project}-{name}"
    retention = {"retentionPolicy": {"retentionPeriod": str(days * DAYS)}} if days else {}
    asked = {"project": project or rig.project}
    made = rig.admin.rest("storage", "POST", "storage/v1/b", query=asked, body={"name": name, **retention})
    if locked:
        match = {"ifMetagenerationMatch": made["metageneration"]}
        rig.admin.rest("storage", "POST", f"storage/v1/b/{name}/lockRetentionPolicy", query=match)
    return name


def test_what_its_work_said_and_what_its_account_did_is_copied_and_nothing_else(rig: Rig) -> None:
    """One filter over the platform's audit entries, one over the entries of its work."""
    email = rig.account("bot", roles=["roles/pubsub.editor"])
    rig.calls_as(rig.token(email)).call(
        "topics", "create_topic", {"name": f"projects/{rig.project}/topics/t"}
    )
    rig.control("logging.log", {**SERVICE, "text": "hello {n}", "times": 2})
    rig.control("logging.log", {"type": "cloud_run_revision", "labels": {"service_name": "x"}, "text": "no"})
    provider = rig.provider(service_accounts=[email], run_services=["europe-west1/bot"])

    state = collected(provider)

    assert sorted(texts(rig, state)) == ["hello 0", "hello 1"]
    audited = [one["proto_payload"] for one in lines(rig, state) if "proto_payload" in one]
    assert [
        one["method_name"] for one in audited if one["authentication_info"]["principal_email"] == email
    ] == ["google.pubsub.v1.Publisher.CreateTopic"]


def test_the_words_say_up_to_when_and_that_reads_are_in_no_log(rig: Rig) -> None:
    """What is not there must not look as if it had not happened."""
    rig.control("logging.log", {**SERVICE, "text": "one"})
    provider = rig.provider(run_services=["europe-west1/bot"])

    judged = provider.actions[SPEC.name].judge(proposal(provider, SPEC.name).target, collected(provider))

    assert judged.verdict is Verdict.CONTAINED
    assert "collected up to 20" in judged.reason
    assert "Data Access audit logs are off" in judged.reason
    assert any(one.resource == "Data Access audit logs" for one in provider.discover().not_touched)


def test_all_pages_are_read_each_entry_once(rig: Rig) -> None:
    """A page holds 1,000 entries at the most."""
    rig.control("logging.log", {**SERVICE, "text": "line {n}", "times": 2001})
    provider = rig.provider(run_services=["europe-west1/bot"])

    assert sorted(texts(rig, collected(provider))) == sorted(f"line {n}" for n in range(2001))


def test_the_operators_own_filter_picks_entries_too(rig: Rig) -> None:
    """It stands beside the resources that the inventory names."""
    rig.control("logging.log", {"entry_labels": {"team": "bots"}, "text": "mine"})
    provider = rig.provider(log_filter='labels.team="bots"')

    assert texts(rig, collected(provider)) == ["mine"]


def test_a_filter_of_the_operators_that_is_none_is_left_out_and_said(rig: Rig) -> None:
    """Nothing of what the other filter found is lost."""
    email = rig.account("bot")
    provider = rig.provider(service_accounts=[email], log_filter="labels.team==")
    found, action = proposal(provider, SPEC.name), provider.actions[SPEC.name]

    with pytest.raises(Denied, match=r"work: .*Unparseable filter"):
        action.apply(found.target, State({}), "t")

    state = action.observe(found.target)
    assert action.judge(found.target, state).verdict is Verdict.UNKNOWN
    assert "gcp/" + rig.project + "/logs/about.json" in state.objects


def test_evidence_lies_in_the_locked_bucket_where_nobody_removes_it(rig: Rig) -> None:
    """The same bytes, written once, retained as long as the reach asks."""
    name = bucket(rig, "worm")
    rig.control("logging.log", {**SERVICE, "text": "one"})
    provider = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=name)

    state = collected(provider)

    there = rig.control("storage.read", {"bucket": name})
    here = [one for one in state.objects.values() if isinstance(one, dict) and "bucket" in one]
    assert len(there) == len(here) == 2
    for one in here:
        path = Path(rig.folder / "incident-0" / str(one["path"]))
        assert there[one["bucket"]["object"]] == path.read_text(encoding="utf-8")
    with pytest.raises(Denied, match="retention policy"):
        rig.admin.rest("storage", "DELETE", f"storage/v1/b/{name}/o/" + next(iter(there)).replace("/", "%2F"))


def test_a_bucket_that_can_be_cleaned_up_is_refused_and_said_before_anyone_signs(rig: Rig) -> None:
    """It is not locked here: that cannot be undone, and is decided in peacetime."""
    name = bucket(rig, "open", locked=False)
    rig.control("logging.log", {**SERVICE, "text": "one"})
    provider = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=name)
    found, action = proposal(provider, SPEC.name), provider.actions[SPEC.name]

    assert any("no locked retention policy" in one for one in provider.discover().incomplete)
    with pytest.raises(Denied, match="no locked retention policy"):
        action.apply(found.target, State({}), "t")

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.UNKNOWN
    assert texts(rig, action.observe(found.target)) == ["one"]
    assert rig.control("storage.read", {"bucket": name}) == {}


def test_a_bucket_that_keeps_too_short_or_is_not_there_is_refused(rig: Rig) -> None:
    """As many days as the reach asks, and 30 where it does not say."""
    short = bucket(rig, "short", days=7)

    for name, words in ((short, "7 days, and 30 are asked"), (f"{rig.project}-none", "no such bucket")):
        found = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=name).discover()
        assert any(words in one for one in found.incomplete)
    kept = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=short, evidence_days="7")
    assert kept.discover().incomplete == ()


def test_a_bucket_that_somebody_else_made_again_under_its_name_gets_nothing(rig: Rig) -> None:
    """The number of its project is part of what was signed."""
    name = bucket(rig, "moved")
    rig.control("logging.log", {**SERVICE, "text": "one"})
    provider = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=name)
    found, action = proposal(provider, SPEC.name), provider.actions[SPEC.name]
    rig.admin.rest("storage", "DELETE", f"storage/v1/b/{name}")
    other = rig.sandbox.control("project", {})["project"]
    bucket(rig, "moved", project=other)
    binding = {"role": "roles/storage.admin", "members": ["allAuthenticatedUsers"]}
    welcome = {"resource": f"projects/{other}", "policy": {"bindings": [binding]}}
    rig.admin.call("projects", "set_iam_policy", welcome)

    with pytest.raises(Denied, match="belongs to project"):
        action.apply(found.target, State({}), "t")

    assert rig.control("storage.read", {"bucket": name}) == {}


def test_reading_changed_nothing_so_that_there_is_nothing_to_undo(rig: Rig) -> None:
    """The evidence stays."""
    provider = rig.provider(run_services=["europe-west1/bot"])
    target = proposal(provider, SPEC.name).target
    prior, _ = close(provider.actions[SPEC.name], target)

    assert set(undo(provider.actions[SPEC.name], target, prior).objects.values()) == {Outcome.ALREADY}


def test_without_anything_of_the_agents_nothing_is_collected_and_that_is_said(rig: Rig) -> None:
    """A project's log is everybody's."""
    found = rig.provider().discover()

    assert not [one for one in found.proposals if one.action == SPEC.name]
    assert any(one.resource == "log entries" for one in found.not_touched)


def test_what_an_earlier_try_wrote_is_not_written_over(rig: Rig) -> None:
    """Other bytes under the same name get a name of their own, here and there."""
    name = bucket(rig, "worm")
    provider = rig.provider(run_services=["europe-west1/bot"], evidence_bucket=name)
    target, kept = proposal(provider, SPEC.name).target, Collected(provider.project)

    for data in (b"one", b"two", b"one"):
        kept.put(target, "a.jsonl", "test", data)

    assert sorted(rig.control("storage.read", {"bucket": name}).values()) == ["one", "two"]


def test_data_access_logs_that_spare_somebody_are_not_called_on(rig: Rig) -> None:
    """The agent may have exempted itself."""
    resource = f"projects/{rig.project}"
    kinds = [
        {"log_type": "DATA_READ"},
        {"log_type": "DATA_WRITE", "exempted_members": ["user:a@example.com"]},
    ]
    for logs, words in (([*kinds], "on in part"), ([kinds[0], {"log_type": "DATA_WRITE"}], "on")):
        policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
        del policy.audit_configs[:]
        policy.audit_configs.add(service="allServices", audit_log_configs=logs)
        rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
        provider = rig.provider(run_services=["europe-west1/bot"])
        assert proposal(provider, SPEC.name).target.params["data_access"] == words


def test_what_an_account_granted_is_readable_in_its_entries(rig: Rig) -> None:
    """The change of a policy is what an investigation looks for first."""
    email = rig.account("bot", roles=["roles/owner"])
    resource = f"projects/{rig.project}"
    policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/viewer", members=["user:eve@example.com"])
    rig.calls_as(rig.token(email)).call(
        "projects", "set_iam_policy", {"resource": resource, "policy": policy}
    )

    state = collected(rig.provider(service_accounts=[email]))

    audited = [one for one in lines(rig, state) if "as_text" not in one]
    assert any("user:eve@example.com" in str(one["proto_payload"]) for one in audited)
