"""The progress of a run of many steps: bars and an estimate, and words for what went wrong."""

from __future__ import annotations

import io
from dataclasses import replace

from breakglass.cli.plan_view import plan_rows
from breakglass.cli.progress_many import left_s, share_done
from breakglass.cli.progress_view import ProgressView
from breakglass.cli.render import Screen
from breakglass.execute.context import StepEvent
from breakglass.model.action import Capability
from breakglass.model.plan import Plan
from breakglass.report.typeset import text_of
from tests.report.samples import DIGEST, a_plan, a_step

ROLES = 999


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        """Say yes."""
        return True


def _class(*, takes_s: int = 300) -> Plan:
    """Return a plan of one queue and many roles."""
    roles = (a_step(n + 1, Capability.REVOKE_CREDENTIALS, label=f"role {n}") for n in range(ROLES))
    plan = a_plan(a_step(0), *roles)
    return replace(plan, reaches=tuple(replace(reach, takes_s=takes_s) for reach in plan.reaches))


def test_a_script_gets_a_line_now_and_then_and_every_word_of_what_went_wrong() -> None:
    """A thousand steps in a handful of lines."""
    stream = io.StringIO()
    view = ProgressView(_class(), Screen(stream, {}), lambda: 1.0)

    for n in range(1000):
        view(StepEvent(n, "calling", "round 0", n * 0.01))
    for n in range(900):
        view(StepEvent(n, "proven", "denied", 10 + n * 0.01))
    view(StepEvent(950, "open", "still allowed", 19.5))

    lines = stream.getvalue().splitlines()
    assert [line for line in lines if "OPEN" in line] == [
        "  19.5 s  OPEN      host local  host.cgroup.freeze_tree  role 949: still allowed"
    ]
    told = [line for line in lines if "so far" in line]
    assert len(told) == 3
    assert told[0] == (
        "  5.00 s  so far    isolate 0 read back, 0 proven of 1 · revoke 0 read back, 0 proven of 999"
        " · about 20.0 s left"
    )
    assert "revoke 500 read back, 500 proven of 999" in told[-1]
    assert len(lines) == 4


def test_a_terminal_gets_a_bar_for_each_phase_and_no_line_for_what_went_well() -> None:
    """Drawn again in place: what is proven, what is read back, what is to come."""
    view = ProgressView(_class(), Screen(_Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}), lambda: 60.0)
    for n in range(334):
        view(StepEvent(n, "proven", "denied", 1.0))
    for n in range(334, 667):
        view(StepEvent(n, "read_back", "denied", 1.0))

    shown = text_of(view.region()).splitlines()

    assert shown[-1] == "          revoke    ##########==========----------  333/999 proven"
    assert any("isolate   ##############################  1/1 proven" in line for line in shown)
    assert any("about " in line and " left" in line for line in shown)
    assert len(shown) == 4


def test_the_estimate_is_the_plans_at_first_and_then_that_of_the_pace() -> None:
    """Nothing is promised that the pace does not bear out."""
    plan = _class()

    assert left_s(plan, 0.0, 10.0) == 290
    assert left_s(plan, 0.25, 100.0) == 300
    assert share_done(plan, dict.fromkeys(range(1000), "proven")) == 1.0


def test_a_plan_says_how_long_it_takes_before_anyone_signs() -> None:
    """And when that is longer than it may run."""
    assert "about 5 m 00 s at the rates of its services" in text_of(plan_rows(_class(), digest=DIGEST))
    short = text_of(plan_rows(_class(takes_s=3), digest=DIGEST))
    assert "rates of its services" not in short
    long = text_of(plan_rows(_class(takes_s=90_000), digest=DIGEST))
    assert "longer than the" in long
