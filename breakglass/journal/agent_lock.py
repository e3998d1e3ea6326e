"""One lock for each agent: a second stop learns at once which incident holds it."""

from __future__ import annotations

import contextlib
import os
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from breakglass.errors import StopInProgress, UsageError
from breakglass.journal.durable import PRIVATE_FILE, make_folder, refused, sync, try_lock, write_all

_AGENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/-]{0,127}", re.ASCII)
_MAX_HOLDER_BYTES = 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def lock_agent(folder: Path, agent: str, incident: str) -> Iterator[None]:
    """Hold the agent's lock; the kernel lets go of it when the process ends, however it ends.

    The file is never removed: a lock on a name that is gone would be a second lock.

    Raises:
        StopInProgress: another incident holds it.
        UsageError: no agent has such a name.
        DiskRefused: the lock file cannot be written.
    """
    if _AGENT.fullmatch(agent) is None:
        raise UsageError(f"no agent is named {agent[:200]!r}")
    make_folder(folder)
    path = folder / f"{urllib.parse.quote(agent, safe='@:')}.lock"
    try:
        fd = os.open(path, _FLAGS, PRIVATE_FILE)
    except OSError as error:
        raise refused(error, path) from error
    try:
        if not try_lock(fd):
            raise _held(agent, os.pread(fd, _MAX_HOLDER_BYTES, 0))
        try:
            os.ftruncate(fd, 0)
            write_all(fd, incident.encode())
            sync(fd)
        except OSError as error:
            raise refused(error, path) from error
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                os.ftruncate(fd, 0)
    finally:
        os.close(fd)


def _held(agent: str, holder: bytes) -> StopInProgress:
    incident = holder.decode("utf-8", "replace").strip()
    who = f"incident {incident}" if incident else "another incident"
    return StopInProgress(
        f"agent {agent} is being stopped already, by {who}",
        remedy=f"breakglass resume {incident}" if incident else "breakglass status",
    )
