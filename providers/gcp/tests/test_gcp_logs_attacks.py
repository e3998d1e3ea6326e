"""An agent that writes its own log can neither hide, nor break the collection, nor leak by it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.model.resource import State
from breakglass_gcp import log_queries, log_reading
from breakglass_gcp.actions.log_entries import BUDGET_S, SPEC
from breakglass_gcp.log_reading import Pieces
from breakglass_gcp.redact import redactor
from providers.gcp.tests.rig_gcp import Rig, close, proposal
from providers.gcp.tests.test_gcp_logs import SERVICE, bucket, lines, texts

BOT = "europe-west1/bot"
SECRETS = {
    "oauth": "ya29.a0AfB_byDq8sK2mN4pR7tV9xZ1cE3gH5jL",
    "api": "AIzaSyD-1a2B3c4D5e6F7g8H9i0JkLmNoPqRsTu",
    "password": "correct-horse-7-battery",
    "jwt": "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJib3QifQ.c2lnbmF0dXJl",
    "bare": "q8Zr3Lx0Vb6Tn1Kw9Yp4Jd7Hs2Fg5Mc",
}


def agent(rig: Rig, *roles: str) -> tuple[str, Any]:
    """Make the agent's account; return its address and calls as it."""
    email = rig.account("bot", roles=["roles/logging.logWriter", *roles])
    return email, rig.calls_as(rig.token(email))


