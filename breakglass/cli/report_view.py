"""Sets the end of a run: the closing screen with what to type next and how to check it with stock tools."""

from __future__ import annotations

import shlex
from pathlib import Path

from breakglass.model.action import Verdict
from breakglass.model.plan import Plan, Verb
from breakglass.report.build import Report
from breakglass.report.text import closing, summary
from breakglass.report.typeset import Row


def closing_rows(report: Report, plan: Plan, folder: Path) -> tuple[Row, ...]:
    """Return the closing screen of a run whose incident lies in `folder`."""
    return closing(report, following=following(report, folder), checks=checks(report, plan, folder))


def summary_rows(report: Report) -> tuple[Row, ...]:
    """Return the whole report as text."""
    return summary(report)


def following(report: Report, folder: Path) -> tuple[str, ...]:
    """Name the commands that make sense next."""
    name = shlex.quote(str(folder))
    found = [f"breakglass report {name} --format markdown"]
    if report.drill:  # its kit and its agent are gone: there is nothing to go on with
        return tuple(found)
    if report.verb is Verb.CONTAIN:
        found.append(f"breakglass restore {name}")
    if report.verdict is Verdict.UNKNOWN:
        found.insert(0, f"breakglass resume {name}")
    return tuple(found)


def checks(report: Report, plan: Plan, folder: Path) -> tuple[str, ...]:
    """Return the commands that check signatures and journal without this program's word for it."""
    name = shlex.quote(str(folder))
    found = [f"cd {name}"]
    found += [
        f"ssh-keygen -Y verify -f allowed_signers -I {shlex.quote(signer.person)}"
        f" -n breakglass-plan-v1@{plan.org} -s {shlex.quote(signer.person)}.sig < plan.json"
        for signer in report.signers
    ]
    found.append(f"breakglass journal verify {name}")
    return tuple(found)
