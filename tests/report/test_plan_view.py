"""The plan's screen shows everything that is signed, in 80 columns, without colour and without surprises."""

from __future__ import annotations

import io
from dataclasses import replace

from breakglass.cli.plan_view import plan_rows
from breakglass.cli.progress_view import ProgressView
from breakglass.cli.render import Screen, error_rows
from breakglass.errors import MalformedInput
from breakglass.execute.context import StepEvent
from breakglass.model.action import Capability, Grade, Reversibility
from breakglass.model.plan import Plan, PlannedReach, TwoPersonRule, Verb, Wait
from breakglass.report.typeset import Row, Tone, text_of, width
from tests.report.samples import DIGEST, a_door, a_plan, a_step, unreachable

HOSTILE = "bot [red]x[/red] [link=file:///etc]y[/link] | `z` <script> \x1b[2J\u202e 日本語 " + "w" * 120


def _screen(plan: Plan) -> str:
    signed = Plan.from_bytes(plan.to_bytes(), where="plan.json")
    return text_of(plan_rows(signed, digest=DIGEST, words=("acorn", "velvet", "stray", "ninth", "lamp", "x")))


def test_totals_stand_before_lists_and_every_step_is_listed() -> None:
    """Totals, then the warnings, then each step with proof, settle, deadline, undo."""
    plan = a_plan(
        *(a_step(n) for n in range(40)),
        a_step(40, Capability.REVOKE_CREDENTIALS, reversibility=Reversibility.NONE, undo="issue a new one"),
    )

    screen = _screen(plan)

    assert screen.index("41 steps · 1 provider") < screen.index("NOT REVERSIBLE") < screen.index("STEPS")
    assert "  isolate    40   stop workloads 40" in screen
    assert "  revoke      1   revoke credentials 1" in screen
    assert all(f"tree {n}\n" in screen for n in range(41))
    assert "step 40   host.cgroup.freeze_tree tree 40: issue a new one" in screen
    assert "acorn  velvet  stray  ninth  lamp  x" in screen
    assert DIGEST in screen.replace("\n          ", "")


def test_what_it_affects_and_what_stays_open_is_said_before_anyone_signs() -> None:
    """Neighbours, doors, what could not be read, what is left alone, what cannot be proven."""
    plan = a_plan(
        a_step(0, affects=("function support-bot-billing uses it too",)),
        a_step(1, best_grade=Grade.NONE, window_s=900, moot_by=(0,), after=(Wait(0, 20_000),)),
        doors=(a_door(), replace(a_door("token"), closed_by=(0,))),
        not_planned=(unreachable(),),
    )

    screen = _screen(plan)
    joined = " ".join(screen.split())

    assert "Even if every step works, the verdict will be NOT CONTAINED" in screen
    assert "AFFECTS OTHERS\n  step 0    function support-bot-billing uses it too" in screen
    assert "NOT TOUCHED, STAYS OPEN\n  model API key" in screen
    assert "closed once step 0 is proven" in screen
    assert "may live 15 m 00 s more; does not matter once step 0 is proven" in joined
    assert "NOT PLANNED, STAYS OPEN: could not be read\n  aws aws 1234" in screen
    assert "NOT TOUCHED\n  dbus session socket" in screen
    assert "after step: 0 (at most 20.0 s)" in screen


def test_a_drill_and_its_endpoints_are_named_in_the_header() -> None:
    """A fake is never mistaken for the world."""
    reach = PlannedReach(0, "oauth", "breakglass 0.1.0", "oauth local", ("http://127.0.0.1:9/",), {})

    first, second, *_ = _screen(a_plan(a_step(0), reaches=(reach,))).splitlines()

    assert "DRILL: an exercise. No real plan accepts these signatures." == first
    assert "sandbox endpoint of oauth local: http://127.0.0.1:9/" == second
    assert "DRILL" not in _screen(a_plan(a_step(0), drill=False))


def test_a_program_that_is_sent_to_another_machine_is_named_by_its_digest() -> None:
    """What acts there is part of what people sign."""
    reach = PlannedReach(0, "host", "breakglass 0.1.0", "host ssh://bot-7", (), {}, runner="ab" * 32)

    assert f"sends there, and runs from memory, sha256 {'ab' * 32}" in " ".join(
        _screen(a_plan(a_step(0), reaches=(reach,))).split()
    )


def test_the_two_person_rule_is_named() -> None:
    """Enforced by the platform, or advisory."""
    assert "two-person rule: enforced" in _screen(a_plan(a_step(0)))
    assert "two-person rule: advisory" in _screen(a_plan(a_step(0), two_person_rule=TwoPersonRule.ADVISORY))


def test_a_restore_is_called_a_restore() -> None:
    """The verb stands first."""
    assert "RESTORE support-bot" in _screen(a_plan(a_step(0), verb=Verb.RESTORE))


