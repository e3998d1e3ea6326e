"""Finds the runbooks that ship with breakglass: inside the package (a wheel), else beside it (a checkout)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import breakglass
from breakglass.errors import MalformedInput
from breakglass.kit.complaints import Complaints
from breakglass.kit.files import read_file
from breakglass.kit.nodes import MAX_YAML_BYTES
from breakglass.runbook.loader import read_runbook
from breakglass.runbook.model import Runbook

SHIPPED = ("prompt-injection", "runaway", "credential-compromise", "policy-service-failure")


def shelf() -> Path:
    """Return the folder of the shipped runbooks.

    Raises:
        MalformedInput: there is none.
    """
    package = Path(breakglass.__file__).parent
    for folder in (package / "_runbooks", package.parent / "runbooks"):
        if (folder / f"{SHIPPED[0]}.yaml").is_file():
            return folder
    raise MalformedInput(
        "the shipped runbooks are not there",
        where=str(package / "_runbooks"),
        remedy="install breakglass again",
    )


@cache
def read_shelf() -> Mapping[str, Runbook]:
    """Read the shipped runbooks, once a process: they are part of the program.

    Raises:
        MalformedInput: one is absent or does not parse.
    """
    complaints = Complaints()
    found: dict[str, Runbook] = {}
    folder = shelf()
    for name in SHIPPED:
        path = folder / f"{name}.yaml"
        data = read_file(path, max_bytes=MAX_YAML_BYTES)
        runbook = read_runbook(data, file=str(path), stem=name, complaints=complaints)
        if runbook is not None:
            found[name] = runbook
    complaints.raise_all("install breakglass again")
    return MappingProxyType(found)
