"""Conducts an opened run at the terminal or from a script: signatures, progress, the end, the exit code."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing as closed
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from breakglass.cli.interrupt import if_it_can_be_shown, whatever_the_screen_does, wished_to_stop
from breakglass.cli.session import Session, leave
from breakglass.errors import EXIT_PROVEN, EXIT_UNKNOWN, NotAuthorised
from breakglass.report.typeset import Row, Tone, rows

if TYPE_CHECKING:
    from breakglass.model.plan import Plan
    from breakglass.usecases.contain import Opened
    from breakglass.usecases.run import Finished


def conduct(
    here: Session, opened: Opened, *, person: str, key: Path | None, yes: bool, json: bool
) -> NoReturn:
    """Ask for the signatures that are missing, carry the plan out, show the end, and leave."""
    from breakglass.cli.progress_view import ProgressView
    from breakglass.usecases.contain import finish

    plan = opened.run.plan
    running = threading.Event()
    with (
        closed(opened),
        wished_to_stop(
            lambda: settling(here) if running.is_set() else None, needs_nobody=running.is_set
        ) as wished,
    ):
        # Two people must not be asked to sign what could not be sealed afterwards.
        opened.run.site.log_key(here.environ)
        for n, error in opened.connected.failures.items():
            here.say(*rows(f"reach {n} is not connected: {error.what}", rest="  ", tone=Tone.BAD))
        if here.interactive:
            _gather(here, opened, wished, person=person, key=key, yes=yes)
        started_s = here.clock.monotonic_s()
        view = ProgressView(plan, here.talk, lambda: here.clock.monotonic_s() - started_s)
        running.set()
        with whatever_the_screen_does(view.running()):
            done = finish(opened, here.environ, observer=view, cancelled=wished)
    show_end(here, done, plan, json=json)


def _gather(
    here: Session, opened: Opened, wished: Callable[[], bool], *, person: str, key: Path | None, yes: bool
) -> None:
    """Let the invoking person sign, then wait for the others.

    Raises:
        NotAuthorised: the person did not sign, the time ran out, or Ctrl-C.
    """
    from breakglass.authorise.words import check_words
    from breakglass.cli.child import sign_as_person
    from breakglass.cli.waiting import Told, pasting, request_rows
    from breakglass.usecases.approve import accept
    from breakglass.usecases.contain import await_signatures

    run = opened.run
    if not run.folder.signatures():
        accept(run.folder, run.digest, sign_as_person(here, run.raw, person, key, yes=yes))
    exchange = run.site.kit.settings.exchange
    place = run.folder.path
    if exchange is not None and (exchange / place.name / "plan.json").is_file():
        place = exchange / place.name
    here.say(*request_rows(check_words(run.digest), opened.request, str(place)))
    with pasting(here, lambda text: accept(run.folder, run.digest, text)):
        enough = await_signatures(opened, seen=Told(here, run.plan), cancelled=wished)
    if not enough or wished():
        raise NotAuthorised("stopped waiting for signatures", remedy=f"breakglass stop {run.plan.agent}")


def settling(here: Session) -> None:
    """Say what a wish to stop does."""
    here.say(Row("stopping: the running calls settle, nothing new begins", Tone.UNKNOWN))


def show_end(here: Session, done: Finished, plan: Plan, *, json: bool) -> NoReturn:
    """Show how a run ended, and leave with its exit code; an interrupted one is never a success."""
    from breakglass.cli.report_view import closing_rows

    end = closing_rows(done.report, plan, done.folder.path, here.environ)
    code = done.report.verdict.exit_code
    if not done.sealed:
        code = EXIT_UNKNOWN if code == EXIT_PROVEN else code
    with if_it_can_be_shown():
        (here.talk if json else here.out).show((Row(), *end))
        if not done.sealed:
            here.say(*rows("interrupted: breakglass resume goes on", tone=Tone.UNKNOWN))
        for line in done.unmirrored:
            here.say(*rows(f"unmirrored: {line}", rest="  ", tone=Tone.BAD))
    with if_it_can_be_shown():
        if json:
            here.out.raw(done.report.to_json())
    leave(code)
