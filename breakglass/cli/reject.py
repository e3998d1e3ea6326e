"""breakglass reject: a signed no."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reject(
    request: Annotated[str, typer.Argument(help="A pasted request, an incident, a file, or - for stdin.")],
    *,
    why: Annotated[str, typer.Option("--why", help="Your reason, for the journal; one line.")],
    person: Annotated[str, typer.Option("--as", help="Who refuses; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
) -> None:
    """Refuse a request, with your reason and your signature; the refusal goes to stdout, to be pasted."""
    from breakglass.cli.session import session
    from breakglass.cli.signing import person_and_key, request_of, roster_of
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.approve import reject as refuse

    here = session()
    found = request_of(here, request)
    who, signer = person_and_key(here, roster_of(here, found), person, key)
    text = refuse(found, who, signer, why, here.clock.now())
    here.say(*rows(f"refused as {who.person}: {why}", rest="  ", tone=Tone.BAD))
    here.out.raw(f"{text}\n".encode())
