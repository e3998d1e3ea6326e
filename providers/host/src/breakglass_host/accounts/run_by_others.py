"""Finds what of the agent's others run: a job, a unit or a shell of root that leads to a file it can write.

Such a file is the agent's own hand in somebody else's process. It is no process, no job and no unit of the
agent, so that no step ends it; and whoever runs it is not stopped. So it is named, and stays open.
"""

from __future__ import annotations

import os
import queue
import re
import stat
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from breakglass_host import safepath
from breakglass_host.accounts import root_rights
from breakglass_host.accounts.account import Account

_EVERY = ("hourly", "daily", "weekly", "monthly", "yearly")
_TABLES = ("/etc/crontab", "/etc/cron.d")
"""Whose lines say as whom they run."""
_WHERE = (
    *_TABLES,
    *(f"/etc/cron.{one}" for one in _EVERY),
    *("/etc/anacrontab", "/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron"),
    *("/var/spool/cron/atjobs", "/var/spool/incron", "/etc/incron.d"),
    *("/etc/rc.local", "/etc/rc.d/rc.local", "/etc/init.d", "/etc/ld.so.preload", "/etc/pam.d"),
    *("/etc/profile", "/etc/profile.d", "/etc/bash.bashrc", "/etc/network/if-up.d"),
    *("/root/.profile", "/root/.bashrc", "/root/.bash_profile", "/root/.bash_login", "/root/.zshrc"),
)
_UNITS = (
    *("/etc/systemd/system", "/run/systemd/system", "/run/systemd/transient", "/etc/systemd/user"),
    *("/run/systemd/generator", "/run/systemd/generator.late", "/usr/local/lib/systemd/system"),
    *("/etc/systemd/system-generators", "/etc/systemd/system-shutdown", "/usr/lib/systemd/system-sleep"),
)
_EXEC = re.compile(r"^\s*(?:Exec\w+|EnvironmentFile)\s*=(.*)$", re.MULTILINE)
_USER = re.compile(r"^\s*User\s*=\s*(\S+)", re.MULTILINE)
_RAISED = re.compile(r"^\s*Exec\w+\s*=\s*[-@:]*[+!]", re.MULTILINE)
_PATH = re.compile(r"/[\w.+@%~-][\w.+@%~/-]*")
_MOST_FILES, _LARGEST, _MOST_FOUND = 4000, 256 * 1024, 50
_WITHIN_S = 5.0


@dataclass(slots=True)
class Look:
    """One look for one account."""

    who: Account
    groups: Collection[int]
    ours: Collection[str]
    """Units that the plan masks, and tables that it sets aside: what these run is closed by that."""
    _known: dict[str, bool] = field(default_factory=dict)
    _left: int = _MOST_FILES

    def found(self) -> Iterator[tuple[str, str]]:
        """Yield which file leads to which of the agent's."""
        for path in (one for top in _WHERE for one in self._files(top)):
            if path not in self.ours and not self._is_agents_job(path):
                yield from self._in(path, self._lines(path))
        for path in (one for top in _UNITS for one in self._files(top, deep=True)):
            parts = {PurePosixPath(part).name.removesuffix(".d") for part in (path, os.path.dirname(path))}  # noqa: PTH120 - as text
            # A unit file that the agent can write is root's word: the next reload, also ours, makes it valid.
            yield from self._in(path, "" if parts & {*self.ours} else self._of_unit(_text(path)))

    def _in(self, path: str, text: str, depth: int = 1) -> Iterator[tuple[str, str]]:
        """Yield what a text names, and what a script that it names does."""
        if self._is_agents(path):
            yield path, path
        for one in sorted(set(_PATH.findall(text))):
            if self._is_agents(one):
                yield path, one
            elif depth and not one.startswith(("/usr/bin/", "/bin/", "/sbin/", "/usr/sbin/", "/dev/")):
                inner = _text(one)
                for _, hidden in self._in(one, inner, 0) if inner.startswith("#!") else ():
                    yield path, hidden

    def _is_agents(self, path: str) -> bool:
        """Return whether the agent can write what stands there, or put something there."""
        if path not in self._known:
            home = f"{self.who.home.rstrip('/')}/"
            # A path below its home is its own although nothing stands there yet: unless the home is root's.
            is_below = len(home) > 1 and f"{path}/".startswith(home)
            is_below = is_below and root_rights.writable(home, self.who.uid, self.groups)
            self._known[path] = is_below or self._can_write(path)
        return self._known[path]

    def _can_write(self, path: str) -> bool:
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - as text
        except OSError:
            return False
        return (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)) and root_rights.writable(
            os.path.realpath(path), self.who.uid, self.groups
        )

    def _is_agents_job(self, path: str) -> bool:
        """Return whether it is a crontab or an at job of the agent's own, which the plan sets aside."""
        if not path.startswith("/var/spool/"):
            return False
        try:
            return os.lstat(path).st_uid == self.who.uid or path.endswith(f"/{self.who.name}")
        except OSError:
            return False

    def _lines(self, path: str) -> str:
        """Return what is run: no comment, and of a system table no line that runs as the agent itself."""
        lines = [one for one in _text(path).splitlines() if not one.lstrip().startswith("#")]
        if path.startswith(_TABLES):
            lines = [one for one in lines if self.who.name not in one.split()[1:6]]
        return "\n".join(lines)

    def _of_unit(self, text: str) -> str:
        """Return what a unit runs as somebody else than the agent."""
        user = _USER.findall(text)[-1:]
        if user and user[0] in (self.who.name, str(self.who.uid)) and not _RAISED.search(text):
            return ""
        return "\n".join(_EXEC.findall(re.sub(r"\\\n", " ", text))) if "[" in text else text

    def _files(self, top: str, *, deep: bool = False) -> Iterator[str]:
        if not os.path.isdir(top):  # noqa: PTH112 - as text
            yield from (top,) if os.path.exists(top) else ()  # noqa: PTH110 - as text
            return
        for name in sorted(os.listdir(top)):  # noqa: PTH208 - names
            self._left -= 1
            path = f"{top}/{name}"
            if self._left < 0 or os.path.realpath(path) == "/dev/null":
                continue
            if os.path.isfile(path):  # noqa: PTH113 - as text
                yield path
            elif deep and name.endswith(".d") and not os.path.islink(path):  # noqa: PTH114 - as text
                yield from self._files(path)


def look(who: Account, groups: Collection[int], ours: Collection[str]) -> list[tuple[str, str]] | None:
    """Return which file leads to which of the agent's; None: some file system does not answer."""
    answer: queue.SimpleQueue[list[tuple[str, str]] | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            answer.put(list(dict.fromkeys(Look(who, groups, ours).found()))[:_MOST_FOUND])
        except OSError:
            answer.put(None)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.get(timeout=_WITHIN_S)
    except queue.Empty:
        return None


def _text(path: str) -> str:
    """Return a regular file as text; empty where it cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as text
            return ""
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return ""
    try:
        return os.read(handle, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(handle)


def shown(path: str) -> str:
    """Return a path in a form that fits into one line of a plan."""
    return safepath.shown(path)[:200]
