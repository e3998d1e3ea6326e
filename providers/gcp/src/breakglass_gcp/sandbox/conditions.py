"""The conditions on bindings that the sandbox can decide; any other does not hold."""

from __future__ import annotations

import datetime as dt
import re

_TIME = re.compile(r"""request\.time\s*(<|>)\s*timestamp\(\s*["']([^"']+)["']\s*\)""")
_NAME = re.compile(
    r"""resource\.name(?:\.(startsWith|endsWith)\(\s*["']([^"']+)["']\s*\)|\s*==\s*["']([^"']+)["'])"""
)


def holds(expression: str, resource: str, now_s: float) -> bool:
    """Tell whether a condition holds: request.time before or after a moment, resource.name; joined by &&."""
    return all(_one(part.strip(), resource, now_s) for part in expression.split("&&")) if expression else True


def _one(part: str, resource: str, now_s: float) -> bool:
    if part == "true":
        return True
    time = _TIME.fullmatch(part)
    if time:
        moment_s = dt.datetime.fromisoformat(time[2]).timestamp()
        return now_s < moment_s if time[1] == "<" else now_s > moment_s
    name = _NAME.fullmatch(part)
    if name is None:
        return False
    if name[1] == "startsWith":
        return resource.startswith(name[2])
    if name[1] == "endsWith":
        return resource.endswith(name[2])
    return resource == name[3]
