"""breakglass stop: stop an agent everywhere it acts, on two signatures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from breakglass.cli.complete import agents

if TYPE_CHECKING:
    from breakglass.usecases.contain import Opened
    from breakglass.usecases.prepare import StopRequest
    from breakglass.usecases.site import Site


def stop(  # noqa: PLR0913 - each is a flag of DESIGN 7
    agent: Annotated[str, typer.Argument(help="The agent, as the kit names it.", autocompletion=agents)] = "",
    *,
    runbook: Annotated[str, typer.Option("--runbook", help="Another runbook than the agent's own.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who signs reads it.")] = "",
    alert: Annotated[Path | None, typer.Option("--alert", help="An alert.json: when harm began.")] = None,
    detected_at: Annotated[str, typer.Option("--detected-at", help="When it was noticed (UTC).")] = "",
    started_at: Annotated[str, typer.Option("--started-at", help="When harm began (UTC).")] = "",
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the typed name; it never signs.")] = False,
    plan: Annotated[Path | None, typer.Option("--plan", help="Run exactly this plan.")] = None,
    signature: Annotated[
        list[Path] | None, typer.Option("--signature", help="A signature of it; once a person.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
    keep: Annotated[Path | None, typer.Option("--keep", help="The incident's folder, empty.")] = None,
    drill: Annotated[
        bool, typer.Option("--drill", help="Use a drill's kit where real stops run too.")
    ] = False,
) -> None:
    """Stop an agent everywhere it acts; two people sign."""
    from breakglass.cli.conduct import conduct
    from breakglass.cli.kits import site_of
    from breakglass.cli.session import session
    from breakglass.errors import SignaturesMissing, UsageError

    here = session()
    if (plan is None) == (not agent):
        raise UsageError("name an agent, or a plan with --plan", remedy="breakglass stop --help")
    if plan is not None:
        opened = _signed(site_of(here, drill_wanted=drill), plan, signature or [], keep)
    elif not here.interactive:
        raise SignaturesMissing(
            "there is no terminal, so nobody can be asked to sign",
            remedy=f"breakglass plan {agent} -o plan.json, two signatures, then"
            " breakglass stop --plan plan.json --signature A.sig --signature B.sig",
        )
    else:
        from breakglass.cli.requests import stop_request

        request = stop_request(
            here, agent, runbook, reason, alert=alert, times=(started_at, detected_at), person=person
        )
        opened = _asked(site_of(here, drill_wanted=drill), request, keep)
    conduct(here, opened, person=person, key=key, yes=yes, json=json)


def _signed(site: Site, plan: Path, signatures: list[Path], keep: Path | None) -> Opened:
    from breakglass.usecases.contain import open_signed

    return open_signed(site, plan, signatures, keep)


def _asked(site: Site, request: StopRequest, keep: Path | None) -> Opened:
    import secrets

    from breakglass.usecases.contain import new_folder, new_incident, open_stop

    incident = new_incident(secrets.token_bytes)
    return open_stop(site, request, new_folder(site, keep, incident), incident, secrets.token_bytes)
