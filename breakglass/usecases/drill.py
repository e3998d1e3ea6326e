"""Runs a game day in a sandbox: a live agent that resists, two throwaway signers, and the truth."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.request import encode_approval
from breakglass.clock import Clock
from breakglass.drill.grounds import AGENT
from breakglass.drill.listing import differences, listing
from breakglass.drill.scenario import Scenario
from breakglass.drill.score import ScoredChannel, score
from breakglass.drill.sink import ARRIVALS
from breakglass.drill.truth import last_effects
from breakglass.errors import BreakglassError, Unreachable
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.report.build import Report, Truth
from breakglass.usecases.alert import read_alert
from breakglass.usecases.approve import Request, accept, sign
from breakglass.usecases.contain import Observer, Opened, finish, new_folder, new_incident, open_stop
from breakglass.usecases.drill_ground import Ground, Stage, drill_ground
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.restore import RestoreRequest, open_restore
from breakglass.usecases.run import Finished, judge, report_of

ALERT_S = 30.0
AFTERMATH_S = 1.5
"""So long the downstream system is watched after the stop, for an effect that should not be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the drill came to."""

    report: Report
    plan: Plan
    folder: IncidentFolder
    channels: tuple[ScoredChannel, ...]
    restored: Report | None
    """None: the stop was interrupted, or changed nothing that can be put back."""
    put_back: tuple[str, ...]
    """Files of the agent that differ from before the stop, although the restore ran."""
    notes: tuple[str, ...]
    """What this sandbox could not show."""

    @property
    def honest(self) -> bool:
        """Return whether the report claims nothing that the downstream system saw otherwise."""
        return all(channel.honest for channel in self.channels)

    @property
    def exit_code(self) -> int:
        """Return the verdict's exit code; a report that claims too much fails the drill."""
        return self.report.verdict.exit_code if self.honest else Verdict.NOT_CONTAINED.exit_code


def run_drill(  # noqa: PLR0913 - each is a choice of the operator
    scenario: Scenario,
    environ: Mapping[str, str],
    clock: Clock,
    *,
    keep: Path | None,
    tell: Callable[[Stage], None],
    show_plan: Callable[[Plan], None],
    observer: Callable[[Plan], Observer],
    cancelled: Callable[[], bool],
) -> Outcome:
    """Start the sandbox, wait for the tripwire, stop the agent, compare with the truth, restore.

    Raises:
        Unsupported: no sandbox can be started here.
        Unreachable: the agent never did what is forbidden, so there was nothing to stop.
    """
    with drill_ground(scenario, environ, clock, tell) as ground:
        tell(Stage("detect", "waiting for the first forbidden effect"))
        _await_alert(ground)
        before = listing(ground.grounds.agent)
        tell(Stage("plan", "reading the world; nothing is changed"))
        opened = _open(ground, clock, keep, scenario)
        show_plan(opened.run.plan)
        try:
            _sign_twice(ground, opened, tell)
            tell(Stage("stop", "two persons signed; carrying the plan out"))
            done = finish(opened, environ, observer=observer(opened.run.plan), cancelled=cancelled)
        finally:
            opened.close()
        if not done.sealed:
            return Outcome(done.report, opened.run.plan, done.folder, (), None, (), ground.notes)
        tell(Stage("truth", f"watching the downstream system for {AFTERMATH_S} s more"))
        time.sleep(AFTERMATH_S)
        channels, report = _score(ground, opened.run.plan, done)
        restored = _restore(ground, done.folder, environ, tell, observer)
        put_back = differences(before, listing(ground.grounds.agent)) if restored is not None else ()
        return Outcome(report, opened.run.plan, done.folder, channels, restored, put_back, ground.notes)


def _await_alert(ground: Ground) -> None:
    until = time.monotonic() + ALERT_S
    while not ground.grounds.alert.exists():
        if time.monotonic() > until:
            raise Unreachable("the rogue agent never did what is forbidden, so there is nothing to stop")
        time.sleep(0.02)


def _open(ground: Ground, clock: Clock, keep: Path | None, scenario: Scenario) -> Opened:
    incident = new_incident(secrets.token_bytes)
    folder = new_folder(ground.site, keep, incident)
    detection, what = read_alert(ground.grounds.alert, AGENT)
    request = StopRequest(
        agent=AGENT,
        runbook=scenario.runbook,
        reason=f"drill {scenario.name}: {what}",
        requested_by=ground.people.operators[0].name,
        detection=detection,
        issued_at=clock.now(),
    )
    return open_stop(ground.site, request, folder, incident, secrets.token_bytes)


def _sign_twice(ground: Ground, opened: Opened, tell: Callable[[Stage], None]) -> None:
    """Have two persons sign, each through the string that would be pasted into a chat."""
    request = Request(opened.run.plan, opened.run.raw, None)
    tell(Stage("sign", f"check words: {'  '.join(request.words)}"))
    for operator in ground.people.operators[:2]:
        approval = sign(request, operator.person, operator.signer)
        accept(opened.run.folder, opened.run.digest, encode_approval(approval))
        tell(Stage("sign", f"signed by {operator.name}"))


def _score(ground: Ground, plan: Plan, done: Finished) -> tuple[tuple[ScoredChannel, ...], Report]:
    """Hold the report against the truth, and write the truth into it."""
    records = read_sealed(done.folder.path).records
    truths = last_effects(ground.grounds.sink / ARRIVALS)
    channels = score(plan, replay(records), judge(plan, records).moot, truths)
    told = [
        Truth(
            channel=item.truth.channel,
            last_effect_at=item.truth.last_effect_at,
            proven_at=item.proven.at if item.proven is not None else None,
        )
        for item in channels
    ]
    return channels, report_of(done.folder, plan, done.report.plan_sha256, told)


def _restore(
    ground: Ground,
    folder: IncidentFolder,
    environ: Mapping[str, str],
    tell: Callable[[Stage], None],
    observer: Callable[[Plan], Observer],
) -> Report | None:
    """Undo the stop on two signatures of its own; the agent has ended, so its files can come back."""
    tell(Stage("restore", "a plan of its own, on two signatures of its own"))
    wish = RestoreRequest("the drill is over", ground.people.operators[0].name)
    try:
        opened = open_restore(ground.site, folder, wish, secrets.token_bytes)
    except BreakglassError as error:
        tell(Stage("restore", f"not possible: {error.what}"))
        return None
    try:
        _sign_twice(ground, opened, tell)
        return finish(opened, environ, observer=observer(opened.run.plan), cancelled=lambda: False).report
    finally:
        opened.close()
