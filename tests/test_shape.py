"""One declaration reads, writes and describes a signed document, and admits nothing else."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from breakglass.canon import canonical
from breakglass.errors import MalformedInput
from breakglass.model.plan import Plan
from breakglass.model.roster import Roster
from breakglass.shape import Between, Digest, Match, decode, describe, encode
from tests.documents import paths, plans, rosters

DOCS = Path(__file__).parents[1] / "docs"
PLAN_SCHEMA = json.loads((DOCS / "plan.schema.json").read_text(encoding="utf-8"))
ROSTER_SCHEMA = json.loads((DOCS / "roster.schema.json").read_text(encoding="utf-8"))
PLAN_RULES = jsonschema.Draft202012Validator(PLAN_SCHEMA)
ROSTER_RULES = jsonschema.Draft202012Validator(ROSTER_SCHEMA)
unhurried = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(plans())
def test_a_plan_is_read_back_as_it_was_signed(plan: Plan) -> None:
    """Writing and reading a plan changes nothing, and its published schema admits it."""
    written = plan.to_bytes()

    assert plan == Plan.from_bytes(written, where="plan.json")
    assert written == Plan.from_bytes(written, where="plan.json").to_bytes()
    PLAN_RULES.validate(json.loads(written))


@unhurried
@given(rosters)
def test_a_roster_is_read_back_as_it_was_signed(roster: Roster) -> None:
    """Writing and reading a roster changes nothing, and its published schema admits it."""
    written = roster.to_bytes()

    assert roster == Roster.from_bytes(written, where="roster.json")
    ROSTER_RULES.validate(json.loads(written))


WRONG: list[Any] = [None, True, 0, -1, 2**53 - 1, "", "\u00e9 ", "x\ny", [], {}, [1], {"a": 1}]


@unhurried
@given(plans(), st.data())
def test_the_schema_refuses_nothing_that_the_code_admits(plan: Plan, draw: st.DataObject) -> None:
    """Whatever value is put wherever: what the code reads, the published schema admits."""
    document = json.loads(plan.to_bytes())
    way = draw.draw(st.sampled_from(paths(document)))
    holder = document
    for part in way[:-1]:
        holder = holder[part]
    holder[way[-1]] = copy.deepcopy(draw.draw(st.sampled_from(WRONG)))
    try:
        Plan.from_bytes(canonical(document), where="plan.json")
    except MalformedInput:
        return

    PLAN_RULES.validate(document)


@unhurried
@given(plans(), st.data())
def test_a_field_too_many_or_too_few_is_refused_by_name(plan: Plan, draw: st.DataObject) -> None:
    """A signed document has exactly the fields of its schema."""
    document = json.loads(plan.to_bytes())
    with pytest.raises(MalformedInput, match="unknown field 'zzz'"):
        decode(Plan, document | {"zzz": 1}, where="plan.json")
    gone = draw.draw(st.sampled_from(sorted(document)))
    del document[gone]

    with pytest.raises(MalformedInput, match=f"missing field '{gone}'"):
        decode(Plan, document, where="plan.json")
    assert not PLAN_RULES.is_valid(document)


@pytest.mark.parametrize(
    ("name", "document"), [("plan.schema.json", Plan), ("roster.schema.json", Roster)], ids=["plan", "roster"]
)
def test_the_published_schema_is_what_the_code_says(name: str, document: type) -> None:
    """docs/ is made from the declaration (make docs), so the two cannot differ."""
    published = json.loads((DOCS / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)

    assert describe(document) == {key: published[key] for key in describe(document)}
    assert {"$schema", "title", "description"} == set(published) - set(describe(document))


@dataclass(frozen=True, slots=True)
class Small:
    """A document with one field of each rule."""

    digest: Digest
    near: Annotated[int, Between(2, 5)]
    word: Annotated[str, Match(r"[a-z]+", "a small word")]
    flag: bool
    maybe: int | None
    many: tuple[int, ...]


GOOD: dict[str, Any] = {
    "digest": "0" * 64,
    "near": 3,
    "word": "abc",
    "flag": True,
    "maybe": None,
    "many": [1, 2],
}


@pytest.mark.parametrize(
    ("field", "value", "where", "complaint"),
    [
        ("digest", "0" * 63, "x.digest", "is not a sha256 in hexadecimal"),
        ("digest", "0" * 64 + "\n", "x.digest", "is not a sha256 in hexadecimal"),
        ("near", 1, "x.near", "1 is not between 2 and 5"),
        ("near", 6, "x.near", "6 is not between 2 and 5"),
        ("near", True, "x.near", "expected an integer, found true or false"),
        ("near", "3", "x.near", "expected an integer, found a string"),
        ("near", None, "x.near", "expected an integer, found null"),
        ("word", "aBc", "x.word", "is not a small word"),
        ("word", ["a"], "x.word", "expected a string, found a list"),
        ("flag", 1, "x.flag", "expected true or false, found an integer"),
        ("flag", "true", "x.flag", "expected true or false, found a string"),
        ("maybe", "no", "x.maybe", "expected an integer, found a string"),
        ("many", {"0": 1}, "x.many", "expected a list, found an object"),
        ("many", [1, "2"], "x.many[1]", "expected an integer, found a string"),
    ],
)
def test_a_wrong_value_is_refused_where_it_stands(
    field: str, value: object, where: str, complaint: str
) -> None:
    """The message names the path, what was expected and what was found."""
    with pytest.raises(MalformedInput) as caught:
        decode(Small, GOOD | {field: value}, where="x")

    assert where == caught.value.where
    assert complaint in caught.value.what


def test_a_right_document_is_read() -> None:
    """Without a wrong value the same document passes, so that the refusals above mean something."""
    small = decode(Small, GOOD, where="x")

    assert Small("0" * 64, 3, "abc", flag=True, maybe=None, many=(1, 2)) == small
    assert GOOD == encode(small)


@pytest.mark.parametrize("value", [1.5, b"x", object(), {1, 2}])
def test_what_has_no_json_form_is_not_written(value: object) -> None:
    """A float or bytes in a record is a bug of ours and is found at once."""
    with pytest.raises(TypeError, match="no JSON form"):
        encode([value])


def test_a_plan_whose_numbers_do_not_fit_is_refused() -> None:
    """Each index points at something that exists, and no step waits for a later one."""
    reach = {
        "n": 0,
        "provider": "host",
        "distribution": "b 1",
        "scope": "s",
        "endpoints": [],
        "settings": {},
        "runner": "",
        "takes_s": 0,
    }
    step = {
        "n": 0,
        "reach": 0,
        "capability": "cut_egress",
        "action": "a",
        "target": {"kind": "k", "id": "i", "label": "l", "params": {}},
        "after": [],
        "settle_ms": 0,
        "deadline_ms": 0,
        "best_grade": "none",
        "window_s": None,
        "moot_by": [],
        "reversibility": "none",
        "undo": "",
        "blast_radius": "",
        "destroys_evidence": "",
        "affects": [],
        "withholds_only": False,
        "observed": "0" * 64,
    }
    good = _plan() | {"reaches": [reach], "steps": [step]}
    door = {"kind": "tool", "name": "", "reason": "", "remedy": "", "owner": "", "verdict": "unknown"}
    assert 1 == len(Plan.from_bytes(canonical(good), where="p").steps)
    changes: list[tuple[dict[str, Any], str]] = [
        ({"reaches": [reach | {"n": 1}]}, "reach 0 is numbered 1"),
        ({"steps": [step | {"n": 1}]}, "step 0 is numbered 1"),
        ({"steps": [step | {"reach": 1}]}, "names reach 1, which does not exist"),
        ({"steps": [step | {"after": [{"n": 0, "at_most_ms": 1}]}]}, "does not come before it"),
        ({"steps": [step | {"moot_by": [1]}]}, "made moot by a step that does not exist"),
        ({"doors": [door | {"closed_by": [1]}]}, "closed by a step that does not exist"),
        ({"v": 2}, "not a plan of version 1"),
        ({"type": "roster"}, "not a plan of version 1"),
    ]
    for change, complaint in changes:
        with pytest.raises(MalformedInput, match=complaint):
            Plan.from_bytes(canonical(good | change), where="p")


def _plan() -> dict[str, Any]:
    pin = {"name": "x", "version": 1, "sha256": "0" * 64}
    return {
        "v": 1,
        "type": "plan",
        "org": "o",
        "plan_id": "p",
        "incident": "i",
        "agent": "a",
        "verb": "contain",
        "mode": "execute",
        "activation": "person",
        "drill": False,
        "reason": "r",
        "requested_by": "b",
        "issued_at": "2026-01-01T00:00:00.000Z",
        "detection": None,
        "runbook": pin,
        "kit": pin,
        "roster": pin,
        "executors": ["e"],
        "two_person_rule": "enforced",
        "nonce": "A" * 22 + "==",
        "not_before": "2026-01-01T00:00:00.000Z",
        "expires": "2026-01-01T00:00:00.000Z",
        "max_run_s": 60,
        "parent": None,
        "observations_sha256": "0" * 64,
        "reaches": [],
        "steps": [],
        "doors": [],
        "not_touched": [],
        "not_planned": [],
    }
