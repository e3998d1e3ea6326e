"""Carries errors over a connection: by the name of their class and their four parts, bounded."""

from __future__ import annotations

from breakglass import errors
from breakglass.canon import spelt_out
from breakglass.errors import BreakglassError, MalformedInput, ProviderError, Throttled

_LONGEST = 4000
_MOST_PATIENCE_S = 5.0
_PARTS = ("what", "where", "not_done", "remedy")
_PROVIDERS = frozenset(("ProviderError", "Transient", "Throttled", "Unsettled", "Denied", "Gone", "Drifted"))
"""What a host may answer with. Anything else would speak of the executor's own records or signatures."""


def to_wire(error: Exception) -> dict[str, object]:
    """Return an error as it travels; one that is not ours is a bug, and says so."""
    if not isinstance(error, BreakglassError):
        error = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")
    found: dict[str, object] = {"class": type(error).__name__}
    for part in _PARTS:
        found[part] = str(getattr(error, part))[:_LONGEST]
    return found | {"retry_after_s": getattr(error, "retry_after_s", 0.0)}


def from_host(data: object, host: str) -> ProviderError:
    """Make the error that a host answered with again; it is hostile text, and names the host.

    Raises:
        MalformedInput: it is no error.
    """
    name, parts, patience_s = _read(data)
    parts = {part: spelt_out(text) for part, text in parts.items()}
    where = f"{host} {parts.pop('where')}".strip()
    if name == "Throttled":
        return Throttled(
            parts["what"], retry_after_s=min(_MOST_PATIENCE_S, max(0.0, patience_s)), where=where
        )
    cls: type[ProviderError] = getattr(errors, name) if name in _PROVIDERS else ProviderError
    return cls(parts.pop("what"), where=where, **parts)


def from_executor(data: object) -> BreakglassError:
    """Make the error of an evidence sink or a sealed store again, of its very class.

    Raises:
        MalformedInput: it is no error.
    """
    name, parts, _ = _read(data)
    cls = getattr(errors, name, ProviderError)
    if not (isinstance(cls, type) and issubclass(cls, BreakglassError)) or cls is Throttled:
        cls = ProviderError
    return cls(parts.pop("what"), **parts)


def _read(data: object) -> tuple[str, dict[str, str], float]:
    if not isinstance(data, dict):
        raise MalformedInput("an error that is not an object")
    parts = {part: data.get(part) for part in _PARTS}
    name, patience_s = data.get("class"), data.get("retry_after_s")
    if not isinstance(name, str) or not isinstance(patience_s, int | float):
        raise MalformedInput("an error without its class")
    if not all(isinstance(text, str) and len(text) <= _LONGEST for text in parts.values()):
        raise MalformedInput("an error without its parts")
    return name, {part: str(text) for part, text in parts.items()}, float(patience_s)
