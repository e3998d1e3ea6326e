"""breakglass plan: what a stop would do, and what it would not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from breakglass.cli.complete import agents


def plan(  # noqa: PLR0913 - each is a flag of DESIGN 7
    agent: Annotated[str, typer.Argument(help="The agent, as the kit names it.", autocompletion=agents)],
    *,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Write plan.json there.")] = None,
    runbook: Annotated[str, typer.Option("--runbook", help="Another runbook than the agent's own.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; everybody who signs reads it.")] = "",
    alert: Annotated[Path | None, typer.Option("--alert", help="An alert.json: when harm began.")] = None,
    detected_at: Annotated[str, typer.Option("--detected-at", help="When it was noticed (UTC).")] = "",
    started_at: Annotated[str, typer.Option("--started-at", help="When harm began (UTC).")] = "",
    person: Annotated[str, typer.Option("--as", help="Who asks.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Write the plan as JSON to stdout.")] = False,
) -> None:
    """Say what a stop would do; changes nothing."""
    import secrets

    from breakglass.authorise.words import check_words
    from breakglass.cli.kits import site_of
    from breakglass.cli.plan_view import plan_rows
    from breakglass.cli.requests import stop_request
    from breakglass.cli.session import session
    from breakglass.model.plan import plan_digest
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.contain import new_incident
    from breakglass.usecases.inspect import plan_stop

    here = session()
    request = stop_request(
        here, agent, runbook, reason, alert=alert, times=(started_at, detected_at), person=person
    )
    incident = new_incident(secrets.token_bytes)
    made, raw = plan_stop(site_of(here, drill_wanted=True), request, incident, secrets.token_bytes, out=out)
    digest = plan_digest(raw)
    if json:
        here.out.raw(raw + b"\n")
    else:
        here.out.show(plan_rows(made, digest=digest, words=check_words(digest)))
    if out is not None:
        here.say(*rows(f"written to {out}; two people: breakglass sign {out}", rest="  ", tone=Tone.GOOD))
