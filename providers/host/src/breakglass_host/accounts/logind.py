"""Asks logind for the sessions of one user, and ends them; the bus is asked in JSON, not in columns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass_host import safepath
from breakglass_host.accounts import programs
from breakglass_host.systemd import systemctl

LINGER = "/var/lib/systemd/linger"
_ID = re.compile(r"[A-Za-z0-9]{1,64}")
_BUS = "org.freedesktop.login1"
_SHOWN = ("Leader", "Service", "Type", "TTY", "RemoteHost", "State")


@dataclass(frozen=True, slots=True)
class Session:
    """One session as logind knows it."""

    id: str
    about: dict[str, Json]


def manager(uid: int) -> str:
    """Return the unit that is the user's own systemd."""
    return f"user@{uid}.service"


def absent() -> str:
    """Say why there is no logind to ask; empty: there is."""
    if why := systemctl.absent():
        return why
    if not programs.find("busctl") or not programs.find("loginctl"):
        return "loginctl and busctl are not installed"
    found = systemctl.show(["systemd-logind.service"])[0]
    return "" if found["LoadState"] == "loaded" else "systemd-logind is not installed"


def sessions(uid: int) -> tuple[Session, ...]:
    """Return the sessions of a user.

    Raises:
        ProviderError: logind does not answer, or not in the form that was asked for.
    """
    if systemctl.show(["systemd-logind.service"])[0]["ActiveState"] in ("inactive", "failed"):
        return ()  # asking would start it
    call = ["--json=short", "call", _BUS, "/org/freedesktop/login1", f"{_BUS}.Manager", "ListSessions"]
    done = programs.run("busctl", call)
    if done.status != 0:
        raise ProviderError(f"logind does not say its sessions: {done.said}")
    return tuple(Session(one, _about(one)) for one in parse(done.out, uid))


def parse(text: str, uid: int) -> tuple[str, ...]:
    """Return the ids of a user's sessions from the answer of ListSessions, ``a(susso)``.

    Raises:
        ProviderError: the answer has another form.
    """
    try:
        rows = json.loads(text)["data"][0]
        found = tuple(str(row[0]) for row in rows if int(row[1]) == uid)
    except (ValueError, LookupError, TypeError) as error:
        raise ProviderError("logind's list of sessions cannot be read") from error
    if any(_ID.fullmatch(one) is None for one in found):
        raise ProviderError("logind names a session with an id that cannot be")
    return found


def lingers(name: str) -> bool:
    """Return whether logind knows the user, as one that lingers: it reads the file at boot alone."""
    done = programs.run("loginctl", ["--no-pager", "show-user", "--property=Linger", "--", name])
    return done.status == 0 and done.out.strip() == "Linger=yes"


def enable_linger(name: str) -> None:
    """Have logind start what lingers for a user.

    Raises:
        ProviderError: it refuses.
    """
    done = programs.run("loginctl", ["--no-ask-password", "enable-linger", "--", name])
    if done.status != 0:
        raise ProviderError(f"logind does not let {name} linger: {done.said}")


def end(session: str) -> None:
    """Kill all that is in a session and have logind forget it; no hook of the agent runs."""
    for arguments in (
        ["kill-session", "--signal=SIGKILL", "--", session],
        ["terminate-session", "--", session],
    ):
        programs.run("loginctl", ["--no-pager", "--no-ask-password", *arguments])


def _about(session: str) -> dict[str, Json]:
    wanted = [f"--property={name}" for name in _SHOWN]
    done = programs.run("loginctl", ["--no-pager", "show-session", *wanted, "--", session])
    pairs = (line.partition("=") for line in done.out.splitlines())
    return {key.lower(): safepath.shown(value)[:200] for key, _, value in pairs if key in _SHOWN}
