"""An undo that must wait says so where people sign it, and lets the operator choose another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from breakglass.clock import Instant
from breakglass.errors import UsageError
from breakglass.journal.history import Moment, StepHistory
from breakglass.model.plan import Pin, Plan, Wait
from breakglass.plan.restore import RESTORE_WAIT_MS, RestoreHeader, build_restore
from breakglass.plan.undo_choices import parse_choices
from tests.plan.test_judge import plan as plan_of

AT = Instant.parse("2026-11-21T03:00:00.000Z")
OFFERS: Mapping[str, object] = {
    "tokens": "wait",
    "tokens_choices": ["wait", "rotate"],
    "undo_wait_s": 3600,
    "stopped_at_ms": 0,
}


def header(**chosen: str) -> RestoreHeader:
    """Return the header of a restore with these choices."""
    pin = Pin("roster", 1, "0" * 64)
    return RestoreHeader("pln-2", "fixed", "alice", AT, AT.plus(900), "B" * 22 + "==", pin, "0" * 64, chosen)


def stop() -> Plan:
    """Return a stop whose first step offers a choice, and waits in the restore for nothing but tokens."""
    made = plan_of(2)
    first, second = made.steps
    params = {**first.target.params, **OFFERS}
    offering = replace(first, target=replace(first.target, params=params))  # type: ignore[arg-type]  # JSON
    return replace(made, steps=(offering, replace(second, after=(Wait(0, 1000),))))


def undone(made: Plan, **chosen: str) -> Plan:
    """Return the restore of a stop that changed both of its things."""
    histories = {
        n: StepHistory(
            n, applied=frozenset({"a"}), accepted=Moment(AT.plus(n), 0), proven=Moment(AT.plus(9), 0)
        )
        for n in range(2)
    }
    return build_restore(made, histories, header(**chosen))[0]


def test_the_restore_says_when_the_stop_changed_it_last() -> None:
    """A token could be made until then, so its life counts from there."""
    restored = {step.target.label: step for step in undone(stop()).steps}

    [offering] = [step for step in restored.values() if "tokens" in step.target.params]

    assert offering.target.params["stopped_at_ms"] == AT.plus(9).epoch_ms
    assert offering.target.params["tokens"] == "wait"


def test_a_choice_is_signed_with_the_step_that_offers_it() -> None:
    """What was chosen stands in the params that two people sign; other steps do not change."""
    made = undone(stop(), tokens="rotate")

    assert sorted(str(step.target.params.get("tokens", "-")) for step in made.steps) == ["-", "rotate"]


def test_the_restore_has_the_time_that_its_undo_may_wait() -> None:
    """Deadline and run grow by it: an hour of waiting must not become an unknown."""
    made = stop()
    [offering] = [step for step in undone(made).steps if "tokens" in step.target.params]

    assert offering.deadline_ms >= made.steps[0].deadline_ms + 3_600_000
    assert undone(made).max_run_s == made.max_run_s + 3600


def test_what_waits_for_such_an_undo_waits_as_long() -> None:
    """A workload does not come back before the identity that it acts as."""
    identity, workload = stop().steps
    workload = replace(workload, n=0, after=())
    identity = replace(identity, n=1, after=(Wait(0, 0),))  # of no weight in the stop; it orders the undo

    restored = undone(replace(stop(), steps=(workload, identity))).steps

    [waiting] = [step for step in restored if step.after]
    assert "tokens" not in waiting.target.params
    assert [wait.at_most_ms for wait in waiting.after] == [RESTORE_WAIT_MS + 3_600_000]


@pytest.mark.parametrize("chosen", [{"tokens": "revive"}, {"token": "rotate"}])
def test_a_choice_that_no_step_offers_is_refused_with_those_that_there_are(chosen: dict[str, str]) -> None:
    """Nobody signs a restore that does something else than what was typed."""
    with pytest.raises(UsageError) as told:
        undone(stop(), **chosen)

    assert "tokens=rotate, tokens=wait" in told.value.remedy


@pytest.mark.parametrize("words", [["tokens"], ["=rotate"], ["tokens="], ["a=b", "a=c"]])
def test_a_choice_is_name_and_value_once(words: list[str]) -> None:
    """Anything else is refused before anything is read."""
    with pytest.raises(UsageError):
        parse_choices(words)
