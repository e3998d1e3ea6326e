"""breakglass drill: a game day, with the same code against a live agent that resists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import scenarios

if TYPE_CHECKING:
    from collections.abc import Mapping

    from breakglass.cli.session import Session
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
    scenario: Annotated[
        str, typer.Argument(help="Which one; see drill list.", autocompletion=scenarios)
    ] = "resisting-agent",
    *,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="In a sandbox of its own (the default).")] = True,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="The incident's folder, empty.")] = None,
    show_plan: Annotated[
        bool, typer.Option("--show-plan", help="Show every step before it is signed.")
    ] = False,
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
    with wished_to_stop(lambda: told(here)) as wished, Game(here, whole_plan=show_plan) as game:
        outcome = run_drill(chosen, here.environ, here.clock, keep=keep, audience=game, cancelled=wished)
    end = end_rows(outcome, here.environ)
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


def told(here: Session) -> None:
    """Say what a wish to stop does."""
    from breakglass.report.typeset import Row, Tone

    here.say(Row("stopping: running calls settle, then the sandbox is taken down", Tone.UNKNOWN))


def end_rows(outcome: Outcome, environ: Mapping[str, str]) -> tuple[Row, ...]:
    """Return the closing screen; it stands last, so that it is what stays in sight."""
    from breakglass.cli.report_view import closing_rows, short_path
    from breakglass.report.typeset import Row, Tone, rows

    found = [Row()]
    if not outcome.honest:
        found += rows("THE REPORT CLAIMS MORE THAN THE TRUTH: the drill failed", tone=Tone.BAD)
    if not outcome.sealed:
        found += rows(
            "INTERRUPTED: what was begun is recorded; the agent is gone, so there is nothing to resume",
            tone=Tone.BAD,
        )
    for name in outcome.put_back:
        found += rows(f"NOT PUT BACK: {name}", tone=Tone.BAD)
    found += closing_rows(outcome.report, outcome.plan, outcome.folder.path, environ)
    if outcome.exit_code != outcome.report.verdict.exit_code:
        found += [
            Row(),
            *rows(f"the drill itself ends with exit {outcome.exit_code}: see above", tone=Tone.BAD),
        ]
    return (*found, Row(), *rows(f"everything lies in {short_path(outcome.folder.path, environ)}"))
