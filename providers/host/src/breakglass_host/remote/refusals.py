"""Says in words why a machine could not be driven: what happened, what was not done, what to do next."""

from __future__ import annotations

import re

from breakglass.canon import spelt_out
from breakglass.errors import BreakglassError, Denied, Unreachable, Unsupported
from breakglass_host.remote.address import Address, HostKey
from breakglass_host.remote.login import Word, sudoers_line

_LONGEST = 400
_NEEDED = (3, 11)
_NO_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([A-Za-z0-9_.]{1,40})'")


def of_word(word: Word, address: Address, said: str) -> BreakglassError:
    """Return what the command on the machine said of itself; `said` is what its stderr held."""
    where, detail = str(address), shown(word.detail)
    match word.word:
        case "nopython":
            return _unsupported(
                "there is no Python on it, and the runner needs 3.11 or newer",
                where,
                f"on {address.host}: apt-get install python3 (or dnf install python3.11)",
            )
        case "old":
            version, _, path = detail.rpartition(" ")
            return _unsupported(
                f"its Python is too old: {path} is {'.'.join(version.split())}, and the runner needs"
                f" {_NEEDED[0]}.{_NEEDED[1]} or newer",
                where,
                f"on {address.host}: install python3.11 or newer beside it; it is found by that name",
            )
        case "lacks":
            return _lacks(detail, address)
        case "nosudo":
            return _denied(
                f"{address.user} is not root there, and sudo is not installed",
                where,
                "log in as root, install sudo, or set without_sudo: true and live with what that leaves open",
            )
        case "sudo":
            return _denied(
                f"sudo does not let {address.user} become root without being asked: {_sudo_said(said)}",
                where,
                f"on {address.host}, by visudo -f /etc/sudoers.d/breakglass: {sudoers_line(address, detail)}",
            )
    return _unsupported(f"the runner could not be started there: {detail or word.word}", where, "")


def of_ssh(said: str, address: Address, key: HostKey, *, exit_code: int | None) -> BreakglassError:
    """Return why ssh ended before the runner was up."""
    where, low = str(address), said.lower()
    if (
        "host key verification failed" in low
        or "host identification has changed" in low
        or _no_common_key(low)
    ):
        return _denied(
            f"its host key is not the pinned {key.type} key: refused, and nobody is asked",
            where,
            f"find out why it changed; if it may be so, put the new key into host_key"
            f" (ssh-keyscan -t {key.type.removeprefix('ssh-')} {address.host}), then sign the kit again",
        )
    if "permission denied" in low or "too many authentication failures" in low:
        return _denied(
            f"it does not let {address.user} log in: {shown(_last(said))}",
            where,
            f"ssh -o BatchMode=yes {address} true   must work for the account that runs breakglass",
        )
    if found := _NO_MODULE.search(_last(said)):
        return _lacks(found[1], address)
    if exit_code == 90:  # noqa: PLR2004 - the command's own: see login
        said = "something that runs at login there reads what is meant for the command"
    what = shown(_last(said)) or f"ssh ended with exit status {exit_code} and said nothing"
    return Unreachable(what, where=where, remedy=f"ssh -o BatchMode=yes {address} true")


def of_silence(address: Address, after_s: float, said: str, *, logged_in: bool) -> BreakglassError:
    """Return that a machine did not answer in time."""
    if logged_in:
        what = f"it let {address.user} log in and then hung: no answer within {after_s:.0f} s"
    else:
        what = f"no answer within {after_s:.0f} s"
    last = shown(_last(said))
    return Unreachable(
        f"{what}{f' ({last})' if last else ''}",
        where=str(address),
        remedy=f"ssh -o BatchMode=yes {address} true   shows where it hangs",
    )


def of_noise(address: Address) -> BreakglassError:
    """Return that a login says more than is listened to."""
    return Unreachable(
        "what it says at login does not end; the runner's answer did not come",
        where=str(address),
        remedy="make the shell's start-up files silent for commands that are run over ssh",
    )


def shown(text: str) -> str:
    """Return hostile text as one bounded line."""
    return spelt_out(" ".join(text.split()))[:_LONGEST]


def _lacks(module: str, address: Address) -> BreakglassError:
    return _unsupported(
        f"its Python has no module {module}: the standard library is not whole",
        str(address),
        f"on {address.host}: apt-get install python3 (python3-minimal is not enough)",
    )


def _unsupported(what: str, where: str, remedy: str) -> BreakglassError:
    return Unsupported(what, where=where, remedy=remedy)


def _denied(what: str, where: str, remedy: str) -> BreakglassError:
    return Denied(what, where=where, remedy=remedy)


def _no_common_key(low: str) -> bool:
    return "no matching host key type" in low


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _sudo_said(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("sudo:")]
    return shown(lines[-1].removeprefix("sudo:")) if lines else "it said nothing"
