"""breakglass journal: check what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import incidents

if TYPE_CHECKING:
    from breakglass.cli.session import Session
    from breakglass.incident.folder import IncidentFolder
    from breakglass.journal.sealing import FolderCheck
    from breakglass.report.typeset import Row

app = typer.Typer(
    name="journal", help="Check what was recorded.", no_args_is_help=True, rich_markup_mode=None
)


@app.command()
def verify(
    incident: Annotated[
        str, typer.Argument(help="The incident's id, or its folder.", autocompletion=incidents)
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Verify chain, checkpoint and signature of every run of an incident; exit 7 where one is damaged."""
    from breakglass.cli.session import leave, session, show_json
    from breakglass.errors import EXIT_DAMAGED
    from breakglass.incident.folder import find, home_folder
    from breakglass.journal.sealing import verify_folder

    here = session()
    folder = find(home_folder(here.environ), incident)
    answers = [(run, verify_folder(run.path, _pinned(here, run))) for run in (folder, *folder.runs())]
    if json:
        show_json(here.out, [_document(run, check) for run, check in answers])
    else:
        for run, check in answers:
            here.out.show(_rows(run, check))
    leave(0 if all(check.ok for _, check in answers) else EXIT_DAMAGED)


def _pinned(here: Session, run: IncidentFolder) -> str | None:
    """Return the log key that the trusted roster gives the executor of a run; None without a kit."""
    from breakglass.journal.history import first, text_of
    from breakglass.journal.reader import read_journal
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.site import open_site

    if not here.environ.get("BREAKGLASS_KIT"):
        return None
    site = open_site(None, here.environ, here.clock, card_or_none, drill_wanted=True)
    opened = first(read_journal(run.journal).records, "run.opened")
    name = text_of(opened.body, "executor") if opened is not None else ""
    executors = site.trusted_roster(highest_seen=0).roster.executors
    return next((executor.log_key for executor in executors if executor.name == name), None)


def _document(run: IncidentFolder, check: FolderCheck) -> dict[str, object]:
    from dataclasses import asdict

    return {"folder": str(run.path), "ok": check.ok, **asdict(check)}


def _rows(run: IncidentFolder, check: FolderCheck) -> list[Row]:
    from breakglass.report.typeset import Tone, labelled, plural, rows

    word = "ok" if check.ok else "DAMAGED"
    tone = Tone.GOOD if check.ok else Tone.BAD
    state = "sealed" if check.sealed else "not sealed"
    found = list(rows(f"{word}: {run.path}: {plural(check.records, 'record')}, {state}", tone=tone))
    for problem in check.problems:
        found += labelled("DAMAGED", problem, column=10)
    for note in check.notes:
        found += labelled("note", note, column=10)
    if check.signature_ok:
        found += labelled("signed", f"{check.origin} by {check.key}", column=10)
    return found
