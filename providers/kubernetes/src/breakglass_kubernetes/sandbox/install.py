"""Installs the custom resources of other projects: their types, without the controllers behind them.

The definitions are written from each project's own documented API, which its file names; where the real
schema is long, unknown fields are kept. No controller runs: only the test reconciles what it makes of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from breakglass.errors import ProviderError, UsageError
from breakglass_kubernetes.sandbox.api import ApiError

_FOLDER = Path(__file__).with_name("crds")
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_SERVED_S = 60.0
_PAUSE_S = 0.1
_CONFLICT = 409

Call = Callable[..., Any]


def projects() -> list[str]:
    """Return what can be installed."""
    return sorted(path.stem for path in _FOLDER.glob("*.json"))


def install(call: Call, project: str) -> list[str]:
    """Install a project's definitions and wait until they are served; return their names, group last.

    Raises:
        UsageError: there is no such project.
        ProviderError: they are not served in time.
    """
    if project not in projects():
        raise UsageError(f"no definitions of {project!r}; there are: {', '.join(projects())}")
    definitions = json.loads((_FOLDER / f"{project}.json").read_text(encoding="utf-8"))["definitions"]
    for definition in definitions:
        try:
            call("POST", _DEFINITIONS, definition)
        except ApiError as error:
            if error.status != _CONFLICT:
                raise
    until = time.monotonic() + _SERVED_S
    for definition in definitions:
        while not _served(call, definition):
            if time.monotonic() > until:
                raise ProviderError(f"{definition['metadata']['name']} is not served after {_SERVED_S:.0f} s")
            time.sleep(_PAUSE_S)
    return [definition["metadata"]["name"] for definition in definitions]


def _served(call: Call, definition: Mapping[str, Any]) -> bool:
    """Say whether it is established, and both listed by discovery and answered."""
    spec = definition["spec"]
    group, version, plural = spec["group"], spec["versions"][0]["name"], spec["names"]["plural"]
    found = call("GET", f"{_DEFINITIONS}/{definition['metadata']['name']}")
    conditions = {each["type"]: each["status"] for each in found.get("status", {}).get("conditions") or ()}
    if conditions.get("Established") != "True":
        return False
    try:
        listed = call("GET", f"/apis/{group}/{version}")
        call("GET", f"/apis/{group}/{version}/{plural}", query={"limit": 1})
    except ApiError as error:
        if error.status in {404, 503}:
            return False
        raise
    return plural in {each["name"] for each in listed["resources"]}
