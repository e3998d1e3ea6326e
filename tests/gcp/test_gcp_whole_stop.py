"""A whole agent on Google Cloud is stopped, proven, and put back byte for byte; no message is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from breakglass.journal.history import first
from breakglass.journal.reader import read_journal
from breakglass.model.action import Verdict
from breakglass_gcp.drill import GcpCloud
from breakglass_gcp.drill_identities import PROJECT
from breakglass_gcp.drill_layout import JOBS
from breakglass_gcp.sandbox.process import Sandbox
from tests.gcp.project_fleet import said
from tests.hosts.fleet import Fleet, quick_fleet

LATER_S = 1.0


def test_a_whole_agent_is_stopped_and_put_back_byte_for_byte(
    sandbox_of_projects: Sandbox, drilled: GcpCloud
) -> None:
    """It works and resists until the report says contained, and nothing of it is let through after that."""
    _await_work(drilled)
    before = _state(sandbox_of_projects)
    with quick_fleet([drilled.reach], drilled.credentials) as ours:
        _, done = ours.stop()
        assert (Verdict.CONTAINED, 0) == (done.report.verdict, done.report.verdict.exit_code), said(
            done.report
        )
        time.sleep(LATER_S)
        contained_us = _contained_us(ours, done.report.timings.contained_s)
        late = {one.channel: one for one in drilled.effects() if one.last_monotonic_us > contained_us}
        assert {} == late
        assert [] == list(drilled.alive())
        backlog = sandbox_of_projects.control("pubsub.backlog", {"project": PROJECT, "subscription": JOBS})
        drilled.retire()
        stopped = _state(sandbox_of_projects)
        _, back = ours.restore()

    assert Verdict.CONTAINED is back.verdict, said(back)
    after = _state(sandbox_of_projects)
    changed = {name for name in before if before[name] != stopped.get(name)}
    assert changed, "nothing was changed"
    for name in sorted({*before, *after}):
        assert _text(before, name) == _text(after, name), name
    kept = sandbox_of_projects.control("pubsub.backlog", {"project": PROJECT, "subscription": JOBS})
    assert len(kept) >= len(backlog)


def _await_work(place: GcpCloud) -> None:
    """Wait until the agent has acted by every channel."""
    until_s = time.monotonic() + 20
    while missing := set(place.expected) - {one.channel for one in place.effects()}:
        assert time.monotonic() < until_s, missing
        time.sleep(0.2)


def _state(sandbox: Sandbox) -> dict[str, Any]:
    found = sandbox.control("state", {"project": PROJECT})
    return found if isinstance(found, dict) else {}


def _contained_us(ours: Fleet, contained_s: float | None) -> int:
    """Return the instant that the report calls contained, in CLOCK_MONOTONIC."""
    issued = first(read_journal(ours.incident.journal).records, "stop.issued")
    assert issued is not None
    assert contained_s is not None
    return issued.monotonic_us + int(contained_s * 1e6)


def _text(state: Mapping[str, Any], name: str) -> str:
    return json.dumps(state.get(name), sort_keys=True)
