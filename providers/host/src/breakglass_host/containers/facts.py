"""Reads what an engine says of containers: JSON that is hostile until it has the form that is expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from breakglass.errors import ProviderError, Transient
from breakglass_host import safepath
from breakglass_host.containers.engine import ID, Engine

UNIT_LABEL = "PODMAN_SYSTEMD_UNIT"
_KEEPERS = {
    "io.kubernetes.pod.name": "Kubernetes",
    "com.docker.swarm.service.name": "Docker Swarm",
    "com.hashicorp.nomad.alloc_id": "Nomad",
}
ENDED = frozenset({"configured", "created", "stopped", "exited", "dead"})
_STATUSES = ENDED | {"initialized", "running", "paused", "restarting", "stopping", "removing", "unknown"}
_SHORT_ID = re.compile(r"[0-9a-f]{12,64}")
_MAX = 500

Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """One container as its engine describes it."""

    id: str
    name: str
    status: str
    pid: int
    started: str
    """When it was last started, and how often by its policy: tells two runs of it apart."""
    restart: str
    """``no``, ``always``, ``unless-stopped``, ``on-failure`` or ``on-failure:N``."""
    removes_itself: bool
    """Made with --rm: its file system goes when it ends."""
    unit: str
    """The systemd unit that keeps it, as podman was told; empty: none."""
    keeper: str
    """The orchestrator whose label it carries; empty: none."""
    raw: Table


def find(engine: Engine, name: str, ids: Iterable[str], timeout_s: float) -> tuple[Container, ...]:
    """Return the container of this name or id now, and those that are signed by their id.

    Raises:
        Transient: the engine does not answer, or one went between the list and the look.
        ProviderError: its answer cannot be read.
    """
    known = set(ids)
    listed = engine.run("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}}", timeout_s=timeout_s)
    if listed.code or listed.cut:
        raise ProviderError(f"{engine.name} ps: {safepath.shown(listed.err.strip())[:300]}")
    wanted = []
    for line in listed.out.decode("utf-8", "backslashreplace").splitlines():
        one, _, names = line.partition(" ")
        if ID.fullmatch(one) is None:
            raise ProviderError(f"{engine.name} ps gave a line that cannot be: {safepath.shown(line)[:80]}")
        is_by_id = _SHORT_ID.fullmatch(name) is not None and one.startswith(name)
        if one in known or is_by_id or name in names.split(","):
            wanted.append(one)
    if not wanted:
        return ()
    told = engine.run("container", "inspect", *wanted, timeout_s=timeout_s)
    if told.code or told.cut:
        raise Transient(f"{engine.name} inspect: {safepath.shown(told.err.strip())[:300]}")
    found = parse(told.out)
    if {one.id for one in found} != set(wanted):
        raise ProviderError(f"{engine.name} inspect answered for others than it was asked about")
    return found


def parse(data: bytes) -> tuple[Container, ...]:
    """Read the answer of ``inspect``.

    Raises:
        ProviderError: it has another form.
    """
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderError("the answer of inspect is no JSON") from error
    if not isinstance(answer, list) or len(answer) > _MAX:
        raise ProviderError("the answer of inspect is no list of containers")
    return tuple(_container(one) for one in answer)


def _container(raw: Any) -> Container:  # noqa: ANN401 - the edge: anything may come
    if not isinstance(raw, dict):
        raise ProviderError("inspect described a container by something else than an object")
    state, host, labels = table(raw, "State"), table(raw, "HostConfig"), table(table(raw, "Config"), "Labels")
    found, status, pid = raw.get("Id"), state.get("Status"), state.get("Pid")
    if not isinstance(found, str) or ID.fullmatch(found) is None:
        raise ProviderError("inspect gave a container without an id")
    if status not in _STATUSES or not isinstance(pid, int) or isinstance(pid, bool) or pid < 0:
        raise ProviderError(f"inspect gave container {found[:12]} a state that is not known")
    return Container(
        id=found,
        name=safepath.shown(str(raw.get("Name", "")).lstrip("/"))[:255],
        status=str(status),
        pid=pid,
        started=safepath.shown(f"{state.get('StartedAt')} {raw.get('RestartCount')}")[:100],
        restart=_restart(table(host, "RestartPolicy")),
        removes_itself=host.get("AutoRemove") is True or _told_to_remove(raw),
        unit=_label(labels, UNIT_LABEL),
        keeper=next((keeper for label, keeper in _KEEPERS.items() if _label(labels, label)), ""),
        raw=raw,
    )


def _restart(policy: Table) -> str:
    name, retries = policy.get("Name"), policy.get("MaximumRetryCount")
    if not isinstance(name, str) or not name:
        return "no"
    shown = safepath.shown(name)[:40]
    is_limited = shown == "on-failure" and isinstance(retries, int) and retries > 0
    return f"{shown}:{retries}" if is_limited else shown


def _told_to_remove(raw: Table) -> bool:
    """Return what podman before 5 says elsewhere: its exit command removes the container."""
    words = table(raw, "Config").get("CreateCommand")
    named = table(table(raw, "HostConfig"), "Annotations").get("io.podman.annotations.autoremove")
    return str(named).upper() == "TRUE" or (isinstance(words, list) and "--rm" in words)


def _label(labels: Table, key: str) -> str:
    value = labels.get(key)
    return safepath.shown(value)[:255] if isinstance(value, str) else ""


def table(value: Table, key: str) -> Table:
    """Return a part of an answer that is an object; empty where it is something else."""
    found = value.get(key)
    return found if isinstance(found, dict) else {}
