"""Sets a report as the after-action report in Markdown, safe to paste where others will read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from breakglass.clock import Instant
from breakglass.model.plan import Plan, Verb
from breakglass.report.build import Report
from breakglass.report.text import HEADLINES, STEP_WORDS, WORDS, headline
from breakglass.report.timeline import phases
from breakglass.report.typeset import seconds, visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&$@:])")


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no HTML, no link, no cell or line break."""
    return _SPECIAL.sub(r"\\\1", visible(text)) or " "


def after_action(report: Report, plan: Plan, *, checks: Sequence[str] = ()) -> str:
    """Return the after-action report: verdict, what is open, who signed, what was done, how to check it."""
    kind = "Restore" if report.verb is Verb.RESTORE else "Stop"
    parts = [
        f"# {kind} of {escape(report.agent)}: {HEADLINES[report.verb, report.verdict]}",
        *(["**DRILL: an exercise, not an incident.**"] if report.drill else []),
        f"{escape(headline(report))}. Exit code {report.verdict.exit_code}.",
        _section("Still open", _open(report)),
        _section("What happened", _facts(report, plan)),
        _section("Timings", _timings(report)),
        _section("Signed by", _signers(report)),
        _section("Steps", _steps(report)),
        _section("Found, not signed", _found(report)),
        _section("Not touched", _not_touched(report)),
        _section("Truth, as the downstream system saw it", _truth(report)),
        _section("How to check this", _checks(report, checks)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(title: str, body: str) -> str:
    return f"## {title}\n\n{body}" if body else ""


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    body = [f"| {' | '.join(escape(cell) for cell in line)} |" for line in lines]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *body])


def _open(report: Report) -> str:
    lines = [(WORDS[item.verdict], item.name, item.reason, item.remedy, item.owner) for item in report.open]
    return _table(("", "what", "why", "do this", "owner"), lines) or "Nothing that is known of."


def _facts(report: Report, plan: Plan) -> str:
    detection = plan.detection
    facts = [
        ("incident", report.incident),
        ("reason", plan.reason),
        ("requested by", plan.requested_by),
        ("runbook", f"{plan.runbook.name} (version {plan.runbook.version})"),
        ("harm began", _instant(detection.started_at if detection else None)),
        ("detected", _instant(detection.detected_at if detection else None)),
        ("detection", f"{detection.source.value}, {detection.by}" if detection else "not given"),
        ("two-person rule", report.two_person_rule.value),
        ("executors", ", ".join(plan.executors)),
        *(("sandbox endpoint", endpoint) for reach in plan.reaches for endpoint in reach.endpoints),
    ]
    return _table(("fact", "value"), facts)


def _instant(value: Instant | None) -> str:
    return str(value) if value is not None else "unknown"


def _timings(report: Report) -> str:
    found = report.timings
    single = [("detect", found.detect_s), ("authorise", found.authorise_s)]
    lines = [
        *((name, seconds(value), "", "", "") for name, value in single),
        *(
            (name, *(seconds(getattr(times, f"{name}_s")) for times in found.columns))
            for name in phases(report.verb)
        ),
    ]
    head = ("", "read back, since the stop", "since signed", "proven, since the stop", "since signed")
    source = f"\n\nDetection times are {found.detect_source.value}." if found.detect_source else ""
    return _table(head, lines) + source


def _signers(report: Report) -> str:
    lines = [(item.person, item.key_fingerprint, str(item.signed_at)) for item in report.signers]
    return _table(("person", "key", "accepted at"), lines) or "Nobody."


def _steps(report: Report) -> str:
    lines = [
        (
            str(step.number),
            STEP_WORDS[step.verdict],
            step.grade.value.replace("_", " "),
            step.capability.value.replace("_", " "),
            step.action,
            f"{step.target.label} ({step.target.kind} {step.target.id})",
            step.reason,
            *(
                _short(value)
                for value in (step.requested_at, step.accepted_at, step.read_back_at, step.proven_at)
            ),
        )
        for step in report.steps
    ]
    head = ("step", "", "proof", "capability", "action", "target", "reason")
    return _table((*head, "requested", "accepted", "read back", "proven"), lines)


def _short(value: Instant | None) -> str:
    return str(value)[11:23] if value is not None else "-"


def _found(report: Report) -> str:
    lines = [
        (item.provider, item.scope, f"{item.kind} {item.id}", item.reason) for item in report.found_not_signed
    ]
    return _table(("provider", "scope", "principal", "reason"), lines)


def _not_touched(report: Report) -> str:
    return _table(("resource", "reason"), [(item.resource, item.reason) for item in report.not_touched])


def _truth(report: Report) -> str:
    lines = [
        (
            item.channel,
            _instant(item.last_effect_at) if item.last_effect_at else "none",
            _instant(item.proven_at),
        )
        for item in report.truth
    ]
    return _table(("channel", "last effect", "proven stopped"), lines)


def _checks(report: Report, checks: Sequence[str]) -> str:
    lines = _table(
        ("what", "value"), [("plan.json, sha256", report.plan_sha256), ("journal", report.journal)]
    )
    shell = "\n".join(f"    {visible(check)}" for check in checks)
    return f"{lines}\n\n{shell}" if shell else lines
