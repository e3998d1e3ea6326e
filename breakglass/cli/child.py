"""Starts `sign` as the person who invoked the stop: the executor's process never opens a person's key.

Under sudo the child gives up the executor's identity before anything of the person is read; only the
signature comes back. The child shows the plan itself and asks for the name on the terminal.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from breakglass.cli.session import Session
from breakglass.errors import EXIT_NOT_AUTHORISED, NotAuthorised, UsageError

_CTRL_C = 130
"""What Typer makes of Ctrl-C."""
_KEPT = ("PATH", "TERM", "LANG", "LC_ALL", "NO_COLOR", "BREAKGLASS_KIT", "SSH_AUTH_SOCK", "SSH_CONNECTION")


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def sign_as_person(here: Session, raw: bytes, person: str, key: Path | None, *, yes: bool) -> str:
    """Let the invoking person sign the plan's bytes; return the approval string.

    Raises:
        NotAuthorised: the person did not sign.
        UsageError: it is not clear who the person is, or the child could not start.
    """
    command = [sys.executable, "-P", "-m", "breakglass", "sign", "-"]
    command += ["--as", person] if person else []
    command += ["--key", str(key)] if key is not None else []
    command += ["--yes"] if yes else []
    identity, environ = person_behind(here.environ)
    try:
        done = subprocess.run(  # noqa: S603 - our own program, with arguments that are ours
            command, input=raw, stdout=subprocess.PIPE, env=environ, check=False, **identity
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"the program that signs could not be started: {error}") from error
    if done.returncode in (EXIT_NOT_AUTHORISED, _CTRL_C, -signal.SIGINT):
        raise NotAuthorised("you did not sign")
    if done.returncode != 0:
        raise UsageError("nothing was signed; the reason stands above", remedy="--as PERSON, --key FILE")
    return done.stdout.decode("ascii", "replace").strip()


def person_behind(environ: Mapping[str, str]) -> tuple[_Identity, dict[str, str]]:
    """Return who the child becomes and its environment: the person behind sudo, else ourselves."""
    number = environ.get("SUDO_UID", "")
    if os.geteuid() != 0 or not number.isdecimal() or int(number) == 0:
        return {}, dict(environ)
    import pwd

    entry = pwd.getpwuid(int(number))
    runtime = Path(f"/run/user/{entry.pw_uid}")
    found = {name: environ[name] for name in _KEPT if name in environ}
    found |= {"HOME": entry.pw_dir, "USER": entry.pw_name, "LOGNAME": entry.pw_name}
    if runtime.is_dir():
        found["XDG_RUNTIME_DIR"] = str(runtime)
        found["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
    groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}, found
