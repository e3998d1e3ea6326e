"""breakglass report: what happened, again, from the journal."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from breakglass.cli.complete import incidents


class Format(StrEnum):
    """How a report is set."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def report(
    incident: Annotated[
        str, typer.Argument(help="The incident's id, or its folder.", autocompletion=incidents)
    ],
    *,
    format_: Annotated[Format, typer.Option("--format", help="How it is set.")] = Format.TEXT,
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
) -> None:
    """Say what happened: text, Markdown or JSON."""
    from breakglass.cli.report_view import checks, summary_rows
    from breakglass.cli.session import session
    from breakglass.incident.folder import find, home_folder
    from breakglass.report.markdown import after_action
    from breakglass.usecases.inspect import read_report

    here = session()
    folder = find(home_folder(here.environ), incident)
    found, plan = read_report(folder)
    chosen = Format.JSON if json else format_
    if chosen is Format.JSON:
        here.out.raw(found.to_json())
    elif chosen is Format.MARKDOWN:
        here.out.raw(after_action(found, plan, checks=checks(found, plan, folder.path)).encode())
    else:
        here.out.show(summary_rows(found))
