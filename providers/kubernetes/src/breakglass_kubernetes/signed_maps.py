"""Puts a map into the parameters of a target: a plan's own keys are words, and names of a cluster are not."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json


def listed(found: Mapping[str, str]) -> list[Json]:
    """Return a map of texts as a list of pairs, in the order of their names."""
    return [{"name": name, "value": value} for name, value in sorted(found.items())]


def mapped(signed: Json) -> dict[str, str]:
    """Return the map that `listed` wrote; what is no pair is left out."""
    pairs = [one for one in signed if isinstance(one, Mapping)] if isinstance(signed, list) else []
    return {str(one["name"]): str(one["value"]) for one in pairs if one.keys() >= {"name", "value"}}
