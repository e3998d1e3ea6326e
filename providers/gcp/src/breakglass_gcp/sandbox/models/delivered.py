"""What was delivered to addresses outside, and which of those refuse: asked and set from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World


def _received(world: World, asked: Mapping[str, Any]) -> object:
    return [
        one
        for one in world.table("delivery.got").get(str(asked["project"]), ())
        if asked.get("url") in (None, one["url"])
    ]


def _refuse(world: World, asked: Mapping[str, Any]) -> object:
    if asked.get("refuse", True):
        world.table("delivery.refused")[str(asked["url"])] = True
    else:
        world.table("delivery.refused").pop(str(asked["url"]), None)
    return {}


CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {
    "delivery.received": _received,
    "delivery.refuse": _refuse,
}
