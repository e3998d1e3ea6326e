"""Sets a report as the closing screen: what is open first, then timings, in 80 columns without colour."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.clock import Instant
from breakglass.model.action import Verdict
from breakglass.model.plan import TwoPersonRule, Verb
from breakglass.report.build import Report, ReportedStep, StillOpen, Truth
from breakglass.report.timeline import phases
from breakglass.report.typeset import Row, Tone, command, labelled, pad, plural, rows, seconds, visible

HEADLINES = {
    (Verb.CONTAIN, Verdict.CONTAINED): "CONTAINED",
    (Verb.CONTAIN, Verdict.NOT_CONTAINED): "NOT CONTAINED",
    (Verb.CONTAIN, Verdict.UNKNOWN): "UNKNOWN",
    (Verb.RESTORE, Verdict.CONTAINED): "RESTORED",
    (Verb.RESTORE, Verdict.NOT_CONTAINED): "NOT RESTORED",
    (Verb.RESTORE, Verdict.UNKNOWN): "UNKNOWN",
}
TONES = {Verdict.CONTAINED: Tone.GOOD, Verdict.NOT_CONTAINED: Tone.BAD, Verdict.UNKNOWN: Tone.UNKNOWN}
STEP_WORDS = {Verdict.CONTAINED: "proven", Verdict.NOT_CONTAINED: "OPEN", Verdict.UNKNOWN: "UNKNOWN"}
WORDS = {Verdict.CONTAINED: "listed", Verdict.NOT_CONTAINED: "OPEN", Verdict.UNKNOWN: "UNKNOWN"}


def headline(report: Report) -> str:
    """Return the verdict with what stands behind it, e.g. ``NOT CONTAINED: 1 open, 1 unknown``."""
    word = HEADLINES[report.verb, report.verdict]
    if report.verdict is Verdict.CONTAINED:
        proven = sum(step.verdict is Verdict.CONTAINED for step in report.steps)
        moot = len(report.steps) - proven
        steps = f"{proven} steps proven, {moot} overtaken by that" if moot else "every step proven"
        return f"{word}: {steps}" + (f", {len(report.open)} only listed" if report.open else "")
    doors = sum(item.verdict is Verdict.NOT_CONTAINED for item in report.open)
    unknown = sum(item.verdict is Verdict.UNKNOWN for item in report.open)
    parts = [f"{doors} open"] * bool(doors) + [f"{unknown} unknown"] * bool(unknown)
    return f"{word}: {', '.join(parts)}" if parts else word


def closing(report: Report, *, following: Sequence[str] = (), checks: Sequence[str] = ()) -> tuple[Row, ...]:
    """Return the closing screen. `following` are commands to type next, `checks` are for stock tools."""
    code = f"exit {report.verdict.exit_code}"
    title = headline(report)
    found: list[Row] = [Row(f"{pad(title, 78 - len(code))}  {code}", TONES[report.verdict])]
    if report.drill:
        found.append(Row("DRILL: an exercise, not an incident", Tone.HEAD))
    if report.two_person_rule is TwoPersonRule.ADVISORY:
        found += rows("two-person rule: advisory (only this program asks for two people)", tone=Tone.UNKNOWN)
    for item in report.open:
        found += _open_rows(item)
    found += [Row(), *timing_rows(report), *_truth_rows(report), Row()]
    for label, lines in (("Next:", following), ("Check:", checks)):
        for n, line in enumerate(lines):
            found += command(line, first=pad(label if n == 0 else "", 8))
    return tuple(found)


def _open_rows(item: StillOpen) -> list[Row]:
    lead = f"  {pad(WORDS[item.verdict], 9)}"
    found = list(rows(f"{item.name}: {item.reason}", first=lead, rest=" " * 11, tone=TONES[item.verdict]))
    if item.remedy:
        owner = f" (owner: {item.owner})" if item.owner else ""
        found += rows(f"do this: {item.remedy}{owner}", first=" " * 11)
    return found


def timing_rows(report: Report) -> list[Row]:
    """Return the table of timings; what has no time is a dash and never a zero."""
    found = report.timings
    source = f"({found.detect_source})" if found.detect_source and found.detect_s is not None else ""
    lines = [
        Row("timings         read back                 proven", Tone.HEAD),
        Row("                since stop since signed   since stop since signed", Tone.FAINT),
        _timing_row("detect", [found.detect_s], source),
        _timing_row("authorise", [found.authorise_s]),
    ]
    return lines + [
        _timing_row(name, [getattr(times, f"{name}_s") for times in found.columns])
        for name in phases(report.verb)
    ]


def _timing_row(name: str, values: Sequence[float | None], note: str = "") -> Row:
    cells = "".join(pad(seconds(value), 13, right=True) for value in values)
    return Row(f"  {pad(name, 11)}{cells}{'  ' + note if note else ''}".rstrip())


def _truth_rows(report: Report) -> list[Row]:
    """Return what the downstream system itself saw; only a drill knows."""
    if not report.truth:
        return []
    found = [
        Row(),
        Row("truth (seen downstream)   last effect   proven stopped, UTC", Tone.HEAD),
    ]
    for item in report.truth:
        found += labelled(item.channel, _truth(item), column=24)
    late = in_flight(report)
    if late:
        found += rows(f"after the last signature {plural(late, 'channel')} still had an effect in flight")
    return found


def _truth(item: Truth) -> str:
    last = _time(item.last_effect_at) if item.last_effect_at else "none seen"
    if item.proven_at is None:
        return f"{pad(last, 14)}never proven"
    proven = f"{pad(last, 14)}{_time(item.proven_at)}"
    if item.last_effect_at is None:
        return proven
    margin = item.proven_at.seconds_since(item.last_effect_at)
    if margin < 0:
        return f"{proven}  CLAIMED {seconds(-margin)} TOO EARLY"
    return f"{proven}  {seconds(margin)} later"


def _time(instant: Instant) -> str:
    """Return ``03:12:08.123``."""
    return str(instant)[11:23]


def step_rows(report: Report) -> tuple[Row, ...]:
    """Return every step with its verdict, proof and reason."""
    found: list[Row] = []
    for step in report.steps:
        found += _step_rows(step)
    return tuple(found)


def _step_rows(step: ReportedStep) -> tuple[Row, ...]:
    lead = f"  {pad(STEP_WORDS[step.verdict], 8)}{step.number:>3}  "
    name = f"{step.action} {visible(step.target.label)}"
    grade = step.grade.value.replace("_", " ")
    return (
        *rows(name, first=lead, tone=TONES[step.verdict]),
        *rows(f"{step.reason} (proof: {grade})", first=" " * 13, tone=Tone.FAINT),
    )


def in_flight(report: Report) -> int:
    """Return how many channels still had an effect after the last needed signature."""
    signed = max((signer.signed_at for signer in report.signers), default=None)
    if signed is None:
        return 0
    return sum(item.last_effect_at is not None and item.last_effect_at > signed for item in report.truth)


def summary(report: Report) -> tuple[Row, ...]:
    """Return the whole report as text: closing screen, signers, steps, what was not touched."""
    found = [*closing(report), Row("signed by", Tone.HEAD)]
    for signer in report.signers:
        found += labelled(signer.person, f"{signer.key_fingerprint} at {signer.signed_at}", column=24)
    if not report.signers:
        found.append(Row("  nobody", Tone.BAD))
    found += [Row(), Row(plural(len(report.steps), "step"), Tone.HEAD), *step_rows(report)]
    if report.not_touched:
        found += [Row(), Row("not touched", Tone.HEAD)]
        for item in report.not_touched:
            found += labelled(item.resource, item.reason, column=20)
    found += [
        Row(),
        *labelled("incident", report.incident, indent=0),
        *labelled("plan", report.plan_sha256, indent=0),
        *labelled("journal", report.journal, indent=0),
    ]
    return tuple(found)
