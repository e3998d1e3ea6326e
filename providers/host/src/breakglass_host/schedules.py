"""Knows where cron and at keep the jobs of a user, and what their folders need to notice a change."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass_host import procfs, safepath, tree, vault
from breakglass_host.as_agent import Identity

CRONTAB_FOLDERS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
"""Debian, SUSE, Red Hat; the first that exists."""
AT_FOLDERS = ("/var/spool/cron/atjobs", "/var/spool/atjobs", "/var/spool/at")
SYSTEM_TABLES = ("/etc/crontab", "/etc/cron.d")
MAX_JOBS = 10_000
_AT_JOB = re.compile(r"[A-Za-z][0-9a-f]{5}(?P<due>[0-9a-f]{8})")
"""Queue, number and minutes since 1970 in hexadecimal, as atd(8) makes and reads them; ``=`` runs already."""


@dataclass(frozen=True, slots=True)
class Schedules:
    """Where one user's jobs lie; empty: nowhere."""

    crontab: str
    at_spool: str


def of(settings: JsonObject, who: Identity | None) -> Schedules:
    """Return what the inventory names, and else what this machine's cron and at would use for the user."""
    crontab, at_spool = tree.setting(settings, "crontab"), tree.setting(settings, "at_spool")
    if who is not None and os.geteuid() == 0:
        folder = _first(CRONTAB_FOLDERS)
        if not crontab and who.account and folder:
            crontab = f"{folder}/{who.account}"
        at_spool = at_spool or _first(AT_FOLDERS)
    return Schedules(crontab, at_spool if who is not None else "")


def at_jobs(at_spool: str, uid: int) -> tuple[list[str], bool]:
    """Return the paths of a user's at jobs, and whether these are all.

    Raises:
        OSError: the folder cannot be read.
    """
    found: list[str] = []
    try:
        with safepath.folder(at_spool) as at:
            for name in sorted(vault.names(at)):
                if _AT_JOB.fullmatch(name) is None or _owner(name, at) != uid:
                    continue
                if len(found) == MAX_JOBS:
                    return found, False
                found.append(f"{at_spool}/{name}")
    except FileNotFoundError:
        return [], True
    return found, True


def due_at(path: str) -> int | None:
    """Return when an at job runs, in seconds since 1970; None for what is no at job."""
    match = _AT_JOB.fullmatch(path.rsplit("/", 1)[-1])
    return int(match["due"], 16) * 60 if match else None


@contextlib.contextmanager
def noticed(folder_path: str) -> Iterator[None]:
    """Give a spool folder a later time than the one it has now, once something was moved in or out.

    cron(8) compares the folder's time in whole seconds, so that a second change within the second of the
    first would go unnoticed until the next one.
    """
    seen = _time_of(folder_path)
    yield
    now = _time_of(folder_path)
    if seen is None or now is None or now == seen:
        return
    later = now if now // 10**9 > seen // 10**9 else seen + 10**9
    with safepath.refusals(folder_path), safepath.folder(folder_path) as at:
        os.utime(f"/proc/self/fd/{at}", ns=(later, later))


def _time_of(folder_path: str) -> int | None:
    with contextlib.suppress(OSError), safepath.folder(folder_path) as at:
        return os.fstat(at).st_mtime_ns
    return None


def system_lines(account: str, tables: tuple[str, ...] = SYSTEM_TABLES) -> list[str]:
    """Return the files of the system's own tables that run something as `account`."""
    found = []
    for path in (Path(text) for text in tables):
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            lines = (procfs.read(str(file)) or b"").decode("utf-8", "replace").splitlines()
            if any(_runs_as(line, account) for line in lines):
                found.append(safepath.shown(str(file)))
    return found


def _runs_as(line: str, account: str) -> bool:
    words = line.split()
    if not words or words[0].startswith("#") or "=" in words[0]:
        return False
    at = 1 if words[0].startswith("@") else 5
    return len(words) > at + 1 and words[at] == account


def _first(folders: tuple[str, ...]) -> str:
    return next((folder for folder in folders if Path(folder).is_dir()), "")


def _owner(name: str, folder_fd: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder_fd, follow_symlinks=False).st_uid
    except OSError:
        return None
