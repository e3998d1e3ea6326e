"""REST paths as templates describe them: which method a request is for, and what its path says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.tables import Method

_VARIABLE = re.compile(r"\{(\+?)([^}=]+)(?:=([^}]+))?\}")
_SEGMENT, _REST = "[^/]+", ".+"


@dataclass(frozen=True, slots=True)
class Route:
    """One verb and path of a method."""

    method: Method
    verb: str
    pattern: re.Pattern[str]
    names: tuple[tuple[str, bool], ...]
    """Each variable's field, and whether it may hold slashes."""
    body: str
    """``*``: the whole body is the request; a field's name; or empty: there is none."""
    upload: bool = False
    weight: int = 0
    """How much of the path is literal: the most literal template wins."""

    def params(self, path: str) -> Mapping[str, str] | None:
        """Return what the path says, or None: it is not this route's."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {
            name: _decoded(value, several=several)
            for (name, several), value in zip(self.names, found.groups(), strict=True)
        }


def route_of(method: Method, option: Mapping[str, str]) -> Route:
    """Return the route of one HTTP option of a generated client (``method``, ``uri``, ``body``)."""
    return template(method, option["method"], option["uri"], option.get("body", ""))


def template(
    method: Method,
    verb: str,
    uri: str,
    body: str,
    patterns: Mapping[str, str] | None = None,
    *,
    upload: bool = False,
) -> Route:
    """Return a route of a path template; `patterns` says what a ``{+name}`` may be."""
    parts: list[str] = []
    names: list[tuple[str, bool]] = []
    at, literal = 0, 0
    for found in _VARIABLE.finditer(uri):
        parts.append(re.escape(uri[at : found.start()]))
        literal += found.start() - at
        shape = _shape(found[3], plus=bool(found[1]), known=(patterns or {}).get(found[2]))
        literal += sum(char.isalpha() for char in found[3] or "")
        names.append((found[2], shape != _SEGMENT))
        parts.append(f"({shape})")
        at = found.end()
    parts.append(re.escape(uri[at:]))
    pattern = re.compile("".join(parts))
    return Route(method, verb.upper(), pattern, tuple(names), body, upload, literal + len(uri) - at)


def _shape(said: str | None, *, plus: bool, known: str | None) -> str:
    """Return what one variable matches.

    google/api/http.proto: ``*`` is one segment, ``**`` any number; discovery documents: ``{+name}`` may hold
    slashes, its parameter's ``pattern`` says which.
    """
    if said is None:
        if not plus:
            return _SEGMENT
        return known.strip("^$").replace("(", "(?:") if known else _REST
    return "/".join(_REST if part == "**" else _glob(part) for part in said.split("/"))


def _glob(part: str) -> str:
    return _SEGMENT.join(re.escape(piece) for piece in part.split("*"))


def _decoded(value: str, *, several: bool) -> str:
    """Decode one variable; google/api/http.proto: in several segments ``%2F`` is left as it is."""
    if not several:
        return unquote(value)
    kept = re.split(r"(%2[Ff])", value)
    return "".join(part if part.upper() == "%2F" else unquote(part) for part in kept)
