"""Makes engines of Agent Engine for the tests."""

from __future__ import annotations

import time
from typing import Any

from breakglass_gcp.calls import Calls
from providers.gcp.tests.rig_gcp import LOCATION

_MADE_S = 60.0


def make_engine(owner: Calls, project: str, spec: dict[str, Any]) -> tuple[str, str]:
    """Make an engine and wait for it; return its entry in an inventory and what it acts as."""
    path = f"v1/projects/{project}/locations/{LOCATION}/reasoningEngines"
    body = {"displayName": "bot", "spec": spec}
    begun = owner.rest("aiplatform", "POST", path, body=body, location=LOCATION)
    name = str(begun["name"]).partition("/operations/")[0]
    end = time.monotonic() + _MADE_S
    while True:
        made = owner.rest("aiplatform", "GET", path, location=LOCATION).get("reasoningEngines", [])
        if found := [one for one in made if one["name"] == name]:
            return f"{LOCATION}/{name.rpartition('/')[2]}", str(found[0]["spec"]["effectiveIdentity"])
        assert time.monotonic() < end, f"no engine after {_MADE_S:.0f} s"
        time.sleep(0.02)
