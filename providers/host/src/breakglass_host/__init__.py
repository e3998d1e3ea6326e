"""The host provider: processes, cgroups, network rules, cron and at of a Linux machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from breakglass.canon import JsonObject
from breakglass.errors import MalformedInput, Unsupported
from breakglass.model.resource import Reach
from breakglass.provider import AgentHome, AgentMachine, Card, Connection, Provider, Setting, SettingType
from breakglass_host import parts, tree
from breakglass_host.remote.address import parse_address, parse_host_key
from breakglass_host.systemd import relations, unit_name

__all__ = ["CARD"]

_TEXT, _TEXTS = SettingType.TEXT, SettingType.TEXTS
_SETTINGS = (
    Setting("host", _TEXT, "local: the machine that breakglass runs on; or ssh://user@name", required=True),
    Setting("host_key", _TEXT, "with ssh://: the machine's own public key, like ssh-ed25519 AAAA..."),
    Setting(
        "ssh_config", _TEXT, "with ssh://: the ssh client's configuration file, where not the operator's"
    ),
    Setting("without_sudo", SettingType.FLAG, "with ssh://: stay the user that logs in, and do what it may"),
    Setting("cgroup", _TEXT, "the agent's own cgroup, as a v2 path like /agents/bot"),
    Setting("unit", _TEXT, "the agent's own systemd unit: a service, scope, slice or template"),
    Setting("units", _TEXTS, "more units of the agent's own: services, timers, sockets, paths"),
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
    Setting("containers", _TEXTS, "containers of the agent: podman:NAME, docker:NAME"),
    Setting("sudoers", _TEXTS, "more sudoers drop-ins that name the agent's account alone"),
    Setting("deployers", _TEXTS, "what would put it back: unit:NAME, cron:/etc/cron.d/FILE"),
)


def _check(reach: Reach) -> Sequence[str]:
    """Return what is wrong with an entry as a whole."""
    settings, complaints = reach.settings, []
    complaints += _check_host(settings)
    is_named = any(tree.setting(settings, key) for key in ("unit", "cgroup", "user", "pid_file"))
    if not is_named and not settings.get("containers"):
        what = "at least one of unit, cgroup, user, pid_file and containers"
        complaints.append(f"{what} must say what the agent's processes are")
    for name in relations.named(settings):
        if wrong := unit_name.complaint(name):
            complaints.append(f"unit: {name!r} {wrong}")
    path = tree.setting(settings, "cgroup")
    if path and (wrong := tree.complaint(path)):
        complaints.append(f"cgroup: {path!r} {wrong}")
    pid_file = tree.setting(settings, "pid_file")
    if pid_file and not PurePosixPath(pid_file).is_absolute():
        complaints.append(f"pid_file: {pid_file!r} is not an absolute path")
    return complaints


def _check_host(settings: JsonObject) -> list[str]:
    """Return what is wrong with where the machine is said to be."""
    host, complaints = tree.setting(settings, "host"), []
    if host == "local":
        odd = [key for key in ("host_key", "ssh_config", "without_sudo") if key in settings]
        return [f"{odd[0]}: it has a meaning with host: ssh://user@name alone"] if odd else []
    try:
        address = parse_address(host)
    except MalformedInput as error:
        return [f"host: expected local, or {error.what.removeprefix('expected ')}"]
    if address.user == tree.setting(settings, "user"):
        complaints.append("host: the account to log in with is the agent's own, which could then answer")
    try:
        parse_host_key(tree.setting(settings, "host_key"))
    except MalformedInput as error:
        complaints.append(f"host_key: {error.what}")
    config = tree.setting(settings, "ssh_config")
    if config and not PurePosixPath(config).is_absolute():
        complaints.append(f"ssh_config: {config!r} is not an absolute path")
    return complaints


def _connect(connection: Connection) -> Provider:
    """Connect to this machine, or to another over ssh.

    Raises:
        Unsupported: this is not Linux, or the entry is wrong.
        Denied: the other machine is not the one that is meant, or refuses.
        Unreachable: it does not answer.
    """
    if complaints := _check(connection.reach):
        raise Unsupported(complaints[0], where=connection.reach.where)
    if tree.setting(connection.reach.settings, "host") != "local":
        from breakglass_host.remote.host import RemoteHost

        return RemoteHost(connection)
    if sys.platform != "linux":
        raise Unsupported("the host provider works on Linux alone", where=connection.reach.where)
    from breakglass_host.connect import LocalHost

    return LocalHost(connection)


def _home(name: str, folder: Path, *, privileged: bool) -> AgentHome:
    """Make a place for a drill's agent on this machine."""
    from breakglass_host.sandbox import HostSandbox

    return HostSandbox(name, folder, privileged=privileged)


def _machine(name: str, *, say: Callable[[str], None]) -> AgentMachine:
    """Start a whole machine for a drill's agent, in a container of this one."""
    from breakglass_host.machine_home import MachineHome

    return MachineHome(name, say=say)


CARD = Card(
    name="host",
    summary="Linux, here or over ssh: processes, nftables, systemd, accounts, containers, cron and at",
    capabilities=tuple(dict.fromkeys(spec.capability for spec in parts.SPECS)),
    settings=_SETTINGS,
    specs=parts.SPECS,
    connect=_connect,
    check=_check,
    concurrent=True,
    home=_home,
    machine=_machine,
)
