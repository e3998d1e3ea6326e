"""breakglass resume: go on with a run that did not end."""

from __future__ import annotations

from typing import Annotated

import typer

from breakglass.cli.complete import incidents


def resume(
    incident: Annotated[
        str, typer.Argument(help="The incident's id, or its folder.", autocompletion=incidents)
    ],
    *,
    json: Annotated[bool, typer.Option("--json", help="Write the report as JSON to stdout.")] = False,
    drill: Annotated[
        bool, typer.Option("--drill", help="Use a drill's kit where real stops run too.")
    ] = False,
) -> None:
    """Go on with a run that did not end, on its signatures."""
    from contextlib import closing as closed

    from breakglass.cli.conduct import settling, show_end
    from breakglass.cli.interrupt import whatever_the_screen_does, wished_to_stop
    from breakglass.cli.kits import site_of
    from breakglass.cli.progress_view import ProgressView
    from breakglass.cli.session import session
    from breakglass.incident.folder import find
    from breakglass.usecases.restore import read_plan
    from breakglass.usecases.resume import resume as go_on
    from breakglass.usecases.resume import unfinished

    here = session()
    site = site_of(here, drill_wanted=drill)
    folder = find(site.home, incident)
    plan, _ = read_plan(unfinished(folder))
    started_s = here.clock.monotonic_s()
    view = ProgressView(plan, here.talk, lambda: here.clock.monotonic_s() - started_s)
    with (
        closed(site.open_ledger()) as ledger,
        wished_to_stop(lambda: settling(here), needs_nobody=lambda: True) as wished,
        whatever_the_screen_does(view.running()),
    ):
        done = go_on(site, folder, ledger, site.log_key(here.environ), observer=view, cancelled=wished)
    show_end(here, done, plan, json=json)
