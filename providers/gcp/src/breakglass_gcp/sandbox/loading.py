"""Gathers what the modules of models give."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_gcp.sandbox.call import Call
from breakglass_gcp.sandbox.models import MODELS
from breakglass_gcp.sandbox.world import World


@dataclass(slots=True)
class Loaded:
    """Everything of every model."""

    handlers: dict[str, Callable[[World, Call], Any]] = field(default_factory=dict)
    ticks: list[Callable[[World], None]] = field(default_factory=list)
    controls: dict[str, Callable[[World, Mapping[str, Any]], Any]] = field(default_factory=dict)
    states: dict[str, Callable[[World, str], Any]] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)
    """Paths of the REST port that are no Google method (``/token``) -> the key of their handler."""
    resources: dict[str, Callable[[Any], str]] = field(default_factory=dict)
    """What a request of a handler is about, where its fields and path do not name it."""
    open: set[str] = field(default_factory=set)
    resets: list[Callable[[], None]] = field(default_factory=list)


def load() -> Loaded:
    """Return all that is modelled.

    Raises:
        ValueError: two modules model one method.
    """
    from breakglass_gcp.sandbox.models import shared

    loaded = Loaded()
    for name in MODELS:
        module = importlib.import_module(f"breakglass_gcp.sandbox.models.{name}")
        twice = set(loaded.handlers) & set(getattr(module, "HANDLERS", {}))
        if twice:
            raise ValueError(f"{name} models again what another module does: {', '.join(sorted(twice))}")
        loaded.handlers.update(getattr(module, "HANDLERS", {}))
        loaded.ticks.extend(getattr(module, "TICKS", ()))
        loaded.controls.update(getattr(module, "CONTROLS", {}))
        loaded.endpoints.update(getattr(module, "ENDPOINTS", {}))
        loaded.resources.update(getattr(module, "RESOURCES", {}))
        loaded.open.update(getattr(module, "OPEN", ()))
        loaded.resets.extend(getattr(module, "RESETS", ()))
        shared.POLICIED.update(getattr(module, "POLICIES", {}))
        if hasattr(module, "STATE"):
            loaded.states[name] = module.STATE
    return loaded
