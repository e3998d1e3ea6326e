"""Finds by which standing rights an account acts as somebody else: what it did so is none of its processes.

A rule of sudo without limits, a writable program in a rule, doas, polkit, the socket of a container engine, a
disk: whoever holds one may have started, or planted, what runs as root and bears no trace of the account.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from breakglass.errors import ProviderError
from breakglass_host import privilege, procfs, safepath
from breakglass_host.accounts import programs
from breakglass_host.accounts.account import Account

_RULE = re.compile(r"\s+\(([^)]*)\)\s*(.*)")
_TAG = re.compile(r"\s*(?:[A-Z_]+:|(?:CWD|CHROOT|TIMEOUT|ROLE|TYPE|NOTBEFORE|NOTAFTER)=\S+\s)\s*")
_HANDS_OVER = frozenset(
    (
        *("sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "tcsh", "csh", "busybox", "su", "sudo", "doas"),
        *("systemd-run", "machinectl", "nsenter", "unshare", "chroot", "env", "runuser", "setpriv", "setsid"),
        *(
            "script",
            "screen",
            "tmux",
            "ssh",
            "python",
            "python3",
            "perl",
            "ruby",
            "node",
            "lua",
            "awk",
            "gawk",
        ),
        *(
            "vi",
            "vim",
            "nano",
            "ed",
            "emacs",
            "less",
            "more",
            "man",
            "find",
            "xargs",
            "tee",
            "cp",
            "mv",
            "ln",
        ),
        *("dd", "install", "rsync", "tar", "chmod", "chown", "mount", "crontab", "at", "docker", "podman"),
        *("kubectl", "apt", "apt-get", "dpkg", "pip", "pip3", "npm", "git", "make", "gdb", "strace"),
    )
)
"""Programs that do whatever they are told, when a rule leaves the arguments free."""
_ADMINS = (
    *("/etc/doas.conf", "/etc/doas.d", "/etc/polkit-1/rules.d", "/etc/polkit-1/localauthority"),
    *("/usr/share/polkit-1/rules.d", "/usr/local/share/polkit-1/rules.d", "/var/lib/polkit-1/localauthority"),
)
_MOST = 1000


def of(who: Account, groups: Collection[int], names: Collection[str]) -> tuple[str, ...]:
    """Return the rights in words; `groups` and their `names` are those that the account is a member of."""
    return tuple(dict.fromkeys((*_sudo(who, groups), *_rules(who, names), *_devices(who, groups))))


def unlimited(listing: str, name: str, can_write: Collection[str] = ()) -> Iterator[str]:
    """Yield the rules of ``sudo -l`` by which an account does what it likes as somebody else."""
    for line in listing.splitlines():
        if (match := _RULE.fullmatch(line.rstrip())) is None:
            continue
        users = [one.strip() for one in match[1].partition(":")[0].split(",")]
        if users == [name]:
            continue
        for one in re.split(r"(?<!\\),", match[2]):
            command = one
            while (tag := _TAG.match(command)) is not None:
                command = command[tag.end() :]
            program, _, arguments = command.strip().partition(" ")
            is_free = program in ("ALL", "sudoedit") or program in can_write
            is_free |= PurePosixPath(program).name in _HANDS_OVER and (not arguments or "*" in arguments)
            if is_free or program.endswith(("/", "*")):
                yield f"sudo lets it run {command.strip()} as {', '.join(users) or 'root'}"


def programs_of(listing: str) -> set[str]:
    """Return every program that a rule names."""
    return set(re.findall(r"(?<![\w.])/[^\s,:=]+", listing))


def _sudo(who: Account, groups: Collection[int]) -> Iterator[str]:
    if not programs.find("sudo"):
        return
    try:
        done = programs.run("sudo", ["-l", "-U", who.name])
    except ProviderError as error:
        yield f"sudo does not say what it may do: {error}"
        return
    can_write = {path for path in programs_of(done.out) if writable(path, who.uid, groups)}
    yield from unlimited(done.out, who.name, can_write)


def writable(path: str, uid: int, groups: Collection[int]) -> bool:
    """Return whether a user can change a file, or a folder on the way to it."""
    for one in (path, *(str(part) for part in PurePosixPath(path).parents)):
        try:
            about = os.stat(one)  # noqa: PTH116 - kept as text
        except OSError:
            continue
        is_sticky = stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX
        by_others = about.st_mode & stat.S_IWOTH or (about.st_mode & stat.S_IWGRP and about.st_gid in groups)
        if about.st_uid == uid or (by_others and not is_sticky and not stat.S_ISCHR(about.st_mode)):
            return True
    return False


def _rules(who: Account, names: Collection[str]) -> Iterator[str]:
    """Yield the files of doas and polkit that name the account, or a group of it."""
    groups = "|".join(re.escape(one) for one in names) or "(?!)"
    user = re.escape(who.name)
    named = re.compile(rf"(?<![\w.:-]){user}(?![\w-])|isInGroup\(.(?:{groups}).\)|(?<![\w:]):(?:{groups})\s")
    for top in _ADMINS:
        paths = [Path(top)] if Path(top).is_file() else sorted(Path(top).rglob("*"))[:_MOST]
        for path in paths:
            lines = (procfs.read(str(path)) or b"").decode("utf-8", "replace").splitlines(keepends=True)
            if any(named.search(re.split(r"(?<!\S)(?:#|//)", line)[0]) for line in lines):
                yield f"{safepath.shown(str(path))} names it"


def _devices(who: Account, groups: Collection[int]) -> Iterator[str]:
    """Yield the sockets of container engines, and the disks, that the account may write to."""
    for path in privilege.CONTAINER_SOCKETS:
        about = _stat(path)
        if about is not None and stat.S_ISSOCK(about.st_mode) and _may_write(about, who.uid, groups):
            yield f"it may write to the container socket {path}"
    for name in sorted(os.listdir("/dev"))[:_MOST]:  # noqa: PTH208 - names of one folder
        about = _stat(f"/dev/{name}")
        if about is not None and stat.S_ISBLK(about.st_mode) and _may_write(about, who.uid, groups):
            yield f"it may write to the disk /dev/{safepath.shown(name)}"
            return


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - kept as text
    except OSError:
        return None


def _may_write(about: os.stat_result, uid: int, groups: Collection[int]) -> bool:
    is_owner = about.st_uid == uid and about.st_mode & stat.S_IWUSR
    is_member = about.st_gid in groups and about.st_mode & stat.S_IWGRP
    return bool(is_owner or is_member or about.st_mode & stat.S_IWOTH)
