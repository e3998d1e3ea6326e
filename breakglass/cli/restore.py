"""breakglass restore: put back what a stop changed, on two signatures of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakglass.cli.complete import incidents


def restore(  # noqa: PLR0913 - each is a flag of DESIGN 7
    incident: Annotated[
        str, typer.Argument(help="The incident's id, or its folder.", autocompletion=incidents)
    ],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who signs reads it.")] = "",
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the typed name; it never signs.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
    choose: Annotated[
        list[str] | None,
        typer.Option("--choose", help="NAME=VALUE of what steps offer, e.g. tokens=rotate; repeatable."),
    ] = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Use a drill's kit where real stops run too.")
    ] = False,
) -> None:
    """Put back what a stop changed; two people sign."""
    import secrets

    from breakglass.cli.conduct import conduct
    from breakglass.cli.kits import site_of
    from breakglass.cli.requests import NOT_STATED, login_name, one_line
    from breakglass.cli.session import session
    from breakglass.errors import SignaturesMissing
    from breakglass.incident.folder import find
    from breakglass.plan.undo_choices import parse_choices
    from breakglass.usecases.restore import RestoreRequest, open_restore

    here = session()
    site = site_of(here, drill_wanted=drill)
    request = RestoreRequest(
        one_line(reason) or NOT_STATED, person or login_name(here), parse_choices(choose or ())
    )
    opened = open_restore(site, find(site.home, incident), request, secrets.token_bytes)
    if not here.interactive:
        run = opened.run
        opened.close()
        raise SignaturesMissing(
            "there is no terminal, so nobody can be asked to sign; the restore is planned",
            where=str(run.folder.plan),
            remedy=f"two persons: breakglass sign {run.folder.plan}; then: breakglass resume {incident}",
        )
    conduct(here, opened, person=person, key=key, yes=yes, json=json)
