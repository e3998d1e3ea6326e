"""The host provider: processes, cgroups, network rules, cron and at of a Linux machine."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from breakglass.errors import Unsupported
from breakglass.model.resource import Reach
from breakglass.provider import AgentHome, Card, Connection, Provider, Setting, SettingType
from breakglass_host import parts, tree

__all__ = ["CARD"]

_TEXT, _TEXTS = SettingType.TEXT, SettingType.TEXTS
_SETTINGS = (
    Setting("host", _TEXT, "local: the machine that breakglass runs on", required=True),
    Setting("cgroup", _TEXT, "the agent's own cgroup, as a v2 path like /agents/bot"),
    Setting("user", _TEXT, "an account, or a uid, that runs nothing but the agent"),
    Setting("pid_file", _TEXT, "a file with the pid of the agent's first process"),
    Setting("log_files", _TEXTS, "files to preserve before anything is destroyed"),
    Setting("credential_files", _TEXTS, "files with credentials of the agent, to withhold"),
    Setting("credential_issuers", SettingType.MAPPING, "the issuer's URL of each credential file"),
    Setting("spools", _TEXTS, "folders that work for the agent arrives in"),
    Setting("crontab", _TEXT, "the crontab file of the agent's user"),
    Setting("at_spool", _TEXT, "the folder of at jobs"),
    Setting("cron_deny", _TEXT, "the list of who may not use cron; cron.allow lies beside it"),
    Setting("at_deny", _TEXT, "the list of who may not use at; at.allow lies beside it"),
    Setting("deployers", _TEXTS, "what would put it back: unit:NAME, cron:/etc/cron.d/FILE"),
)


def _check(reach: Reach) -> Sequence[str]:
    """Return what is wrong with an entry as a whole."""
    settings, complaints = reach.settings, []
    host = tree.setting(settings, "host")
    if host.startswith("ssh://"):
        complaints.append(
            "host: ssh:// is not supported yet; run breakglass on that machine with host: local"
        )
    elif host != "local":
        complaints.append(f"host: expected local, found {host!r}")
    if not any(tree.setting(settings, key) for key in ("cgroup", "user", "pid_file")):
        complaints.append("at least one of cgroup, user and pid_file must say what the agent's processes are")
    path = tree.setting(settings, "cgroup")
    if path and (wrong := tree.complaint(path)):
        complaints.append(f"cgroup: {path!r} {wrong}")
    pid_file = tree.setting(settings, "pid_file")
    if pid_file and not PurePosixPath(pid_file).is_absolute():
        complaints.append(f"pid_file: {pid_file!r} is not an absolute path")
    return complaints


def _connect(connection: Connection) -> Provider:
    """Connect to this machine.

    Raises:
        Unsupported: this is not Linux, or the entry names another machine.
    """
    if sys.platform != "linux":
        raise Unsupported("the host provider works on Linux alone", where=connection.reach.where)
    if complaints := _check(connection.reach):
        raise Unsupported(complaints[0], where=connection.reach.where)
    from breakglass_host.connect import LocalHost

    return LocalHost(connection)


def _home(name: str, folder: Path, *, privileged: bool) -> AgentHome:
    """Make a place for a drill's agent on this machine."""
    from breakglass_host.sandbox import HostSandbox

    return HostSandbox(name, folder, privileged=privileged)


CARD = Card(
    name="host",
    summary="Linux: processes, cgroups, nftables, cron and at",
    capabilities=tuple(dict.fromkeys(spec.capability for spec in parts.SPECS)),
    settings=_SETTINGS,
    specs=parts.SPECS,
    connect=_connect,
    check=_check,
    home=_home,
)
