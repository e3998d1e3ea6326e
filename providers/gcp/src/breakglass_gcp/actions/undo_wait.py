"""Keeps an undo from giving tokens of before the stop their power back: it waits until none of them lives.

Federated tokens live one hour at most (IAM documentation, "Workload Identity Federation": an hour, or as long
as the external credential if that is shorter). That those of agent identities live no longer is our belief.
"""

from __future__ import annotations

from collections.abc import Iterable

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass.errors import Denied, Transient
from breakglass.model.resource import Resource
from breakglass_gcp.project import Project
from breakglass_gcp.token_life import HOUR_S, SEEN_LATE_S, token_lives

_LIFE, _STOPPED = "token_life_s", "stopped_at_ms"


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


def wait_out(project: Project, resource: Resource) -> None:
    """Return once no token of before the stop lives.

    Raises:
        Transient: some may, until the moment that is named.
        Denied: when the stop was is not known.
    """
    if not isinstance(resource.params.get(_LIFE), int):
        return
    stopped_ms = resource.params.get(_STOPPED)
    if not isinstance(stopped_ms, int) or stopped_ms <= 0:
        raise Denied("when the stop was is not known, and so not whether its tokens still live")
    if said := living(project, resource):
        raise Transient(said)


def living(project: Project, resource: Resource) -> str:
    """Return until when tokens of before the stop may live, in words; empty: none, or it is not known."""
    life_s, stopped_ms = resource.params.get(_LIFE), resource.params.get(_STOPPED)
    if not isinstance(life_s, int) or not isinstance(stopped_ms, int):
        return ""
    end = Instant(stopped_ms).plus(life_s + SEEN_LATE_S * project.settings.settle_factor)
    if project.connection.clock.now() >= end:
        return ""
    return f"tokens from before the stop live until {str(end)[11:19]} UTC"
