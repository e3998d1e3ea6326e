"""The closing screen and the Markdown say what is open first, fit, and cannot be broken by a name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from breakglass.clock import Instant
from breakglass.model.action import Verdict
from breakglass.report.build import Truth
from breakglass.report.markdown import after_action, escape
from breakglass.report.text import closing, headline, summary
from breakglass.report.typeset import seconds, text_of, visible, width, wrap
from tests.report.samples import Told, a_contained_run, a_door, a_plan, a_report, a_step, unreachable

HOSTILE = "bot [red]x[/red] [link=file:///etc]y[/link] | `z` <script> \x1b[2J\u202e \U0001f4a5" * 3


def test_a_contained_run_says_so_with_exit_0() -> None:
    """The first line is the verdict with its exit code."""
    first = closing(a_report(*a_contained_run()))[0].text

    assert first.startswith("CONTAINED: every step proven")
    assert first.endswith("exit 0")
    assert 80 == len(first)


def test_what_is_open_stands_before_what_is_unknown_and_both_before_the_timings() -> None:
    """Doors first, then the unproven, then the numbers."""
    plan = a_plan(a_step(0), doors=(a_door(),), not_planned=(unreachable(),))
    lines = [row.text for row in closing(a_report(plan, Told()))]

    assert lines[0].startswith("NOT CONTAINED: 1 open, 2 unknown")
    assert lines[0].endswith("exit 3")
    starts = [n for n, line in enumerate(lines) if line.startswith(("  OPEN", "  UNKNOWN", "timings"))]
    assert [line.split()[0] for line in (lines[n] for n in starts)] == [
        "OPEN",
        "UNKNOWN",
        "UNKNOWN",
        "timings",
    ]
    assert "           do this: revoke at https://model.example (owner: platform)" in lines


def test_unknown_never_reads_as_contained() -> None:
    """A run without proof has the headline UNKNOWN, exit 4, and dashes for times."""
    screen = text_of(closing(a_report(a_plan(a_step(0)), Told())))

    assert screen.startswith("UNKNOWN: 1 unknown")
    assert "exit 4" in screen.splitlines()[0]
    assert "isolate                -" in screen


def test_commands_to_type_next_and_checks_are_printed() -> None:
    """The screen ends with what to do and how to check."""
    report = a_report(*a_contained_run())

    screen = text_of(
        closing(report, following=["breakglass report x"], checks=["ssh-keygen a", "sha256sum b"])
    )

    assert screen.endswith("Next:   breakglass report x\nCheck:  ssh-keygen a\n        sha256sum b\n")


def test_no_line_is_wider_than_80_columns_and_nothing_hidden_gets_through() -> None:
    """Names from the world may be long, wide and hostile; they are wrapped and spelt out."""
    plan = a_plan(
        a_step(0, label=HOSTILE, undo=HOSTILE), doors=(a_door(HOSTILE),), not_planned=(unreachable(HOSTILE),)
    )
    rows = summary(a_report(plan, Told()))

    assert 80 >= max(width(row.text) for row in rows)
    assert "\x1b" not in text_of(rows)
    assert "\u202e" not in text_of(rows)
    assert "\\u{1b}" in text_of(rows)


def test_nothing_is_left_out_when_a_line_is_wrapped() -> None:
    """Every character that shows is still there, in order."""
    text = "short " + "x" * 300 + " 日本語" * 40

    lines = wrap(text, first="  lead  ")

    assert text.replace(" ", "") == "".join(line.strip() for line in lines)[len("lead") :].replace(" ", "")
    assert 80 >= max(width(line) for line in lines)


def test_a_drill_compares_truth_with_the_claim() -> None:
    """An effect after the instant that we call proven is said loudly."""
    late = Truth("http", Instant.parse("2026-11-20T03:17:00.000Z"), Instant.parse("2026-11-20T03:16:59.000Z"))
    quiet = Truth("token", None, Instant.parse("2026-11-20T03:16:59.000Z"))
    report = replace(a_report(*a_contained_run()), truth=(late, quiet))

    screen = text_of(closing(report))

    assert "  http                    03:17:00.000  03:16:59.000  CLAIMED 1.00 s TOO EARLY\n" in screen
    assert "  token                   none seen     03:16:59.000\n" in screen
    assert "1 channel still had an effect in flight" in screen


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (0.0, "0.00 s"),
        (0.024, "0.02 s"),
        (9.996, "10.0 s"),
        (38.24, "38.2 s"),
        (99.96, "1 m 40 s"),
        (252.0, "4 m 12 s"),
        (3599.7, "1 h 00 m"),
        (-1.5, "-1.50 s"),
    ],
)
def test_durations_are_written_for_people(value: float | None, expected: str) -> None:
    """Three digits that matter; null is a dash."""
    assert expected == seconds(value)


def test_visible_keeps_what_people_can_read() -> None:
    """Letters of any script stay; what hides or acts is spelt out."""
    assert "Größe 日本" == visible("Größe 日本")
    assert "a\\u{1b}b\\u{200b}\\u{a}" == visible("a\x1bb\u200b\n")


def test_a_name_cannot_break_a_markdown_table_or_start_markup() -> None:
    """Bars, brackets, backticks, tags and line breaks are escaped in every cell."""
    plan = a_plan(a_step(0, label=HOSTILE), doors=(a_door(HOSTILE),), reason="a\n# heading | x")

    text = after_action(a_report(plan, Told()), plan, checks=["ssh-keygen -Y verify"])

    assert "\\[red\\]x\\[/red\\]" in text
    assert "<script>" not in text
    assert "\x1b" not in text
    assert "\n# heading" not in text
    for table in text.split("\n\n"):
        bars = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert 1 >= len(bars), table
    assert "    ssh-keygen -Y verify" in text


def test_the_after_action_report_starts_with_the_verdict() -> None:
    """A reader sees the verdict, the drill and the exit code at once."""
    plan, told = a_contained_run()
    lines = after_action(a_report(plan, told), plan).splitlines()

    assert "# Stop of support\\-bot: CONTAINED" == lines[0]
    assert "**DRILL: an exercise, not an incident.**" == lines[2]
    assert lines[4].endswith("Exit code 0.")


def test_escape_leaves_words_alone() -> None:
    """Letters, digits and spaces need no backslash."""
    assert "plain words 123" == escape("plain words 123")


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_headline_names_the_verdict(verdict: Verdict) -> None:
    """CONTAINED only for contained."""
    report = replace(a_report(*a_contained_run()), verdict=verdict)

    assert headline(report).startswith(verdict.value.replace("_", " ").upper())
