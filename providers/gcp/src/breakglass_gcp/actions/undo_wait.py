"""Keeps an undo from giving tokens of before the stop their power back: it waits until none of them lives.

Federated tokens live one hour at most (IAM documentation, "Workload Identity Federation": an hour, or as long
as the external credential if that is shorter). That those of agent identities live no longer is our belief.

No clock of ours decides. When it was cut, and what time it is now, Google tells; where it does not tell one
of them, the whole life of a token is waited out from the restore's first look on, by the monotonic clock:
what is cut then was cut before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass.errors import Denied, Transient
from breakglass.model.resource import Resource
from breakglass_gcp.last_cut import Cut, last_cut
from breakglass_gcp.project import Project
from breakglass_gcp.token_life import HOUR_S, SEEN_LATE_S, token_lives

_LIFE, _STOPPED = "token_life_s", "stopped_at_ms"
WHOLE = "tokens from before the stop may live"
APART_S = 60.0
"""Google's own clocks differ by less, and a `Date` is cut to the second."""


def wait_params(project: Project, identities: Iterable[str]) -> dict[str, Json]:
    """Return what a target carries so that its undo waits; there is nothing else to choose here."""
    known = tuple(identities)
    own = project.settings.text("token_life_s")
    lives = token_lives(project, (one for one in known if "://" not in one)).values()
    life_s = max([int(own or HOUR_S), *(one.seconds for one in lives)])
    return {
        "tokens": "wait",
        "tokens_choices": ["wait"],
        _LIFE: life_s,
        "undo_wait_s": life_s + round(SEEN_LATE_S * project.settings.settle_factor + 0.5),
        _STOPPED: 0,
    }


def wait_out(project: Project, resource: Resource, cut: Cut | None = None) -> None:
    """Return once no token of before the stop lives; `cut`: how the log tells of it, if it does.

    Raises:
        Transient: some may, until the moment that is named.
        Denied: this is no restore of a stop that changed it.
    """
    if not waits(resource):
        return
    require_stopped(resource)
    if said := living(project, resource, cut):
        raise Transient(said)


def wait_since_written(project: Project, resource: Resource, written: Instant | None) -> None:
    """Return once no token of before the stop lives; `written`: when the target was last, as Google tells.

    The first look of the run counts: its own writes, and those of its other steps, are no stop's.

    Raises:
        Transient: some may, until the moment that is named.
        Denied: this is no restore of a stop that changed it.
    """
    if not waits(resource):
        return
    require_stopped(resource)
    look = project.first_looks.of(resource.id, written)
    told = _told(project, resource, look.written)
    if told.words and (said := _whole_life(project, resource, look.at_s, told.words)):
        raise Transient(told.words if told.known else said)


def living(project: Project, resource: Resource, cut: Cut | None, *, is_open: bool = False) -> str:
    """Return until when tokens of before the stop may live, in words; empty: none does.

    `is_open`: what the stop had cut is let in again.
    """
    name = f"{project.id} {resource.kind} {resource.id}"
    if is_open:
        project.first_looks.forget(name)
    look = project.first_looks.of(name)
    told = _told(project, resource, last_cut(project, cut, is_open=is_open) if cut else None)
    if told.known:
        return told.words
    if is_open:
        return f"{WHOLE}: {told.words}"
    return _whole_life(project, resource, look.at_s, told.words)


def waits(resource: Resource) -> bool:
    """Return whether a target carries that its undo waits."""
    return isinstance(resource.params.get(_LIFE), int)


def require_stopped(resource: Resource) -> None:
    """Require a step that undoes a change of its stop.

    Raises:
        Denied: its plan does not say that the stop changed it.
    """
    stopped_ms = resource.params.get(_STOPPED)
    if not waits(resource) or not isinstance(stopped_ms, int) or stopped_ms <= 0:
        raise Denied(
            "when the stop was is not known, and so not whether its tokens still live: tokens from before may"
            " live up to 12 h",
            remedy="resume the stop, or restore with --choose tokens=rotate where the plan offers it",
        )


@dataclass(frozen=True, slots=True)
class _Told:
    """What Google's own times say of the tokens."""

    words: str
    """Until when they live; empty: they have ended. Of what is not known: why."""
    known: bool


def _whole_s(project: Project, resource: Resource) -> float:
    life_s = resource.params.get(_LIFE)
    # A disable is seen everywhere late, and until then new tokens may be given.
    return (life_s if isinstance(life_s, int) else 0) + SEEN_LATE_S * project.settings.settle_factor


def _told(project: Project, resource: Resource, cut_at: Instant | None) -> _Told:
    now = project.google_time.now()
    if now is None:
        return _Told("what time it is at Google cannot be read", known=False)
    if cut_at is None:
        return _Told("when Google last cut them off cannot be read from its audit log", known=False)
    if cut_at.seconds_since(now) > APART_S:
        why = f"Google says that it is {now}, and that they were cut off later, at {cut_at}"
        return _Told(why, known=False)
    end = cut_at.plus(_whole_s(project, resource))
    if now >= end:
        return _Told("", known=True)
    words = f"tokens from before the stop live until {str(end)[11:19]} UTC, and may be used again; at Google"
    return _Told(f"{words} it is {str(now)[11:19]}", known=True)


def _whole_life(project: Project, resource: Resource, began_s: float, why: str) -> str:
    """Return how long the wait of a whole life goes on, in words; empty: it is over."""
    whole_s = _whole_s(project, resource)
    left_s = began_s + whole_s - project.connection.clock.monotonic_s()
    if left_s <= 0:
        return ""
    return (
        f"{WHOLE} ({why}): their whole life of {whole_s:.0f} s is waited out"
        f" from the first look of this restore on, {left_s:.0f} s more"
    )
