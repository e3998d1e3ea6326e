"""breakglass status: how incidents stand, from their folders alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import incidents

if TYPE_CHECKING:
    from breakglass.report.typeset import Row
    from breakglass.usecases.status import RunStatus


def status(
    incident: Annotated[
        str, typer.Argument(help="One incident, by id or folder; without it all.", autocompletion=incidents)
    ] = "",
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Say how each incident stands; needs no kit, no key and no provider."""
    from breakglass.cli.session import session, show_json, show_rows
    from breakglass.incident.folder import find, home_folder
    from breakglass.usecases.status import status as of_all
    from breakglass.usecases.status import status_of

    here = session()
    home = home_folder(here.environ)
    found = tuple(status_of(find(home, incident)) if incident else of_all(home))
    if json:
        show_json(here.out, [item.to_json() for item in found])
        return
    lines = [row for item in found for row in _rows(item)]
    show_rows(here.out, lines, nothing=f"no incident in {home}")


def _rows(item: RunStatus) -> list[Row]:
    from breakglass.model.action import Verdict
    from breakglass.report.text import TONES
    from breakglass.report.typeset import Tone, rows

    name = f"{item.incident} {item.run}".strip()
    drill = "DRILL " if item.drill else ""
    if item.problem:
        return list(rows(f"{name}  DAMAGED: {item.problem}", rest="  ", tone=Tone.BAD))
    verdict = item.verdict.value.replace("_", " ").upper() if item.verdict is not None else item.stage
    text = f"{name}  {drill}{item.verb} {item.agent}: {verdict}"
    tone = TONES[item.verdict] if item.verdict is not None else Tone.UNKNOWN
    if item.verdict is Verdict.CONTAINED and item.verb != "contain":
        text = f"{name}  {drill}{item.verb} {item.agent}: done"
    detail = f"{item.steps_proven} of {item.steps_started} started steps proven · issued {item.issued_at}"
    return [
        *rows(text, rest="  ", tone=tone),
        *rows(f"{detail} · {item.path}", first="  ", tone=Tone.FAINT),
    ]
