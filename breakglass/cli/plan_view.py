"""Sets a plan, read from the very bytes that are signed, as the screen that people sign by.

Totals first; then what it affects, what stays open, what cannot be undone; then every step. Nothing is left
out and nothing is shortened: what does not fit a line goes on in the next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from breakglass.canon import Json, canonical
from breakglass.journal.history import StepHistory
from breakglass.model.action import Grade, Phase, Reversibility, Verdict
from breakglass.model.plan import (
    Activation,
    Detection,
    Door,
    DoorKind,
    Mode,
    Plan,
    Step,
    TwoPersonRule,
    Verb,
    unpack_settings,
)
from breakglass.report.typeset import Row, Tone, labelled, pad, plural, rows, seconds, visible
from breakglass.verify.judge import assess

LONG_S = 60
_VERBS = {Verb.CONTAIN: "STOP", Verb.RESTORE: "RESTORE"}


def plan_rows(plan: Plan, *, digest: str, words: Sequence[str] = (), steps: bool = True) -> tuple[Row, ...]:
    """Return the whole screen; `words` are the check words that both operators compare."""
    found = [*_header(plan), Row(), *_totals(plan), *_forecast(plan), *_affects(plan), *_open(plan)]
    found += [*_not_planned(plan), *_not_touched(plan), *_not_reversible(plan)]
    found += _connections(plan)
    if steps:
        found += [Row(), Row("STEPS", Tone.HEAD)]
        for step in plan.steps:
            found += _step(plan, step)
    found += [Row(), *labelled("plan", digest, indent=0, column=10)]
    if words:
        found += labelled("words", "  ".join(words), indent=0, column=10)
    return tuple(found)


def summary_rows(plan: Plan, *, column: int) -> tuple[Row, ...]:
    """Return the totals and what a plan leaves alone, in a few lines beside a column of titles."""
    kept = sum(step.reversibility is not Reversibility.FULL for step in plan.steps)
    providers = len({plan.reaches[step.reach].provider for step in plan.steps})
    counts = Counter(step.capability.phase for step in plan.steps)
    phases = " · ".join(f"{phase.value} {count}" for phase, count in counts.items())
    lines = [
        (
            "plan",
            f"{plural(len(plan.steps), 'step')} · {plural(providers, 'provider')} · {phases}",
            Tone.HEAD,
        ),
        ("", f"not or only partly reversible: {plural(kept, 'step')}", Tone.PLAIN),
        ("", f"stays open until proven: {_names([_door_name(door) for door in plan.doors])}", Tone.PLAIN),
        (
            "",
            f"NOT TOUCHED: {_names([f'{it.resource} ({it.reason})' for it in plan.not_touched])}",
            Tone.HEAD,
        ),
    ]
    found: list[Row] = []
    for title, text, tone in lines:
        found += rows(text, first=pad(title, column), tone=tone)
    return tuple(found)


def _door_name(door: Door) -> str:
    return f"{door.name} (only withheld)" if door.kind is DoorKind.CREDENTIAL_WITHHELD else door.name


def _names(names: Sequence[str]) -> str:
    return "; ".join(names) or "nothing"


def _header(plan: Plan) -> list[Row]:
    found: list[Row] = []
    if plan.drill:
        found += rows("DRILL: an exercise. No real plan accepts these signatures.", tone=Tone.HEAD)
    for reach in plan.reaches:
        for endpoint in reach.endpoints:
            found += rows(f"sandbox endpoint of {reach.scope}: {endpoint}", tone=Tone.UNKNOWN)
    title = f"{_VERBS[plan.verb]} {plan.agent}"
    about = f"incident {plan.incident} · runbook {plan.runbook.name}"
    found += rows(f"{title}   {about}", tone=Tone.HEAD)
    facts = [
        ("reason", plan.reason),
        ("asked by", plan.requested_by),
        ("detected", _detection(plan.detection)),
        ("executor", ", then ".join(plan.executors)),
        ("valid", f"{plan.not_before} until {plan.expires}"),
    ]
    for label, value in facts:
        found += labelled(label, value, indent=0, column=10)
    if plan.mode is Mode.STANDING:
        who = "the executor, by itself" if plan.activation is Activation.EXECUTOR else "a person"
        found += rows(f"STANDING: signed ahead; {who} may start it once", tone=Tone.UNKNOWN)
    if plan.two_person_rule is TwoPersonRule.ENFORCED:
        found += rows("two-person rule: enforced")
    else:
        found += rows(
            "two-person rule: advisory (the executor's rights can be used by one person alone)",
            tone=Tone.UNKNOWN,
        )
    return found


def _detection(detection: Detection | None) -> str:
    if detection is None:
        return "not stated"
    at = f"{detection.detected_at}" if detection.detected_at else "unknown"
    began = f", harm began {detection.started_at}" if detection.started_at else ""
    return f"{at} ({detection.source.value}, {detection.by}){began}"


def _totals(plan: Plan) -> list[Row]:
    reversible = sum(step.reversibility is Reversibility.FULL for step in plan.steps)
    longest_s = max((step.settle_ms for step in plan.steps), default=0) / 1000
    providers = len({plan.reaches[step.reach].provider for step in plan.steps})
    found = [
        *rows(
            f"{plural(len(plan.steps), 'step')} · {plural(providers, 'provider')} · "
            f"longest settle {seconds(longest_s)} · "
            f"reversible {reversible} · not or partly reversible {len(plan.steps) - reversible}",
            tone=Tone.HEAD,
        )
    ]
    found += _takes(plan)
    for phase in (Phase.ISOLATE, Phase.REVOKE, Phase.PRESERVE):
        steps = [step for step in plan.steps if step.capability.phase is phase]
        if steps:
            found += labelled(f"{phase.value:<10}{len(steps):>3}", _kinds(steps), column=16)
    return found


def _takes(plan: Plan) -> list[Row]:
    """Say how long it takes where the services' rates decide, before anyone signs."""
    found: list[Row] = []
    for reach in plan.reaches:
        if reach.takes_s >= LONG_S:
            text = f"about {seconds(reach.takes_s)} at the rates of its services, in {reach.scope}"
            found += labelled("takes", f"{text}: changes first, then read-backs and proof", column=16)
    if max((reach.takes_s for reach in plan.reaches), default=0) > plan.max_run_s:
        text = f"longer than the {seconds(plan.max_run_s)} of this plan: interrupted, it could not be resumed"
        found += labelled("", f"{text} after that", column=16)
    return found


