"""``host.systemd.stop_triggers``: the timers, sockets and paths that start the agent stopped and masked."""

from __future__ import annotations

import calendar
import contextlib
import os
import time
from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host import safepath
from breakglass_host.actions import units_mask
from breakglass_host.systemd import mask, relations, systemctl, unit_name, unit_state

SPEC = ActionSpec(
    name="host.systemd.stop_triggers",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="Masks and stops every timer, socket and path unit that starts the agent.",
    permissions=("root: links in /etc/systemd/system.control, systemctl daemon-reload, stop",),
    blast_radius="Whoever connects to these sockets is refused; what waited in them is lost. All units are"
    " read again from the disk.",
    reversibility=Reversibility.FULL,
    undo="Removes its own links and starts what was active, after the agent's units; a run that a persistent"
    " timer missed is not made up for. Connections that were refused meanwhile are not made again.",
    settle_s=0.0,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="host.systemd.stop_triggers triggers of support-bot.service",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "systemd.socket(5), systemd.timer(5), systemd.path(5)"),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_triggers.py: systemd 252"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_triggers.py: systemd 252"),
    ),
)
_TIMER = ("Id", "Persistent", "NextElapseUSecRealtime")
_STAMPS = "/var/lib/systemd/timers"
_WAIT_S = 5.0
_OFF = frozenset({"inactive", "failed"})


class StopTriggers:
    """Mask, stop, ask systemd; closed over what triggers the agent's units now."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read the signed triggers and every other one that starts the agent's units now."""
        names = _now(resource)
        objects = unit_state.read(names, self._connection.sealed)
        timers = [name for name in names if unit_name.suffix(name) == "timer"]
        for name, one in zip(timers, systemctl.show(timers, _TIMER) if timers else (), strict=True):
            unit = objects.get(f"unit:{name}")
            if isinstance(unit, dict):
                unit["due"] = _due(one)
        objects |= mask.folders()
        if why := mask.cannot_last():
            objects["place"] = why
        return State(objects)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - systemd takes no client token; what is off is not stopped twice
        """Mask, so that no hook of a socket runs, then stop."""
        found = unit_state.entries(before)
        mask.put(found)
        systemctl.reload()
        on = [name for name, unit in found.items() if unit.get("active") not in _OFF or unit.get("job")]
        systemctl.order("stop", on, "--no-block")
        if on:
            systemctl.await_active(on, _OFF, _WAIT_S)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state names every unit
        """Contained: masked and off."""
        masked, ended = unit_state.judge_masked(state), unit_state.judge_ended(state)
        return masked if ended.verdict is Verdict.CONTAINED else ended

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - links and units are read again
        """Remove our links, then start what was on.

        Raises:
            Transient: what it would start is still masked by this stop.
        """
        found = unit_state.entries(before)
        outcomes = units_mask.unmask(found, before)
        _after_its_targets(resource)
        for name, unit in found.items():
            if outcomes.get(f"unit:{name}") is Outcome.DRIFTED:
                continue  # what somebody put there since is theirs to start
            if _was_on(resource, name, unit) and (done := _start(name, unit)) is not None:
                outcomes[f"run:{name}"] = done
        return Reversal(outcomes, "timers, sockets and paths that were on are on again")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask systemd for the refusal that a start would get."""
        return unit_state.ask(_now(resource))


def _now(resource: Resource) -> tuple[str, ...]:
    own = unit_state.signed(resource, "of")
    found = dict.fromkeys((*unit_state.signed(resource), *relations.triggers_of(own)))
    plain = [name for name in found if not unit_name.is_template(name) and not unit_name.vital(name)]
    return relations.closed_over(plain)


def _after_its_targets(resource: Resource) -> None:
    """Wait for the undo of the mask: a socket that is on meanwhile fails with what it cannot start."""
    own = [name for name in unit_state.signed(resource, "of") if not unit_name.is_template(name)]
    unit_state.unmasked(own, resource.id)


def _was_on(resource: Resource, name: str, unit: Mapping[str, Json]) -> bool:
    """Return whether it was on: one that fires while its unit is being masked fails before it is read."""
    on = resource.params.get("on")
    was_refused = unit.get("active") == "failed" and unit.get("result") == "resources"
    return unit.get("active") not in _OFF or (was_refused and isinstance(on, list) and name in on)


def _start(name: str, unit: Mapping[str, Json]) -> Outcome | None:
    """Turn it on; None: it is another name of one."""
    if unit.get("id") != name:
        return None
    (now,) = systemctl.show((name,))
    if now["ActiveState"] not in _OFF or now["LoadState"] == "masked":
        return Outcome.ALREADY
    if now["LoadState"] != "loaded":
        return Outcome.ENDED
    if unit_state.disabled_since(unit, now):
        return Outcome.DRIFTED
    if isinstance(due := unit.get("due"), int) and due <= time.time():
        _skip_missed(name)
    if now["ActiveState"] == "failed":
        systemctl.order("reset-failed", (name,))
    return Outcome.CANNOT if systemctl.order("start", (name,)) else Outcome.RESTORED


def _due(one: Mapping[str, str]) -> int | None:
    """Return when a persistent timer elapses next, in seconds since the epoch; None: it is not persistent."""
    words = one.get("NextElapseUSecRealtime", "")
    if one.get("Persistent") != "yes" or not words:
        return None
    with contextlib.suppress(ValueError):
        parsed = time.strptime(words, "%a %Y-%m-%d %H:%M:%S UTC")
        return calendar.timegm(parsed)
    return 0


def _skip_missed(name: str) -> None:
    """Say that the timer ran just now, as it would otherwise run at once (systemd.timer(5), Persistent=)."""
    with contextlib.suppress(OSError), safepath.folder(_STAMPS) as at:
        os.utime(f"stamp-{name}", dir_fd=at, follow_symlinks=False)


ACTION_CLASSES = (StopTriggers,)
