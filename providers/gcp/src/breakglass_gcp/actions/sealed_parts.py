"""Keeps what may be secret in a configuration out of the journal: it is sealed, and can be put back.

Headers and bodies carry tokens; so does what stands behind the path of an address.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from urllib.parse import urlsplit

from breakglass.canon import Json, JsonObject
from breakglass_gcp.messages import fields
from breakglass_gcp.project import Project

_SEALED, _SHOWN = "sealed_part", "shown_part"


def seal(
    project: Project, label: str, value: Json, secrets: Iterable[str], urls: Iterable[str]
) -> JsonObject:
    """Return the value with these parts (``http_target.body``) sealed, and addresses without their query."""
    made: JsonObject = fields(value)
    for path in secrets:
        made = _changed(made, path.split("."), partial(_away, project, f"{label} {path}"))
    for path in urls:
        made = _changed(made, path.split("."), partial(_address, project, f"{label} {path}"))
    return made


def unseal(project: Project, value: Json) -> Json:
    """Return the value with every sealed part as it was."""
    if isinstance(value, Mapping) and _SEALED in value:
        held: Json = json.loads(project.connection.sealed.get(value[_SEALED]))
        return held
    if isinstance(value, Mapping):
        return {key: unseal(project, one) for key, one in value.items()}
    return [unseal(project, one) for one in value] if isinstance(value, list) else value


def plain_url(url: str) -> str:
    """Return an address without what may be secret: user, password, query, fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else url.partition("?")[0]


def _away(project: Project, label: str, held: Json) -> Json:
    return {_SEALED: project.connection.sealed.put(label, json.dumps(held, sort_keys=True).encode())}


def _address(project: Project, label: str, held: Json) -> Json:
    plain = plain_url(str(held))
    return held if held == plain else {**fields(_away(project, label, held)), _SHOWN: plain}


def shown(value: Json) -> str:
    """Return an address of a recorded value as it may be shown."""
    if isinstance(value, Mapping):
        value = value.get(_SHOWN)
    return value if isinstance(value, str) else ""


def _changed(value: JsonObject, path: list[str], change: Callable[[Json], Json]) -> JsonObject:
    key, *rest = path
    if key not in value:
        return value
    inner = _changed(fields(value[key]), rest, change) if rest else change(value[key])
    return {**value, key: inner}
