"""Runs a game day in a sandbox: a live agent that resists, two throwaway signers, and the truth."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from breakglass.authorise.request import encode_approval
from breakglass.clock import Clock
from breakglass.drill import settled
from breakglass.drill.grounds import AGENT
from breakglass.drill.listing import Listing, differences, listing
from breakglass.drill.scenario import Scenario
from breakglass.drill.score import ScoredChannel, score
from breakglass.drill.sink import ARRIVALS
from breakglass.drill.truth import last_effects
from breakglass.errors import BreakglassError, Unreachable
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.model.action import Phase, Verdict
from breakglass.model.plan import Detection, Plan
from breakglass.report.build import Report, Truth
from breakglass.usecases.alert import read_alert
from breakglass.usecases.approve import Request, accept, sign
from breakglass.usecases.contain import Opened, finish, new_folder, new_incident, open_stop
from breakglass.usecases.drill_audience import Audience
from breakglass.usecases.drill_cloud import cloud_listing, cloud_truths, retire, still_alive
from breakglass.usecases.drill_ground import Ground, drill_ground
from breakglass.usecases.drill_machine import heed
from breakglass.usecases.judgement import judge, report_of
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.restore import RestoreRequest, open_restore
from breakglass.usecases.run import Finished
from breakglass.verify.judge import worst

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
    sealed: bool
    """False: interrupted while the plan was carried out."""
    alive: tuple[str, ...] = ()
    """What still ran as the agent after the stop, on its other machine or in a cloud, in their own words."""

    @property
    def honest(self) -> bool:
        """Return whether the report claims nothing that the downstream system saw otherwise."""
        contained = self.report.verdict is Verdict.CONTAINED
        silent = all(item.honest and (item.proven or not contained) for item in self.channels)
        return silent and not (contained and self.alive)

    @property
    def exit_code(self) -> int:
        """Return the worst of what was found; a report that claims too much fails the drill."""
        if not self.honest:
            return Verdict.NOT_CONTAINED.exit_code
        undone = [self.restored.verdict] if self.restored is not None else []
        wrong = [Verdict.UNKNOWN] if self.put_back or not self.sealed else []
        return worst([self.report.verdict, *undone, *wrong]).exit_code


def run_drill(
    scenario: Scenario,
    environ: Mapping[str, str],
    clock: Clock,
    *,
    keep: Path | None,
    audience: Audience,
    cancelled: Callable[[], bool],
) -> Outcome:
    """Start the sandbox, wait for the tripwire, stop the agent, compare with the truth, restore.

    Raises:
        Unsupported: no sandbox can be started here.
        Unreachable: the agent never did what is forbidden, so there was nothing to stop.
        Interrupted: somebody wanted it to end before the stop began.
    """
    with drill_ground(scenario, environ, clock, audience, cancelled) as ground:
        audience.begin("detect", "waiting until the tripwire sees something forbidden")
        _await_alert(ground, cancelled)
        before = _files(ground)
        opened = _open(ground, clock, keep, scenario, audience)
        try:
            _sign_twice(ground, opened, audience)
            heed(cancelled)
            audience.begin("stop", "two persons signed: carrying the plan out")
            done = finish(opened, environ, observer=audience.observer(opened.run.plan), cancelled=cancelled)
        finally:
            opened.close()
        if not done.sealed:
            return Outcome(done.report, opened.run.plan, done.folder, (), None, (), sealed=False)
        audience.begin("truth", f"watching the downstream system for {AFTERMATH_S} s more")
        time.sleep(AFTERMATH_S)
        channels, report = _score(ground, opened.run.plan, done)
        alive: tuple[str, ...] = ()
        if ground.machine is not None:
            alive = tuple(f"{ground.machine.name}: {line}" for line in settled.alive(ground.machine))
        alive += still_alive(ground.clouds)
        audience.say("truth", _told(channels, alive))
        retire(ground.clouds)
        restored = _restore(ground, done.folder, environ, audience)
        put_back: tuple[str, ...] = ()
        if restored is not None:
            put_back = differences(before, _files(ground))
            audience.restored(restored, put_back, ground.machine.name if ground.machine else "")
        return Outcome(
            report, opened.run.plan, done.folder, channels, restored, put_back, sealed=True, alive=alive
        )


def _files(ground: Ground) -> Listing:
    """List the agent's files wherever it lives."""
    there = settled.files(ground.machine.root, ground.machine.name) if ground.machine is not None else {}
    clouds = [item for cloud in ground.clouds for item in cloud_listing(cloud).items()]
    return {**listing(ground.grounds.agent), **there, **dict(clouds)}


