"""Sets the end of a run: the closing screen with what to type next and how to check it with stock tools."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from breakglass.incident.folder import home_folder
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan, Verb
from breakglass.report.build import Report
from breakglass.report.text import closing, summary
from breakglass.report.typeset import Row

NOWHERE: Mapping[str, str] = MappingProxyType({})
"""An environment that says nothing: names are not shortened."""


def closing_rows(
    report: Report, plan: Plan, folder: Path, environ: Mapping[str, str] = NOWHERE
) -> tuple[Row, ...]:
    """Return the closing screen of a run whose incident lies in `folder`; `environ` may shorten its name."""
    return closing(
        report, following=following(report, folder, environ), checks=checks(report, plan, folder, environ)
    )


def summary_rows(report: Report) -> tuple[Row, ...]:
    """Return the whole report as text."""
    return summary(report)


def short_path(path: Path, environ: Mapping[str, str]) -> str:
    """Name a path for a shell in as few characters as lead there: below the home folder by its tilde."""
    home = environ.get("HOME", "")
    if home.startswith("/") and path.is_relative_to(home) and path != Path(home):
        return f"~/{shlex.quote(str(path.relative_to(home)))}"
    return shlex.quote(str(path))


def incident_name(folder: Path, environ: Mapping[str, str]) -> str:
    """Name an incident for a shell: by its id where this program finds it by that."""
    if environ and folder.parent == home_folder(environ):
        return shlex.quote(folder.name)
    return short_path(folder, environ)


def following(report: Report, folder: Path, environ: Mapping[str, str] = NOWHERE) -> tuple[str, ...]:
    """Name the commands that make sense next."""
    name = incident_name(folder, environ)
    found = [f"breakglass report {name}"]
    if report.drill:  # its kit and its agent are gone: there is nothing to go on with
        return tuple(found)
    if report.verb is Verb.CONTAIN:
        found.append(f"breakglass restore {name}")
    if report.verdict is Verdict.UNKNOWN:
        found.insert(0, f"breakglass resume {name}")
    return tuple(found)


def checks(report: Report, plan: Plan, folder: Path, environ: Mapping[str, str] = NOWHERE) -> tuple[str, ...]:
    """Return the commands that check signatures and journal without this program's word for it."""
    found = [f"cd {short_path(folder, environ)}"]
    persons = " ".join(shlex.quote(signer.person) for signer in report.signers)
    if persons:
        found.append(
            f"for p in {persons}; do ssh-keygen -Y verify -f allowed_signers"
            f' -n breakglass-plan-v1@{plan.org} -I "$p" -s "$p.sig" <plan.json; done'
        )
    found.append(f"breakglass journal verify {incident_name(folder, environ)}")
    return tuple(found)
