"""breakglass drill: a game day, with the same code against a live agent that resists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from breakglass.report.typeset import Row
    from breakglass.usecases.drill import Outcome

app = typer.Typer(
    name="drill",
    help="A game day: stop a live, resisting agent, and prove it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def run(
    scenario: Annotated[str, typer.Argument(help="Which one; see drill list.")] = "resisting-agent",
    *,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="In a sandbox of its own (the default).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="The incident's folder, empty.")] = None,
) -> None:
    """Start a rogue agent in a sandbox, stop it on two signatures, and hold the report against the truth."""
    from breakglass.cli.game import Game
    from breakglass.cli.interrupt import wished_to_stop
    from breakglass.cli.session import leave, session
    from breakglass.drill.scenario import scenario as named
    from breakglass.usecases.drill import run_drill

    del sandbox  # the one kind of drill that there is; the flag says so where it is read later
    here = session()
    chosen = named(scenario)
    with wished_to_stop(lambda: None) as wished, Game(here) as game:
        outcome = run_drill(
            chosen,
            here.environ,
            here.clock,
            keep=keep,
            tell=game.tell,
            show_plan=game.show_plan,
            observer=game.observer,
            cancelled=wished,
        )
    end = end_rows(outcome)
    if json:
        here.say(*end)
        here.out.raw(outcome.report.to_json())
    else:
        here.out.show(end)
    leave(outcome.exit_code)


@app.command("list")
def list_(*, json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False) -> None:
    """List the scenarios."""
    from breakglass.cli.session import session, show_json
    from breakglass.drill.scenario import SCENARIOS
    from breakglass.report.typeset import table
    from breakglass.shape import encode

    here = session()
    if json:
        show_json(here.out, encode(SCENARIOS))
        return
    here.out.show(table([(item.name, item.summary) for item in SCENARIOS]))


def end_rows(outcome: Outcome) -> tuple[Row, ...]:
    """Return the closing screen, what the restore came to, and what the sandbox could not show."""
    from breakglass.cli.report_view import closing_rows
    from breakglass.report.text import HEADLINES, TONES
    from breakglass.report.typeset import Row, Tone, labelled, rows

    found = [Row(), *closing_rows(outcome.report, outcome.plan, outcome.folder.path), Row()]
    if not outcome.honest:
        found += rows("THE REPORT CLAIMS MORE THAN THE TRUTH: the drill failed", tone=Tone.BAD)
    if outcome.restored is not None:
        restored = outcome.restored
        word = HEADLINES[restored.verb, restored.verdict]
        found += rows(f"undone again: {word}", tone=TONES[restored.verdict])
        for item in restored.open:
            found += labelled("open", f"{item.name}: {item.reason}", column=10)
        for left in restored.not_touched:
            found += labelled("not", f"{left.resource}: {left.reason}", column=10)
    for name in outcome.put_back:
        found += labelled("differs", f"{name} is not as it was before the stop", column=10)
    for note in outcome.notes:
        found += labelled("note", note, column=10)
    return (*found, *rows(f"everything lies in {outcome.folder.path}"))
