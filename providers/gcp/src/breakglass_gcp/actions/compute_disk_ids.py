"""Tells a disk from another one that was put in its place under its name: by its id.

An instance names its disks by their addresses alone, and no field of it changes where a disk was deleted and
made again from somebody's image (Compute Engine v1 discovery document, AttachedDisk.source, Disk.id).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass_gcp.actions import compute_reading as reading
from breakglass_gcp.project import Project

PERMISSION = "compute.disks.list"
_DISK = re.compile(r".*/(zones|regions)/([^/]+)/disks/([^/]+)")


def known(project: Project, instances: Iterable[Any], pauses: list[float]) -> dict[str, str]:
    """Return PLACE/NAME -> id of the disks of instances in few calls; what cannot be read now is not in it.

    A disk that is gone has the id "".
    """
    wanted: dict[str, set[str]] = {"zones": set(), "regions": set()}
    for one in instances:
        for disk in one.disks:
            if (match := _DISK.fullmatch(str(disk.source))) is not None:
                wanted[match[1]].add(f"{match[2]}/{match[3]}")
    ids: dict[str, str] = {}
    for kind, names in wanted.items():
        service, place_key = ("disks", "zone") if kind == "zones" else ("region_disks", "region")
        for place, asked in reading.filters(sorted(names)):
            looked = {"project": project.id, place_key: place, "filter": asked}
            try:
                listing = reading.again(project, partial(project.every, service, "list", looked), pauses)
            except ProviderError:
                continue
            found = {f"{place}/{one.name}": str(one.id) for one in listing.items}
            ids |= {name: found.get(name, "") for name in names if f'"{name.partition("/")[2]}"' in asked}
    return ids


def of(one: Any, ids: Mapping[str, str]) -> Json:  # noqa: ANN401 - Google's messages have no types here
    """Return the ids of an instance's disks in their order; None: one was not read."""
    told: list[Json] = []
    for disk in one.disks:
        match = _DISK.fullmatch(str(disk.source))
        name = f"{match[2]}/{match[3]}" if match is not None else ""
        if name and name not in ids:
            return None
        told.append(ids.get(name, ""))
    return told
