"""Delivers what the platform sends on: a run of a schedule, a task, a pushed message, an event.

Who models something that answers URLs (Cloud Run ...) registers it with `serve`. An address that nobody
claims is the agent's own server somewhere: it takes everything unless the control verb ``delivery.refuse``
says otherwise. An OIDC token is asked for with every attempt: none is given for an account that is disabled
or gone (IAM documentation, "Disable and enable service accounts").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox.tokens import EMAILS

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt."""

    project: str
    url: str
    message: Mapping[str, Any]
    account: str = ""
    """Whose OIDC token goes with it; empty: nobody's."""


Serve = Callable[["World", Delivery], bool | None]
_SERVERS: list[Serve] = []


def serve(one: Serve) -> Serve:
    """Register who answers URLs: True: accepted, False: refused, None: not an address of its own."""
    if one not in _SERVERS:
        _SERVERS.append(one)
    return one


def deliver(world: World, project: str, url: str, message: Mapping[str, Any], account: str = "") -> bool:
    """Attempt a delivery; return whether the other side accepted it."""
    if account and not enabled(world, account):
        return False
    attempt = Delivery(project, url, message, account)
    answer = next((said for one in _SERVERS if (said := one(world, attempt)) is not None), None)
    if answer is None:
        answer = url not in world.table("delivery.refused")
    if answer:
        got: list[dict[str, Any]] = world.table("delivery.got").setdefault(project, [])
        got.append({"url": url, "account": account, "at_s": world.now_s(), "message": dict(message)})
        del got[:-KEPT]
    return answer


def enabled(world: World, account: str) -> bool:
    """Tell whether tokens are given for an account now."""
    unique = world.table(EMAILS).get(account, "")
    return bool(unique) and world.config.seen(("account", unique), "enabled") == "enabled"
