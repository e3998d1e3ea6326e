"""Tells a user's credentials of peacetime, which a restore gives back, from those of since the harm began.

The plan signs the instant (`signed`), the state records when each was made (`kept`), and `revert` leaves off
what was made since, or what the plan names (`left_off`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome
from breakglass_aws.account import Account

ACTIVE, INACTIVE, EXPIRED = "Active", "Inactive", "Expired"
SECOND_MS = 1000
"""IAM tells when something was made in whole seconds."""
MOST_NAMED = 20


def made_since(made_ms: int, since_ms: int) -> bool:
    """Return whether IAM's whole second may hide that something was made at or after an instant."""
    return made_ms >= since_ms - SECOND_MS


def signed(account: Account, late: Mapping[str, str]) -> JsonObject:
    """Return what a step signs: since when nothing comes back, and what CloudTrail names besides.

    `late` are ids and why they stay off. Where nobody said when the harm began, it is the time of the plan.
    """
    since = account.connection.since or account.connection.clock.now()
    return {"since_ms": since.epoch_ms, "stay_off": [*sorted(late)]}


def kept(one: Mapping[str, Any]) -> JsonObject:
    """Return what a state records of a credential as IAM lists it."""
    made = one.get("CreateDate")
    return {
        "status": str(one["Status"]),
        "made_ms": int(made.timestamp() * 1000) if made is not None else None,
    }


def status(value: Json) -> str:
    """Return the status that a state recorded; before it kept more, it was the whole value."""
    return str(value["status"]) if isinstance(value, dict) else str(value)


def works(value: Json) -> bool:
    """Return whether it may work: a status that is not known counts as one that does."""
    return status(value) not in {INACTIVE, EXPIRED}


def left_off(resource: Resource, before: State, now: State) -> dict[str, Outcome]:
    """Return, as ended, what worked when the stop saw it, does not now, and is not of peacetime."""
    return {
        key: Outcome.ENDED
        for key, value in before.objects.items()
        if works(value)
        and (key not in now.objects or not works(now.objects[key]))
        and _is_late(resource, key, value)
    }


def told(resource: Resource, reason: str, off: Mapping[str, Outcome]) -> str:
    """Return the reason of a reversal, with what it leaves off by name."""
    if not off:
        return reason
    names = sorted(off)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    since = Instant(int(str(resource.params["since_ms"])))
    return f"{reason}; left off, made or let in since {since}: {', '.join(names[:MOST_NAMED])}{more}"


def _is_late(resource: Resource, key: str, value: Json) -> bool:
    """Return whether a credential is not of peacetime; one of which IAM told no date is not.

    A plan of before such an instant was signed has none: all that worked comes back, as it says.
    """
    since_ms, named = resource.params.get("since_ms"), resource.params.get("stay_off")
    if not isinstance(since_ms, int):
        return False
    if isinstance(named, list) and key in named:
        return True
    made_ms = value.get("made_ms") if isinstance(value, dict) else None
    return not isinstance(made_ms, int) or made_since(made_ms, since_ms)
