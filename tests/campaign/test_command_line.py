"""A real kit at its fixed places, attacked through `breakglass stop --plan`: refused, nothing touched."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.model.roster import ExecutorKey
from breakglass.testing.operators import make_roster, publish_roster
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.kit_signing import kit_sign
from tests.campaign.machine import CLOCK, HERE, ORG, Machine, machine, sign, sign_with


@pytest.fixture(scope="module")
def here() -> Iterator[Machine]:
    """Run one machine for all attacks: none of them may change anything."""
    with machine([{"name": "refund", "effect": "money"}]) as made:
        yield made


def change(plan: Path, **fields: object) -> None:
    """Write another plan in its place; it is signed afterwards."""
    raw = plan.read_bytes()
    plan.write_bytes(replace(Plan.from_bytes(raw, where="plan"), **fields).to_bytes())  # type: ignore[arg-type]  # the plan's own fields


def test_two_persons_stop_the_agent_and_the_same_signatures_never_work_again(tmp_path: Path) -> None:
    """Exit 0 and contained on the first run; a replay of plan and signatures is refused with exit 5."""
    with machine() as own:
        plan = own.plan()
        signatures = sign(plan, *own.operators[:2])
        first = own.stop(plan, signatures)
        remembered = own.ledger.read_bytes()
        again = own.breakglass(
            "stop",
            *("--plan", str(plan)),
            *(word for path in signatures for word in ("--signature", str(path))),
            *("--keep", str(tmp_path / "again")),
        )

        assert 0 == first.returncode, first.stderr
        assert "contained" == json.loads(first.stdout)["verdict"]
        assert 5 == again.returncode
        assert "was used already" in again.stderr
        assert remembered.count(b"\n") == own.ledger.read_bytes().count(b"\n")


def test_an_approved_plan_with_one_byte_changed_is_refused(here: Machine) -> None:
    """The signatures are over bytes: exit 5."""
    plan = here.plan()
    signatures = sign(plan, *here.operators[:2])
    plan.write_bytes(plan.read_bytes().replace(b"sends what it should", b"sends what it shoulD", 1))

    refused = here.stop(plan, signatures)

    assert 5 == refused.returncode
    assert "0 of 2 persons signed" in refused.stderr
    assert here.is_untouched()


def test_one_signature_is_not_two(here: Machine) -> None:
    """Exit 5, and it says how many more must sign."""
    plan = here.plan()

    refused = here.stop(plan, sign(plan, here.operators[0]))

    assert 5 == refused.returncode
    assert "1 of 2 persons signed" in refused.stderr
    assert here.is_untouched()


def test_no_signature_at_all_is_refused(here: Machine) -> None:
    """Exit 5 and how to give them."""
    refused = here.stop(here.plan(), [])

    assert 5 == refused.returncode
    assert "--signature FILE" in refused.stderr
    assert here.is_untouched()


def test_one_person_with_two_keys_is_one_person(here: Machine) -> None:
    """People are counted and not keys: exit 5."""
    plan = here.plan()
    signatures = [*sign(plan, here.operators[0]), sign_with(plan, here.second_key, "second")]

    refused = here.stop(plan, signatures)

    assert 5 == refused.returncode
    assert "1 of 2 persons signed" in refused.stderr
    assert here.is_untouched()


def test_an_expired_plan_is_refused(here: Machine) -> None:
    """Signatures do not keep for ever: exit 5."""
    plan = here.plan()
    made = Plan.from_bytes(plan.read_bytes(), where="plan")
    change(plan, not_before=made.not_before.plus(-1200), expires=made.not_before.plus(-600))

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 5 == refused.returncode
    assert "expired" in refused.stderr
    assert here.is_untouched()


def test_another_executors_plan_is_refused(here: Machine) -> None:
    """Only the executor that two people named may start it: exit 5."""
    plan = here.plan()
    change(plan, executors=("somewhere-else",))

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 5 == refused.returncode
    assert "may only be started by somewhere-else" in refused.stderr
    assert here.is_untouched()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_IAM", "PUBSUB_EMULATOR_HOST"])
def test_a_variable_that_redirects_calls_is_refused_on_a_real_plan(here: Machine, variable: str) -> None:
    """A fake could be mistaken for the world: exit 2, and the variable is named."""
    plan = here.plan()

    refused = here.stop(plan, sign(plan, *here.operators[:2]), environ={variable: "http://127.0.0.1:1"})

    assert 2 == refused.returncode
    assert variable in refused.stderr
    assert here.is_untouched()


def test_a_plan_without_its_observations_is_refused(here: Machine) -> None:
    """What was seen when planning is signed with it: exit 2."""
    plan = here.plan()
    (plan.parent / "observations.json").unlink()

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 2 == refused.returncode
    assert "observations.json" in refused.stderr
    assert here.is_untouched()


def test_a_plan_of_another_kit_is_stale(here: Machine) -> None:
    """What the kit says now may be more than the plan knows: exit 6."""
    plan = here.plan()
    old = Plan.from_bytes(plan.read_bytes(), where="plan").kit
    change(plan, kit=replace(old, sha256="0" * 64))

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 6 == refused.returncode
    assert "was made from kit version 1 (00000000)" in refused.stderr
    assert here.is_untouched()


@pytest.mark.parametrize(
    ("left_out", "said"),
    [("doors", "does not mention tool refund"), ("reaches", "does not mention a reach of provider host")],
)
def test_a_plan_that_leaves_out_what_the_kit_names_is_stale(here: Machine, left_out: str, said: str) -> None:
    """Two people signed what a lying machine showed them; the executor's own kit knows better: exit 6."""
    plan = here.plan()
    change(plan, **{left_out: ()}, steps=())

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 6 == refused.returncode
    assert said in refused.stderr
    assert here.is_untouched()


