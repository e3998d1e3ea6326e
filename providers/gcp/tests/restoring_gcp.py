"""Turns a stop's target into that of its restore, as the core does."""

from __future__ import annotations

import time
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.resource import Resource


def restoring(target: Resource, *, ago_s: float, **chosen: Json) -> Resource:
    """Return the target of the restore of a stop that made its last change so long ago."""
    stopped_ms = round((time.time() - ago_s) * 1000)
    return replace(target, params={**target.params, "stopped_at_ms": stopped_ms, **chosen})
