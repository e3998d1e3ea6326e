"""A small agent on a machine, quick to set up and to stop, and all that can be seen of a machine."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from breakglass.canon import Json
from breakglass_host import machine_tree
from breakglass_host.machine import Machine
from breakglass_host.machine_tree import Recipe

SETTINGS: dict[str, Json] = {
    "user": "bot",
    "unit": "bot.service",
    "log_files": ["/home/bot/log"],
    "spools": ["/home/bot/spool"],
}
_MOVE_IN = r"""
set -e
useradd --create-home --shell /bin/bash bot
cat >/home/bot/work <<'END'
#!/bin/sh
trap '' TERM HUP INT
sleep 1000 &
sleep 1000 &
while :; do echo works >>/home/bot/log; sleep 0.2; done
END
chmod 755 /home/bot/work
cat >/etc/systemd/system/bot.service <<'END'
[Service]
User=bot
ExecStart=/home/bot/work
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
END
cd /home/bot
mkdir -m 700 .ssh
ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
cp .ssh/id_ed25519.pub .ssh/authorized_keys
mkdir spool
echo 'refund order 4711' >spool/job-1
chown -R bot:bot .
echo '0 0 1 1 * true' | setpriv --reuid=bot --regid=bot --init-groups crontab -
systemctl daemon-reload
systemctl enable --now --quiet bot.service
systemctl start user@$(id -u bot).service
until systemctl is-active --quiet user@$(id -u bot).service; do sleep 0.1; done
# What Python, cron and systemd write at their first use must not count as left behind.
systemctl stop user@$(id -u bot).service
"""
_GOES_ON = re.compile(
    r"var/log/|home/bot/log$|var/lib/systemd/(timers|random-seed|credential)|var/lib/dbus/|var/cache/"
    r"|(var/)?tmp/systemd-private-|run/"
)
"""What the machine itself writes while it runs."""
_LOOK = r"""
systemctl show bot.service -p LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths,Restart
systemctl show user@$(id -u bot).service -p LoadState,UnitFileState,FragmentPath
loginctl show-user bot -p Linger 2>/dev/null || echo no user
echo rules:
nft list ruleset
echo temporary:
find /tmp /var/tmp /dev/shm /run -xdev \( -iname '*breakglass*' -o -iname 'tmp*' -o -iname 'bg-*' \) | sort
find /tmp /var/tmp /dev/shm -mindepth 1 -not -path '*/systemd-private-*' -not -name '.*-unix' | sort
echo cgroups:
find /sys/fs/cgroup/unified /sys/fs/cgroup -maxdepth 2 -type d -name '*breakglass*' 2>/dev/null | sort -u
"""


@dataclass(frozen=True, slots=True)
class Look:
    """A machine at one moment."""

    files: dict[str, tuple[int, int, int, int, str]]
    """All that differs from a new machine, but for what the machine itself goes on writing."""
    told: str
    """Units, network rules, temporary files and cgroups, in the machine's own words."""


def move_in(machine: Machine) -> None:
    """Give the agent its account, its unit, its jobs and its work."""
    machine.run(_MOVE_IN, timeout_s=40)
    await_work(machine)


def await_work(machine: Machine, within_s: float = 60.0) -> None:
    """Wait until the agent goes on writing."""
    log = machine.root / "home/bot/log"
    size, until = log.stat().st_size if log.exists() else 0, time.monotonic() + within_s
    while not log.exists() or log.stat().st_size <= size:
        assert time.monotonic() < until, "the agent does not work"
        time.sleep(0.05)


def look(machine: Machine) -> Look:
    """Look at everything."""
    top, found = machine.place.folder / "memory" / "upper", {}
    if not top.exists():
        top = machine.root
    tree = machine_tree.cached(Recipe(), machine_tree.cache_folder())
    assert tree is not None
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if not _GOES_ON.match(name):
            about = _about(path)
            if about != _about(tree / name):  # a folder that was only written to for a while is as it was
                found[name] = about
    return Look(found, machine.run(_LOOK).stdout)


def _about(path: Path) -> tuple[int, int, int, int, str]:
    try:
        about = path.lstat()
    except OSError:
        return (0, 0, 0, 0, "")
    time_ns = 0 if stat.S_ISDIR(about.st_mode) else about.st_mtime_ns
    return (about.st_mode, about.st_uid, about.st_gid, time_ns, _content(path, about))


def _content(path: Path, about: os.stat_result) -> str:
    if stat.S_ISLNK(about.st_mode):
        return os.fspath(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else ""


def unlike(before: Look, after: Look) -> list[str]:
    """Say what differs between two looks."""
    found = [
        f"{name}: {before.files.get(name)} became {after.files.get(name)}"
        for name in sorted({*before.files, *after.files})
        if before.files.get(name) != after.files.get(name)
    ]
    was, now = Counter(before.told.splitlines()), Counter(after.told.splitlines())
    found += [f"gone: {line}" for line in (was - now).elements()]
    return found + [f"new: {line}" for line in (now - was).elements()]


def runners(machine: Machine) -> list[str]:
    """Return every process on the machine that came with a connection of ours, or was left by one."""
    said = machine.run("ps -eo pid=,comm=,args=").stdout.splitlines()
    return [line.strip() for line in said if re.search(r"bg-act-|python3? .*-c|\(read -r m", line)]
