"""breakglass sign: show a plan and sign it as the person at the keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from breakglass.cli.session import Session
    from breakglass.usecases.approve import Request


def sign(
    plan: Annotated[str, typer.Argument(help="plan.json, an incident, a pasted request, or - for stdin.")],
    *,
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the typed name.")] = False,
) -> None:
    """Show a plan, then sign exactly those bytes; the approval goes to stdout, to be pasted."""
    from breakglass.cli.session import session
    from breakglass.cli.signing import request_of, show_request

    here = session()
    request = request_of(here, plan)
    show_request(here, request)
    finish(here, request, person, key, yes=yes)


def finish(here: Session, request: Request, person: str, key: Path | None, *, yes: bool) -> None:
    """Let the person type the name, sign, and hand the signature on."""
    from breakglass.cli.ask import typed_name
    from breakglass.cli.signing import person_and_key, roster_of
    from breakglass.report.typeset import Row, Tone, rows
    from breakglass.usecases.approve import deliver
    from breakglass.usecases.approve import sign as put_name_to

    who, signer = person_and_key(here, roster_of(here, request), person, key)
    if not yes:
        typed_name(here, request.plan.agent, who.person)
    approval = put_name_to(request, who, signer)
    text, path = deliver(approval, request)
    here.say(*rows(f"signed as {who.person}", tone=Tone.GOOD))
    if path is not None:
        here.say(*rows(f"the signature lies in {path}", rest="  "))
    else:
        here.say(Row("send this string back to the first operator:"))
    here.out.raw(f"{text}\n".encode())