def _kinds(steps: Sequence[Step]) -> str:
    counts = Counter(step.capability.value.replace("_", " ") for step in steps)
    return " · ".join(f"{name} {count}" for name, count in counts.items())


def _forecast(plan: Plan) -> list[Row]:
    """Say before anyone signs what the verdict will be if every step works."""
    if plan.verb is Verb.RESTORE:
        return []
    best = assess(
        plan,
        {
            step.n: StepHistory(step.n, closed=True, verdict=Verdict.CONTAINED, grade=step.best_grade)
            for step in plan.steps
        },
    )
    if best.verdict is Verdict.CONTAINED:
        return []
    word = best.verdict.value.replace("_", " ").upper()
    return list(rows(f"Even if every step works, the verdict will be {word}: see below.", tone=Tone.BAD))


def _section(title: str, lines: Sequence[Row], tone: Tone) -> list[Row]:
    return [Row(), *rows(title, tone=tone), *lines] if lines else []


def _affects(plan: Plan) -> list[Row]:
    found: list[Row] = []
    for step in plan.steps:
        for neighbour in step.affects:
            found += labelled(f"step {step.n}", neighbour, column=10)
    return _section("AFFECTS OTHERS", found, Tone.BAD)


def _open(plan: Plan) -> list[Row]:
    found: list[Row] = []
    for door in plan.doors:
        found += labelled(door.name, _door(door), column=21)
    for step in plan.steps:
        if step.best_grade is Grade.NONE:
            found += labelled(f"step {step.n}, unproven", _window(step), column=21)
    return _section("NOT TOUCHED, STAYS OPEN", found, Tone.BAD)