def test_hostile_names_neither_break_the_width_nor_act() -> None:
    """Rows that were built from bytes nobody checked are spelt out all the same."""
    plan = a_plan(a_step(0, label=HOSTILE, affects=(HOSTILE,)), doors=(a_door(HOSTILE),), reason=HOSTILE)

    rows = plan_rows(plan, digest=DIGEST)
    text = text_of(rows)

    assert 80 >= max(width(row.text) for row in rows)
    assert "[red]x[/red]" in text
    assert text.count("w" * 60) >= 4
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_stream_that_is_no_terminal_gets_plain_lines() -> None:
    """No colour, no markup interpretation, no control character."""
    stream = io.StringIO()

    Screen(stream, {"TERM": "xterm"}).show([Row("[bold]a[/bold] \x1b[2J", Tone.BAD)])

    assert "[bold]a[/bold] \\u{1b}[2J\n" == stream.getvalue()


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def test_a_terminal_gets_colour_but_never_markup_from_a_name() -> None:
    """Rich sees text, not markup; NO_COLOR takes the colours away."""
    coloured, plain = _Terminal(), _Terminal()
    row = Row("[red]x[/red] 'breakglass[aws]' \x1b", Tone.BAD)

    Screen(coloured, {"TERM": "xterm"}).show([row])
    Screen(plain, {"TERM": "xterm", "NO_COLOR": "1"}).show([row])

    assert "[red]x[/red] 'breakglass[aws]' \\u{1b}\n" == plain.getvalue()
    assert "[red]x[/red] 'breakglass[aws]' \\u{1b}" in coloured.getvalue()
    assert coloured.getvalue().startswith("\x1b[")


def test_progress_without_a_terminal_is_one_whole_line_for_what_came_of_a_step() -> None:
    """The same facts, plain and unbroken; repeated settling is said once."""
    stream = io.StringIO()
    view = ProgressView(a_plan(a_step(0, label="tree [red]" * 20)), Screen(stream, {}), lambda: 1.0)

    with view.running():
        view(StepEvent(0, "calling", "round 0", 0.1))
        view(StepEvent(0, "settling", "9 s to go", 0.2))
        view(StepEvent(0, "calling", "round 1", 0.3))
        view(StepEvent(0, "settling", "8 s to go", 1.2))
        view(StepEvent(0, "proven", "frozen 1", 1.3))

    name = f"host local  host.cgroup.freeze_tree  {'tree [red]' * 20}"
    assert [
        f"  0.20 s  settling  {name}: 9 s to go",
        f"  1.30 s  proven    {name}: frozen 1",
    ] == stream.getvalue().splitlines()


def test_progress_on_a_terminal_keeps_a_line_for_each_step_that_ended() -> None:
    """What runs is drawn below with totals and a timer, and goes away; only what is wrong may be long."""
    stream = _Terminal()
    plan = a_plan(*(a_step(n) for n in range(12)))
    view = ProgressView(plan, Screen(stream, {"TERM": "xterm", "NO_COLOR": "1"}), lambda: 2.5)

    with view.running():
        for n in range(12):
            view(StepEvent(n, "calling", "round 0", 0.1))
        view(StepEvent(2, "proven", "frozen " * 30, 0.3))
        view(StepEvent(3, "open", "still running", 0.4))

    shown = stream.getvalue()
    assert "  0.30 s  proven    host  cgroup freeze tree  tree 2" in shown
    assert "frozen frozen frozen f..." in shown
    assert "OPEN      host local  host.cgroup.freeze_tree  tree 3: still running" in shown
    assert "isolate 1/12" in shown
    assert "and 2 more under way" in shown


def test_a_step_that_others_made_needless_says_so_in_words() -> None:
    """No jargon: which step it was that made it needless, and what it had come to."""
    stream = _Terminal()
    steps = (a_step(0), replace(a_step(1), action="host.cgroup.kill_tree"))
    plan = a_plan(replace(steps[0], moot_by=(1,)), steps[1])
    view = ProgressView(plan, Screen(stream, {"TERM": "xterm", "NO_COLOR": "1"}), lambda: 2.5)

    view(StepEvent(0, "moot", "moot: no answer", 0.3))

    assert (
        "  0.30 s  overtaken host  cgroup freeze tree  not needed any more, proven: ho..."
        == stream.getvalue().rstrip()
    )


def test_a_quiet_view_says_only_what_went_wrong() -> None:
    """The restore of a drill is long; what came back is told at its end."""
    stream = io.StringIO()
    plan = a_plan(a_step(0), a_step(1))
    view = ProgressView(plan, Screen(stream, {}), lambda: 1.0, quiet=True)

    view(StepEvent(0, "proven", "1 restored", 0.1))
    view(StepEvent(1, "open", "changed since the stop", 0.2))

    assert ["  0.20 s  OPEN      host local  host.cgroup.freeze_tree  tree 1: changed since the stop"] == (
        stream.getvalue().splitlines()
    )


def test_an_error_says_what_where_what_was_not_done_and_what_to_type() -> None:
    """The four parts of every error, brackets kept; whole lines where nobody's window is narrow."""
    error = MalformedInput(
        'unknown key "function"; did you mean "functions"?\na reach of aws knows: roles',
        where="kit/agents/support-bot.yaml:14:5",
        remedy="Fix the file, then: breakglass kit check; pip install 'breakglass[aws]'",
    )

    assert [
        'kit/agents/support-bot.yaml:14:5  unknown key "function"; did you mean',
        '  "functions"?',
        "  a reach of aws knows: roles",
        "  nothing was changed.  Fix the file, then: breakglass kit check; pip install",
        "  'breakglass[aws]'",
    ] == [row.text for row in error_rows(error, wrapped=True)]
    assert 3 == len(error_rows(error, wrapped=False))


def test_a_long_place_is_never_broken() -> None:
    """It stands on a line of its own, wider than the window if it must."""
    where = f"/{'x' * 90}/agent.yaml:3:1"

    first, second, _ = error_rows(MalformedInput("unknown key", where=where), wrapped=True)

    assert (where, "  unknown key") == (first.text, second.text)
