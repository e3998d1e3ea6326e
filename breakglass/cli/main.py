"""The command line's root: which commands there are, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from breakglass.cli import agents, drill, journal, kit, operator, providers, roster, runbook
from breakglass.cli.approve import approve
from breakglass.cli.plan import plan
from breakglass.cli.reject import reject
from breakglass.cli.report import report
from breakglass.cli.restore import restore
from breakglass.cli.resume import resume
from breakglass.cli.sign import sign
from breakglass.cli.status import status
from breakglass.cli.stop import stop
from breakglass.errors import EXIT_BUG, BreakglassError

app = typer.Typer(
    name="breakglass",
    help="Stop a misbehaving production AI agent everywhere it acts, on two signatures, and prove it.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (stop, plan, sign, approve, reject, status, resume, restore, report):
    app.command()(command)
for group in (drill, operator, roster, kit, agents, runbook, providers, journal):
    app.add_typer(group.app)


def _version(wanted: bool) -> None:  # noqa: FBT001 - the signature of a Typer callback
    if wanted:
        from breakglass import __version__

        typer.echo(f"breakglass {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Stop a misbehaving production AI agent everywhere it acts, on two signatures, and prove it."""


def main() -> NoReturn:
    """Run the command that the arguments name, and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")
    try:
        # The name is fixed so that completion and usage are the same for `python -m breakglass`.
        app(prog_name="breakglass")
    except BreakglassError as error:
        from breakglass.cli.render import error_rows
        from breakglass.cli.session import session

        here = session()
        here.say(*error_rows(error, wrapped=here.talk.is_terminal))
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is our bug, and is said in one line
        from breakglass.cli.bug import tell

        tell(error)
        sys.exit(EXIT_BUG)
    sys.exit(0)