def _door(door: Door) -> str:
    parts = [door.reason]
    if door.remedy:
        parts.append(door.remedy)
    if door.owner:
        parts.append(f"owner {door.owner}")
    if door.closed_by:
        parts.append(f"closed once {_steps(door.closed_by)} proven")
    if door.verdict is Verdict.CONTAINED:
        parts.append("listed only")
    return "; ".join(parts)


def _window(step: Step) -> str:
    ends = (
        f"may live {seconds(step.window_s)} more" if step.window_s is not None else "does not end by itself"
    )
    moot = f"; does not matter once {_steps(step.moot_by)} proven" if step.moot_by else ""
    return f"{step.action} {visible(step.target.label)}: no proof exists, {ends}{moot}"


def _steps(numbers: Sequence[int]) -> str:
    names = ", ".join(str(n) for n in numbers)
    return f"step {names} is" if len(numbers) == 1 else f"steps {names} are"


def _not_planned(plan: Plan) -> list[Row]:
    found: list[Row] = []
    for item in plan.not_planned:
        found += labelled(f"{item.provider} {item.scope}", item.reason, column=21)
    return _section("NOT PLANNED, STAYS OPEN: could not be read", found, Tone.BAD)


def _not_touched(plan: Plan) -> list[Row]:
    found: list[Row] = []
    for item in plan.not_touched:
        found += labelled(item.resource, item.reason, column=21)
    return _section("NOT TOUCHED", found, Tone.HEAD)


def _not_reversible(plan: Plan) -> list[Row]:
    found: list[Row] = []
    for step in plan.steps:
        if step.reversibility is not Reversibility.FULL:
            partly = "in part: " if step.reversibility is Reversibility.PARTIAL else ""
            text = f"{step.action} {visible(step.target.label)}: {partly}{step.undo}"
            found += labelled(f"step {step.n}", text, column=10)
    return _section("NOT REVERSIBLE", found, Tone.BAD)


def _connections(plan: Plan) -> list[Row]:
    """Show every setting of every connection: where calls go, and as whom, is part of what is signed."""
    found: list[Row] = []
    for reach in plan.reaches:
        found += labelled(f"{reach.provider} {reach.scope}", f"by {reach.distribution}", column=21)
        for name, value in sorted(unpack_settings(reach.settings).items()):
            found += rows(f"{name}: {_json(value)}", first=" " * 23, rest=" " * 25, tone=Tone.FAINT)
        if reach.runner:
            text = f"sends there, and runs from memory, sha256 {reach.runner}"
            found += rows(text, first=" " * 6, rest=" " * 8, tone=Tone.FAINT)
    return _section("CONNECTIONS", found, Tone.HEAD)


def _json(value: Json) -> str:
    return value if isinstance(value, str) else canonical(value).decode()


def _step(plan: Plan, step: Step) -> list[Row]:
    gap = " " * 7
    reach = plan.reaches[step.reach]
    found = list(
        rows(f"{step.action}  {visible(step.target.label)}", first=f"  {pad(str(step.n), 3, right=True)}  ")
    )
    found += rows(f"on {step.target.kind} {step.target.id} ({reach.scope})", first=gap, tone=Tone.FAINT)
    proof = step.best_grade.value.replace("_", " ")
    facts = [
        step.capability.value.replace("_", " "),
        f"proof {proof}",
        f"settle {seconds(step.settle_ms / 1000)}" if step.settle_ms else "no settle time",
        f"deadline {seconds(step.deadline_ms / 1000)}",
        f"reversible {step.reversibility.value}",
    ]
    found += rows(" · ".join(facts), first=gap, tone=Tone.FAINT)
    waits = [f"{wait.n} (at most {seconds(wait.at_most_ms / 1000)})" for wait in step.after]
    params = "; ".join(f"{name} {_json(value)}" for name, value in sorted(step.target.params.items()))
    more = [
        ("exactly", params),
        ("after step", ", ".join(waits)),
        ("breaks", step.blast_radius),
        ("undo", step.undo),
        ("destroys", step.destroys_evidence),
        ("only withholds", "the credential stays valid at its issuer" if step.withholds_only else ""),
    ]
    for label, text in more:
        if text:
            found += rows(f"{label}: {text}", first=gap, rest=gap + "  ", tone=Tone.FAINT)
    return found
