"""breakglass approve: how the second operator signs, anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from breakglass.cli.session import Session
    from breakglass.usecases.approve import Request

UNCHECKED = "not independently checked: --check looks at every target with your own credentials"


def approve(
    request: Annotated[str, typer.Argument(help="A pasted request, an incident, a file, or - for stdin.")],
    *,
    check: Annotated[bool, typer.Option("--check", help="Look at every target yourself first.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the request is there.")] = False,
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the typed name.")] = False,
) -> None:
    """Show what the first operator asks for, six words to read aloud, and sign it."""
    from breakglass.cli.session import session
    from breakglass.cli.sign import finish
    from breakglass.cli.signing import show_request

    here = session()
    found = _wait_for(here, request) if wait else _now(here, request)
    show_request(here, found, "" if check else UNCHECKED)
    if check:
        _check(here, found)
    finish(here, found, person, key, yes=yes)


def _now(here: Session, text: str) -> Request:
    from breakglass.cli.signing import request_of

    return request_of(here, text)


def _wait_for(here: Session, text: str) -> Request:
    """Look twice a second until there is such a request; Ctrl-C ends it."""
    from breakglass.errors import MalformedInput, UsageError
    from breakglass.report.typeset import rows

    told = False
    while True:
        try:
            return _now(here, text)
        except MalformedInput:
            raise
        except UsageError as error:
            if not told:
                here.say(*rows(f"{error.what}: waiting for it"))
                told = True
        here.clock.sleep(0.5)


def _check(here: Session, request: Request) -> None:
    """Observe every target with the approver's own credentials and show what differs."""
    from breakglass.cli.kits import site_of
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.inspect import check_request

    differences = check_request(site_of(here, drill_wanted=True), request)
    for item in differences:
        text = f"step {item.step}, {item.target}: {item.what}"
        here.say(*rows(text, first="  DIFFERENT ", rest=" " * 12, tone=Tone.BAD))
    if not differences:
        here.say(*rows("checked with your own credentials: every target is as the plan says", tone=Tone.GOOD))
