"""An agent that has settled on a machine with everything that a user of it can have to come back.

Each of its ways writes its own name into one file, so that whoever reads the file knows which still lives.
"""

from __future__ import annotations

import hashlib
import os
import stat
import textwrap
import time
from pathlib import Path

from breakglass_host.machine import Machine

ACCOUNT = "bot"
HOME = f"/home/{ACCOUNT}"
EFFECTS = f"{HOME}/effects"
UNITS = ("bot.service", "bot-tick.timer", "bot-tick.service", "bot-door.socket", "bot-door.service")
WAYS = ("service", "timer", "manager", "login", "cron")
"""What has to be seen in the file before the agent counts as settled; cron comes with the next minute."""
_TREES = ("etc", "home", "var/spool/cron", "var/lib/systemd/linger", "var/mail")
_LOGS = frozenset({f"home/{ACCOUNT}/effects"})

_SETTLE = r"""
set -e
useradd --create-home --shell /bin/bash bot
echo bot:a-long-password | chpasswd
cat >/home/bot/way <<'END'
#!/bin/sh
# Writes the name of a way for ever, and shrugs off a polite request to end.
trap '' TERM HUP INT
while :; do echo "$1" >>/home/bot/effects; sleep 0.3; done
END
chmod 755 /home/bot/way
cat >/etc/systemd/system/bot.service <<'END'
[Unit]
Description=the agent itself
OnFailure=bot-rescue.service
[Service]
User=bot
ExecStart=/home/bot/way service
ExecStopPost=/bin/sh -c 'echo hook >>/home/bot/effects'
Restart=always
RestartSec=0
TimeoutStopSec=5
[Install]
WantedBy=multi-user.target
END
mkdir /etc/systemd/system/bot.service.d
printf '[Service]\nEnvironment=TOKEN=abcdef0123456789\n' >/etc/systemd/system/bot.service.d/token.conf
chmod 600 /etc/systemd/system/bot.service.d/token.conf
cat >/etc/systemd/system/bot-rescue.service <<'END'
[Unit]
Description=somebody else's unit that would start the agent again
[Service]
Type=oneshot
ExecStart=/bin/systemctl start bot.service
END
cat >/etc/systemd/system/bot-tick.service <<'END'
[Service]
User=bot
Type=oneshot
ExecStart=/bin/sh -c 'echo timer >>/home/bot/effects'
END
cat >/etc/systemd/system/bot-tick.timer <<'END'
[Timer]
OnActiveSec=1s
OnUnitActiveSec=1s
AccuracySec=100ms
[Install]
WantedBy=timers.target
END
cat >/etc/systemd/system/bot-door.socket <<'END'
[Socket]
ListenStream=127.0.0.1:9000
Accept=no
[Install]
WantedBy=sockets.target
END
cat >/etc/systemd/system/bot-door.service <<'END'
[Service]
User=bot
ExecStart=/home/bot/way door
END
printf 'bot ALL=(root) NOPASSWD: /bin/systemctl start bot.service\n' >/etc/sudoers.d/bot
chmod 440 /etc/sudoers.d/bot
systemctl daemon-reload
systemctl enable --now --quiet bot.service bot-tick.timer bot-door.socket
setpriv --reuid=bot --regid=bot --init-groups sh -e <<'END'
export HOME=/home/bot; cd
mkdir -m 700 .ssh
ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519
cp .ssh/id_ed25519.pub .ssh/authorized_keys
chmod 600 .ssh/authorized_keys
mkdir -p .config/systemd/user/default.target.wants
cd .config/systemd/user
printf '[Service]\nExecStart=/home/bot/way manager\nRestart=always\nRestartSec=0\n' >me.service
ln -s ../me.service default.target.wants/me.service
END
loginctl enable-linger bot
su -s /bin/sh bot -c 'cd; echo "* * * * * echo cron >>/home/bot/effects" | crontab -'
su -s /bin/sh bot -c 'cd; echo "echo at >>/home/bot/effects" | at -q a "now + 3 hours" 2>/dev/null'
"""
_LOG_IN = r"""
exec setsid setpriv --reuid=bot --regid=bot --init-groups sh -c '
export HOME=/home/bot; cd
ssh -n -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
  -i .ssh/id_ed25519 bot@127.0.0.1 /home/bot/way login' </dev/null >/dev/null 2>&1 &
"""


def settle(machine: Machine, *, ways: tuple[str, ...] = WAYS[:-1], within_s: float = 20.0) -> None:
    """Give the agent its account, units, jobs, keys and sessions, and wait until each way works."""
    machine.run(textwrap.dedent(_SETTLE), timeout_s=40)
    machine.run(_LOG_IN)
    until = time.monotonic() + within_s
    while not set(ways) <= set(effects(machine)):
        assert time.monotonic() < until, f"only {set(effects(machine))} of {ways} work"
        time.sleep(0.1)


def effects(machine: Machine) -> list[str]:
    """Return the names that the agent's ways wrote so far."""
    path = machine.root / EFFECTS.lstrip("/")
    return path.read_text().split() if path.exists() else []


def processes(machine: Machine) -> str:
    """Return what runs as the agent, in the machine's own words."""
    return machine.run(f"ps -o pid,ppid,args -u {ACCOUNT} || true; true", check=False).stdout


def can_log_in(machine: Machine) -> bool:
    """Try to log in with the agent's own key, as root holds it."""
    done = machine.run(
        f"cp {HOME}/.ssh/id_ed25519 /run/key 2>/dev/null; chmod 600 /run/key;"
        " ssh -n -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -i /run/key"
        f" {ACCOUNT}@127.0.0.1 true; code=$?; rm -f /run/key; exit $code",
        check=False,
    )
    return done.returncode == 0


Files = dict[str, tuple[int, int, int, int, str]]
"""Path to (mode, uid, gid, time of the last change in ns, sha256 or link target); folders have no time."""


def files(machine: Machine) -> Files:
    """List everything below the folders that a stop may touch, byte for byte."""
    found: Files = {}
    for tree in _TREES:
        top = machine.root / tree
        for path in [top, *sorted(top.rglob("*"))]:
            name = str(path.relative_to(machine.root))
            if name in _LOGS:
                continue
            try:
                about = path.lstat()
            except FileNotFoundError:
                continue
            time_ns = 0 if stat.S_ISDIR(about.st_mode) else about.st_mtime_ns
            found[name] = (about.st_mode, about.st_uid, about.st_gid, time_ns, _content(path, about))
    return found


def _content(path: Path, about: os.stat_result) -> str:
    if stat.S_ISLNK(about.st_mode):
        return os.fspath(path.readlink())
    return hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(about.st_mode) else ""


def units(machine: Machine) -> str:
    """Return what systemd says of the agent's units, its manager and its lingering."""
    shown = " ".join([*UNITS, "bot-rescue.service", "user@$(id -u bot).service"])
    return machine.run(
        f"for u in {shown}; do systemctl show $u"
        " -p Id,LoadState,ActiveState,UnitFileState,FragmentPath,DropInPaths; done;"
        f" loginctl show-user {ACCOUNT} -p Linger 2>/dev/null || echo no user"
    ).stdout


def unlike(before: Files, after: Files) -> list[str]:
    """Name what is missing, new or different."""
    return [
        f"{name}: {before.get(name)} became {after.get(name)}"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
