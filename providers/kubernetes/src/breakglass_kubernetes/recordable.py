"""Keeps what no record can hold from shielding what one can: custom resources hold any JSON at all.

The journal takes no numbers but integers that are exact everywhere, and no deep nesting. A field with such a
value is recorded as text; an object that holds one elsewhere is set aside, and the read is not complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from breakglass.canon import MAX_INTEGER, Json
from breakglass.model.resource import State

DEEPEST = 32
"""Half of what a document may have: a value lies some levels deep in a record."""
_SHOWN = 5


def fits(value: Any, room: int = DEEPEST) -> bool:  # noqa: ANN401 - JSON
    """Return whether a record can hold a value as it is."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    if isinstance(value, Mapping):
        return room > 0 and all(fits(one, room - 1) for one in value.values())
    return isinstance(value, list | tuple) and room > 0 and all(fits(one, room - 1) for one in value)


def written(value: Any) -> dict[str, Json]:  # noqa: ANN401 - JSON
    """Return a value for a record; `read` is the way back."""
    if fits(value):
        return {"value": value}
    return {"text": json.dumps(value, sort_keys=True)}


def read(one: Mapping[str, Any], otherwise: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the value that `written` wrote; `otherwise` where there was none."""
    return json.loads(one["text"]) if "text" in one else one.get("value", otherwise)


def without_odd(state: State) -> State:
    """Return a state without the objects that no record can hold, and with their names."""
    odd = sorted(key for key, one in state.objects.items() if not fits(one, 2 * DEEPEST - 8))
    if not odd:
        return state
    more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
    said = f"cannot be recorded, so they are not touched: {', '.join(odd[:_SHOWN])}{more}"
    kept = {key: one for key, one in state.objects.items() if key not in set(odd)}
    return replace(state, objects=kept, complete=False, note=f"{said}; {state.note}".rstrip("; ")[:900])