def _await_alert(ground: Ground, cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + ALERT_S
    while not ground.grounds.alert.exists():
        heed(cancelled)
        if time.monotonic() > until:
            raise Unreachable("the rogue agent never did what is forbidden, so there is nothing to stop")
        time.sleep(0.02)
    heed(cancelled)


def _told(channels: tuple[ScoredChannel, ...], alive: tuple[str, ...]) -> str:
    if alive:
        return f"the agent is still alive in {len(alive)} places: {alive[0][:200]}"
    if any(channel.proven is None for channel in channels):
        return "the stop is not proven, so there is no claim to compare"
    late = [channel.truth.channel for channel in channels if not channel.honest]
    if late:
        return f"effects arrived after the instant that we call proven: {', '.join(late)}"
    return f"nothing arrived after our proof, on any of {len(channels)} channels"


def _open(ground: Ground, clock: Clock, keep: Path | None, scenario: Scenario, audience: Audience) -> Opened:
    """Plan the stop from the alert, as an operator would."""
    incident = new_incident(secrets.token_bytes)
    folder = new_folder(ground.site, keep, incident)
    detection, what = read_alert(ground.grounds.alert, AGENT)
    audience.say("detect", _noticed(detection, what))
    audience.begin("plan", "reading the world; nothing is changed")
    request = StopRequest(
        agent=AGENT,
        runbook=scenario.runbook,
        reason=f"drill {scenario.name}: {what}",
        requested_by=ground.people.operators[0].name,
        detection=detection,
        issued_at=clock.now(),
    )
    opened = open_stop(ground.site, request, folder, incident, secrets.token_bytes)
    audience.show_plan(opened.run.plan)
    audience.begin("sign", "two persons sign, each with a key of their own")
    return opened


def _noticed(detection: Detection, what: str) -> str:
    if detection.detected_at is None or detection.started_at is None:
        return what
    return f"{what}; noticed {detection.detected_at.seconds_since(detection.started_at):.2f} s later"


def _sign_twice(ground: Ground, opened: Opened, audience: Audience) -> None:
    """Have two persons sign, each through the string that would be pasted into a chat."""
    request = Request(opened.run.plan, opened.run.raw, None)
    audience.say("words", "  ".join(request.words))
    for n, operator in enumerate(ground.people.operators[:2], start=1):
        approval = sign(request, operator.person, operator.signer)
        accept(opened.run.folder, opened.run.digest, encode_approval(approval))
        audience.say("signed", f"{n} of 2: {operator.name}")


def _score(ground: Ground, plan: Plan, done: Finished) -> tuple[tuple[ScoredChannel, ...], Report]:
    """Hold the report against the truth, and write the truth into it."""
    records = read_sealed(done.folder.path).records
    truths = last_effects(ground.grounds.sink / ARRIVALS)
    histories, moot = replay(records), judge(plan, records).moot
    channels = score(plan, histories, moot, truths)
    planned = {reach.provider for reach in plan.reaches}
    for cloud in ground.clouds:
        # What no plan reached, no report claims anything of.
        known = histories if cloud.name in planned else {}
        channels += score(plan, known, moot, cloud_truths(cloud), phases=(Phase.ISOLATE, Phase.REVOKE))
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
    ground: Ground, folder: IncidentFolder, environ: Mapping[str, str], audience: Audience
) -> Report | None:
    """Undo the stop on two signatures of its own; the agent has ended, so its files can come back."""
    audience.begin("restore", "a plan of its own, on two signatures of its own")
    wish = RestoreRequest("the drill is over", ground.people.operators[0].name)
    try:
        opened = open_restore(ground.site, folder, wish, secrets.token_bytes)
    except BreakglassError as error:
        audience.say("restore", f"not possible: {error.what}")
        return None
    try:
        audience.say("restore", "a plan of its own, on two signatures of its own")
        _sign_twice(ground, opened, audience)
        observer = audience.observer(opened.run.plan)
        return finish(opened, environ, observer=observer, cancelled=lambda: False).report
    finally:
        opened.close()
