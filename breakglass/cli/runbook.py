"""breakglass runbook: the shipped runbooks and those of the kit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import runbooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from breakglass.cli.session import Session
    from breakglass.report.typeset import Row
    from breakglass.runbook.model import Runbook

app = typer.Typer(
    name="runbook",
    help="The runbooks: which capabilities run, and the playbook in words.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")]


@app.command("list")
def list_(*, json: Json = False) -> None:
    """List the runbooks of the kit, or the shipped ones where there is no kit."""
    from breakglass.cli.session import session, show_json, show_rows
    from breakglass.report.typeset import table

    here = session()
    books = _books(here)
    if json:
        keys = ("name", "version", "title", "sha256")
        show_json(here.out, [{key: getattr(books[name], key) for key in keys} for name in sorted(books)])
        return
    lines = [(name, f"version {books[name].version}", books[name].title) for name in sorted(books)]
    show_rows(here.out, table(lines), nothing="there is no runbook")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The runbook's name.", autocompletion=runbooks)],
    *,
    json: Json = False,
) -> None:
    """Show a runbook: its steps in order, then what an operator should know and do."""
    from breakglass.cli.session import session, show_json
    from breakglass.errors import UsageError
    from breakglass.shape import encode

    here = session()
    books = _books(here)
    if name not in books:
        import difflib

        near = difflib.get_close_matches(name, list(books), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(books))}"
        raise UsageError(f"no runbook {name!r}; {hint}", remedy="breakglass runbook list")
    if json:
        show_json(here.out, encode(books[name]))
        return
    here.out.show(_rows(books[name]))


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A runbook's YAML file.")]) -> None:
    """Check one runbook's file: unknown keys, wrong types and dangling names, with file:line."""
    from breakglass.cli.session import session
    from breakglass.kit.complaints import Complaints
    from breakglass.kit.files import read_file
    from breakglass.kit.nodes import MAX_YAML_BYTES
    from breakglass.report.typeset import Tone, rows
    from breakglass.runbook.loader import read_runbook

    complaints = Complaints()
    data = read_file(file, max_bytes=MAX_YAML_BYTES)
    book = read_runbook(data, file=str(file), stem=file.stem, complaints=complaints)
    complaints.raise_all(f"Fix the file, then: breakglass runbook check {file}")
    if book is not None:
        session().out.show(rows(f"{book.name}: ok, {len(book.steps)} capabilities", tone=Tone.GOOD))


def _books(here: Session) -> Mapping[str, Runbook]:
    """Return the kit's runbooks where BREAKGLASS_KIT names one, else those that ship."""
    if here.environ.get("BREAKGLASS_KIT"):
        from breakglass.cli.kits import kit_of

        return kit_of(here).runbooks
    from breakglass.runbook import shipped

    return shipped()


def _rows(book: Runbook) -> list[Row]:
    from breakglass.report.typeset import Row, Tone, labelled, rows, seconds

    found = [*rows(f"{book.name}, version {book.version}: {book.title}", tone=Tone.HEAD), Row()]
    for n, step in enumerate(book.steps, 1):
        probe = ", probe" if step.probe else ""
        text = f"{step.capability.value.replace('_', ' ')} (deadline {seconds(step.deadline_s)}{probe})"
        found += labelled(f"{n}.", text, column=4)
    words = book.playbook
    for title, lines in (
        ("what happened", (words.what_happened,)),
        ("look at", words.look_at),
        ("impact", words.impact),
        ("next steps", words.next_steps),
        ("tell", words.tell),
    ):
        found += [Row(), Row(title, Tone.HEAD)]
        for line in lines:
            found += rows(line, first="  - ", rest="    ")
    return found