def entry(rig: Rig, **payload: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of the API
    """Return an entry of the agent's service."""
    return {"log_name": f"projects/{rig.project}/logs/stdout", "resource": SERVICE, **payload}


def written(rig: Rig) -> str:
    """Return all that lies in the incident."""
    files = (rig.folder / "incident-0").rglob("*")
    return "".join(Path(one).read_text(encoding="utf-8") for one in files if one.is_file())


def test_secrets_that_stand_in_its_log_come_neither_here_nor_into_the_bucket(rig: Rig) -> None:
    """As text, in JSON under any name, in labels, and in what it calls an identifier."""
    _, calls = agent(rig)
    made = [
        entry(rig, text_payload=f"token {SECRETS['oauth']} and password={SECRETS['password']}"),
        entry(
            rig, json_payload={"a": {"api_key": SECRETS["api"]}, "env": [{"name": "X", "value": "hush-1"}]}
        ),
        entry(rig, labels={"note": SECRETS["jwt"]}, text_payload=SECRETS["bare"]),
        entry(rig, insert_id="one", json_payload={"insert_id": SECRETS["oauth"]}),
    ]
    calls.call("logs", "write_log_entries", {"entries": made})
    name = bucket(rig, "worm")
    provider = rig.provider(run_services=[BOT], evidence_bucket=name)

    _, state = close(provider.actions[SPEC.name], proposal(provider, SPEC.name).target)

    assert len(lines(rig, state)) == 4
    there = "".join(rig.control("storage.read", {"bucket": name}).values())
    for text in (written(rig), there):
        assert "[REDACTED:" in text
        assert not [one for one in (*SECRETS.values(), "hush-1") if one in text]


def test_entries_that_are_no_json_are_kept_as_text(rig: Rig) -> None:
    """NaN is a number for Cloud Logging, and none for JSON."""
    _, calls = agent(rig)
    made = [entry(rig, json_payload={"x": float("nan")}), entry(rig, json_payload={"password": "hunter-2-x"})]
    calls.call("logs", "write_log_entries", {"entries": [*made, entry(rig, text_payload="after")]})
    provider = rig.provider(run_services=[BOT])

    _, state = close(provider.actions[SPEC.name], proposal(provider, SPEC.name).target)

    assert len(lines(rig, state)) == 3
    assert "after" in texts(rig, state)
    assert any("as_text" in one for one in lines(rig, state))
    assert "hunter-2-x" not in written(rig)


def test_a_flood_is_read_from_both_ends_in_bounded_time_and_hides_no_audit_entry(rig: Rig) -> None:
    """What was not read is said; what the platform wrote was read first."""
    email, calls = agent(rig, "roles/pubsub.editor")
    calls.call("topics", "create_topic", {"name": f"projects/{rig.project}/topics/evil"})
    rig.control("logging.log", {**SERVICE, "text": "first"})
    rig.control("logging.log", {**SERVICE, "text": "noise {n} " + "x" * 200, "times": 25_000})
    rig.control("logging.log", {**SERVICE, "text": "last"})
    provider = rig.provider(service_accounts=[email], run_services=[BOT])
    found, action = proposal(provider, SPEC.name), provider.actions[SPEC.name]
    begun_s = time.monotonic()

    _, state = close(action, found.target)

    assert time.monotonic() - begun_s < BUDGET_S + 8
    kept = lines(rig, state)
    assert {"first", "last"} <= {str(one.get("text_payload")) for one in kept}
    audited = [one for one in kept if "proto_payload" in one]
    assert any("CreateTopic" in one["proto_payload"]["method_name"] for one in audited)
    judged = action.judge(found.target, state)
    assert judged.verdict is Verdict.CONTAINED
    assert len(kept) > 25_000 or "were not read, collect them later" in judged.reason


def test_a_log_that_it_deletes_is_here_already_and_the_deletion_is_in_the_audit_log(rig: Rig) -> None:
    """Nobody deletes what the platform wrote."""
    email, calls = agent(rig, "roles/logging.admin")
    rig.control("logging.log", {**SERVICE, "text": "evil"})
    provider = rig.provider(service_accounts=[email], run_services=[BOT])
    _, state = close(provider.actions[SPEC.name], proposal(provider, SPEC.name).target)
    calls.call("logs", "delete_log", {"log_name": f"projects/{rig.project}/logs/stdout"})

    assert texts(rig, state) == ["evil"]
    again = rig.provider(service_accounts=[email], run_services=[BOT])
    _, later = close(again.actions[SPEC.name], proposal(again, SPEC.name).target)
    listed = [one for name, one in later.objects.items() if name.endswith(".jsonl")]
    text = Path(rig.folder / "incident-1" / str(listed[0]["path"])).read_text(encoding="utf-8")  # type: ignore[index,call-overload]  # JSON
    assert "DeleteLog" in text


def test_a_sink_that_somebody_turned_off_is_said_before_anyone_signs(rig: Rig) -> None:
    """Entries may be kept nowhere since."""
    email, calls = agent(rig, "roles/logging.admin")
    name = f"projects/{rig.project}/sinks/_Default"
    drop = {"name": "hush", "filter": 'resource.type="cloud_run_revision"'}
    sink = {"name": "_Default", "disabled": True, "exclusions": [drop]}
    calls.call("log_config", "update_sink", {"sink_name": name, "sink": sink})

    found = rig.provider(service_accounts=[email]).discover()

    said = [one.reason for one in found.not_touched if one.resource == "log sink _Default"]
    assert any("DISABLED" in one for one in said)
    assert any("exclusion hush" in one for one in said)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_nothing_read_is_not_nothing_there(rig: Rig, code: str) -> None:
    """A service that throttles or fails leaves the step open."""
    rig.control("logging.log", {**SERVICE, "text": "one"})
    provider = rig.provider(run_services=[BOT])
    rig.control("faults", {"faults": [{"method": "*ListLogEntries", "code": code}]})
    until_s = time.monotonic() + 1
    kept: dict[str, bytes] = {}
    pieces = Pieces("work", redactor(b"k"), kept.__setitem__)

    reading = log_reading.read(provider.project, "", pieces, lambda: until_s - time.monotonic())

    assert (reading.entries, reading.complete) == (0, False)
    assert reading.failed
    assert kept == {}


def test_logs_that_may_not_be_read_leave_the_step_open(rig: Rig) -> None:
    """The API is off, or the right was taken."""
    provider = rig.provider(run_services=[BOT])
    found, action = proposal(provider, SPEC.name), provider.actions[SPEC.name]
    fault = {"method": "*ListLogEntries", "code": "PERMISSION_DENIED", "reason": "SERVICE_DISABLED"}
    rig.control("faults", {"faults": [fault]})

    with pytest.raises(Exception, match="not enabled"):
        action.apply(found.target, State({}), "t")

    assert action.judge(found.target, action.observe(found.target)).verdict is Verdict.UNKNOWN


def test_a_name_cannot_leave_its_quotes_in_a_filter() -> None:
    """Names are the inventory's, and still are values alone."""
    assert log_queries.quoted('a"OR"b\\') == '"a\\"OR\\"b\\\\"'
    many = log_queries.joined([f"resource.labels.x={'y' * 200}{n}" for n in range(300)])
    assert len(many) > 1
    assert all(len(one) <= log_queries.MOST for one in many)
