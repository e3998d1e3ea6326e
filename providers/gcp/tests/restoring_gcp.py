"""Turns a stop's target into that of its restore, as the core does, and lets time pass at Google."""

from __future__ import annotations

import time
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass_gcp.sandbox.process import Sandbox

SANDBOXES: list[Sandbox] = []
"""The one that runs (`conftest`)."""


def restoring(target: Resource, *, ago_s: float, **chosen: Json) -> Resource:
    """Return the target of the restore of a stop that was just made, and so long ago by Google's clock."""
    SANDBOXES[-1].control("advance", {"seconds": ago_s})
    return replace(target, params={**target.params, "stopped_at_ms": round(time.time() * 1000), **chosen})
