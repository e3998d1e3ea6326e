"""The report is a contract: its fields, its JSON Schema, and a verdict that never flatters."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from breakglass.clock import Instant
from breakglass.journal.history import replay
from breakglass.model.action import Grade, Verdict
from breakglass.report.build import Report, Truth, build
from breakglass.shape import describe
from breakglass.verify.judge import assess
from tests.report.samples import (
    DIGEST,
    Told,
    a_contained_run,
    a_door,
    a_plan,
    a_report,
    a_step,
    unreachable,
)

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/report.schema.json").read_text())


def _without_words(node: object) -> object:
    """Drop titles and descriptions, but not properties that are called so."""
    if isinstance(node, list):
        return [_without_words(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _without_words(child) for name, child in value.items()}
        if key == "properties"
        else _without_words(value)
        for key, value in node.items()
        if key not in ("description", "title", "$schema")
    }


def test_the_schema_in_docs_is_exactly_the_shape_of_the_report() -> None:
    """Every field is required, described and closed: the file cannot fall behind the code."""
    assert describe(Report) == _without_words(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["contained", "open", "empty"])
def test_real_reports_hold_against_the_schema(name: str) -> None:
    """A whole run, a run with doors and missing times, and a run that never began."""
    plan, told = a_contained_run()
    if name == "open":
        plan = a_plan(a_step(0), doors=(a_door(),), not_planned=(unreachable(),), detection=None)
        told = Told().claimed().started(0)
        told.add("found.not_signed", provider="host", scope="local", kind="user", id="bot2", reason="new")
    elif name == "empty":
        plan, told = a_plan(a_step(0)), Told()

    document = json.loads(a_report(plan, told).to_json())

    jsonschema.Draft202012Validator(SCHEMA).validate(document)


def test_the_schema_refuses_a_field_that_it_does_not_know() -> None:
    """A closed contract: what is new is a change of the contract."""
    document = json.loads(a_report(*a_contained_run()).to_json())
    document["timings"]["guess_s"] = 1.0

    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(document)


def test_a_proven_run_is_contained_with_its_four_instants() -> None:
    """Each step carries requested, accepted, read back and proven."""
    report = a_report(*a_contained_run())

    assert Verdict.CONTAINED is report.verdict
    assert ["alice@example.com", "bob@example.com"] == [signer.person for signer in report.signers]
    step = report.steps[1]
    assert "2026-11-20T03:16:58.300Z" == str(step.requested_at)
    assert "2026-11-20T03:16:58.800Z" == str(step.accepted_at)
    assert "2026-11-20T03:16:58.800Z" == str(step.read_back_at)
    assert "2026-11-20T03:16:59.800Z" == str(step.proven_at)


def test_seconds_are_written_with_three_decimals_at_most() -> None:
    """Floats are allowed in the report only, and short."""
    document = json.loads(a_report(*a_contained_run()).to_json())

    assert 39.8 == document["timings"]["revoke_s"]
    assert 1.6 == document["timings"]["since_authorised"]["proven"]["revoke_s"]


def test_a_step_that_was_called_contained_without_proof_is_reported_unknown() -> None:
    """Grade none is never success, whatever the record says."""
    told = Told().claimed().started(0).read_back(0).closed(0, grade=Grade.NONE)

    report = a_report(a_plan(a_step(0)), told)

    assert Verdict.UNKNOWN is report.steps[0].verdict
    assert report.steps[0].proven_at is None
    assert Verdict.UNKNOWN is report.verdict


def test_names_cannot_act_on_a_terminal_through_json() -> None:
    """Control, bidi and delete characters leave as escapes."""
    plan = a_plan(a_step(0, label="bot\x1b[2J\u202e\x7f"))

    data = a_report(plan, Told()).to_json()

    assert data.isascii()
    assert all(byte >= 0x20 or byte == 0x0A for byte in data)
    assert b"\x7f" not in data
    assert "bot\x1b[2J\u202e\x7f" == json.loads(data)["steps"][0]["target"]["label"]


def test_a_drill_carries_the_truth() -> None:
    """Per channel: the last effect that arrived and the instant that we call proven."""
    plan, told = a_contained_run()
    truth = (Truth("http", Instant.parse("2026-11-20T03:16:58.4Z".replace(".4Z", ".400Z")), None),)

    report = build(
        plan, told.records, assess(plan, replay(told.records)), digest=DIGEST, journal="j", truth=truth
    )

    assert [{"channel": "http", "last_effect_at": "2026-11-20T03:16:58.400Z", "proven_at": None}] == (
        json.loads(report.to_json())["truth"]
    )
