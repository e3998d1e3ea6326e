"""Asks the installed sshd where it looks for the keys of one account, and what else would let it in."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from breakglass.errors import ProviderError
from breakglass_host import procfs, safepath
from breakglass_host.accounts import programs
from breakglass_host.accounts.account import Account

CONFIG = "/etc/ssh/sshd_config"
DEFAULT_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_OTHER_WAYS = {
    "authorizedkeyscommand": "none",
    "trustedusercakeys": "none",
    "authorizedprincipalsfile": "none",
    "authorizedprincipalscommand": "none",
    "gssapiauthentication": "no",
    "hostbasedauthentication": "no",
}
_MAX_DEPTH = 16
"""sshd itself refuses deeper includes (servconf.h, SERVCONF_MAX_DEPTH)."""
_DIRECTIVE = re.compile(r"\s*(authorizedkeysfile|include)(?:\s+|\s*=\s*)(.+?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sshd:
    """What sshd says of itself for one account."""

    files: tuple[str, ...]
    """Absolute paths of this account's own key files."""
    shared: tuple[str, ...]
    """Key files that stand for every account."""
    other_ways: tuple[str, ...]
    """Settings that let somebody in without these files."""
    uses_pam: bool
    problem: str = ""
    """Why sshd itself could not be asked."""


def is_installed() -> bool:
    """Return whether there is a program on this host that lets somebody in by these files."""
    return bool(programs.find("sshd")) or reads_no_expiry()


def reads_no_expiry() -> bool:
    """Return whether there is dropbear(8), which lets a key in whatever PAM and the shadow file say."""
    return bool(programs.find("dropbear"))


def ask(account: Account) -> Sshd:
    """Ask ``sshd -T``; where that fails the defaults stand in, and the problem is said."""
    values, problem = _effective(account.name)
    named = values.get("authorizedkeysfile", " ".join(DEFAULT_FILES)).split()
    named += [one for one in _everywhere(CONFIG) if one not in named]
    files = {
        expand(one, account): "%u" in one or "%h" in one or "%U" in one for one in named if one != "none"
    }
    own = [path for path, is_own in files.items() if is_own or path.startswith(f"{account.home}/")]
    return Sshd(
        files=tuple(own),
        shared=tuple(path for path in files if path not in own),
        other_ways=tuple(
            f"{key} {values[key]}" for key, off in _OTHER_WAYS.items() if values.get(key, off) != off
        ),
        uses_pam=values.get("usepam", "yes") == "yes",
        problem=problem,
    )


def expand(pattern: str, account: Account) -> str:
    """Return the path that sshd_config(5) makes of a pattern: %h, %u, %U, %%; relative to the home."""
    tokens = {"h": account.home, "u": account.name, "U": str(account.uid), "%": "%"}
    path = re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), pattern)
    return os.path.normpath(path if path.startswith("/") else f"{account.home}/{path}")


def settled(path: str, account: Account) -> tuple[str, int]:
    """Return the path as it is signed, and how many of its folders nobody but root can swap.

    Links that root made above the home are resolved for the signers. Below the home nothing is: the agent
    could make ``~/.ssh`` a link to somebody else's folder, and a stop would follow it.
    """
    home = account.home.rstrip("/")
    if not path.startswith(f"{home}/"):
        return safepath.resolved(path), len(PurePosixPath(path).parts) - 1
    real = os.path.realpath(home) if _is_roots(home) else home
    return real + path[len(home) :], len(PurePosixPath(real).parts)


def _effective(user: str) -> tuple[Mapping[str, str], str]:
    try:
        done = programs.run("sshd", ["-T", "-C", f"user={user},host=localhost,addr=127.0.0.1"])
    except ProviderError as error:
        return {}, str(error)
    if done.status != 0:
        return {}, done.said
    lines = (line.partition(" ") for line in done.out.splitlines())
    return {key.lower(): value.strip() for key, _, value in lines}, ""


def _everywhere(path: str, depth: int = 0) -> list[str]:
    """Return what any AuthorizedKeysFile line names: ``Match`` by address shows ``-T`` only one side."""
    found: list[str] = []
    for line in (procfs.read(path) or b"").decode("utf-8", "replace").splitlines():
        if (match := _DIRECTIVE.match(line)) is None:
            continue
        words = [word.strip('"') for word in match[2].partition("#")[0].split()]
        if match[1].lower() == "authorizedkeysfile":
            found += words
        elif depth < _MAX_DEPTH:
            for one in words:
                pattern = one if one.startswith("/") else f"/etc/ssh/{one}"
                for included in sorted(glob.glob(pattern)):  # noqa: PTH207 - a pattern from the root on
                    found += _everywhere(included, depth + 1)
    return found


def _is_roots(home: str) -> bool:
    """Return whether nobody but root can replace any folder above the home, or the home itself."""
    for part in PurePosixPath(home).parents:
        try:
            about = Path(part).stat()
        except OSError:
            return False
        if about.st_uid != 0 or about.st_mode & 0o022:
            return False
    return True