@pytest.mark.parametrize("lie", [{"verdict": Verdict.CONTAINED}, {"closed_by": (0,)}])
def test_a_plan_that_plays_a_door_down_is_stale(here: Machine, lie: dict[str, object]) -> None:
    """The tool is named, but would count for nothing, or be closed by a step that revokes nothing: exit 6."""
    plan = here.plan()
    doors = Plan.from_bytes(plan.read_bytes(), where="plan").doors
    change(plan, doors=tuple(replace(door, **lie) if door.name == "tool refund" else door for door in doors))  # type: ignore[arg-type]  # the door's own fields

    refused = here.stop(plan, sign(plan, *here.operators[:2]))

    assert 6 == refused.returncode
    assert "does not mention tool refund" in refused.stderr
    assert here.is_untouched()


def test_a_drills_kit_stops_nothing_where_real_stops_run_unless_it_is_meant(here: Machine) -> None:
    """A variable must not turn the real thing into an exercise that exits 0: exit 2."""
    drill = here.base / "drill-kit"
    shutil.copytree(here.config / "kit", drill)
    settings = json.loads((drill / "breakglass.yaml").read_text())
    (drill / "breakglass.yaml").write_text(json.dumps({**settings, "drill": True}))
    roster = make_roster(ORG, here.operators, [ExecutorKey(HERE, here.log_key)], CLOCK, drill=True)
    (drill / "roster.json").unlink()
    shutil.rmtree(drill / "roster.1")
    shutil.rmtree(drill / "kit.1")
    publish_roster(drill, roster, here.operators[:2])
    for operator in here.operators[:2]:
        kit_sign(drill, operator.signer, card_or_none, CLOCK.now())

    refused = here.breakglass("stop", "--plan", "/nowhere", environ={"BREAKGLASS_KIT": str(drill)})
    meant = here.breakglass("stop", "--plan", "/nowhere", "--drill", environ={"BREAKGLASS_KIT": str(drill)})

    assert 2 == refused.returncode
    assert "a drill's kit, on a machine that runs real stops" in refused.stderr
    assert "a drill's kit" not in meant.stderr
    assert here.is_untouched()
