"""Teaches a redactor the agent's own secrets, before anything that may show them is copied."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass.provider import Connection
from breakglass_host import cgroup, membership, process_evidence, procfs, safepath, setaside, tree
from breakglass_host.process_evidence import Reading


def learn(connection: Connection, resource: Resource, reading: Reading) -> None:
    """Learn the credential files, wherever they lie by now, and secret-named variables of the processes."""
    for path in texts(resource.params, "credential_files"):
        place = setaside.Place(path, connection.incident, connection.sealed, keeps_copy=False)
        for data in setaside.contents(place):
            reading.redactor.learn_file(data)
    with contextlib.closing(reading.reader):
        members = membership.of_tree(tree.of(resource), procfs.scan(), cgroup.find())
        process_evidence.learn(reading, members)


def credential_files(settings: Mapping[str, Json]) -> list[Json]:
    """Return the credential files that a target names, for its parameters."""
    named = texts(settings, "credential_files")
    return [safepath.resolved(path) for path in named if not safepath.complaint(path)]


def texts(values: Mapping[str, Json], key: str) -> list[str]:
    """Return a list of texts of a setting or of signed parameters; one text is a list of one."""
    value = values.get(key)
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
