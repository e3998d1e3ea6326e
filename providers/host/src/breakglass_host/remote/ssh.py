"""Starts the stock ssh client: the operator's configuration, keys and jump hosts; the host key from the kit.

Options are those of ssh_config(5). What stands on the command line wins over every configuration file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from breakglass.errors import Denied, Unsupported
from breakglass_host.remote.address import Address, HostKey

CONNECT_S = 10
ALIVE_S = 5
_ALIAS = "breakglass-pinned"
_OPTIONS = (
    # Not known to older clients, which have nothing to switch off there. The first IgnoreUnknown counts, so
    # what a configuration that is shared with a Mac has in its own stands here too.
    "IgnoreUnknown=KnownHostsCommand,ForkAfterAuthentication,StdinNull,SessionType,UseKeychain",
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "KnownHostsCommand=none",
    f"HostKeyAlias={_ALIAS}",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "UpdateHostKeys=no",
    "NoHostAuthenticationForLocalhost=no",
    "ForwardAgent=no",
    "ForwardX11=no",
    "ClearAllForwardings=yes",
    "Tunnel=no",
    "GSSAPIDelegateCredentials=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "SessionType=default",
    "ForkAfterAuthentication=no",
    "StdinNull=no",
    "RequestTTY=no",
    "EscapeChar=none",
    "ControlMaster=no",
    "ControlPath=none",
    f"ConnectTimeout={CONNECT_S}",
    f"ServerAliveInterval={ALIVE_S}",
    "ServerAliveCountMax=3",
    # At ERROR the client does not say that no key of the pinned type was offered.
    "LogLevel=INFO",
)


@dataclass(frozen=True, slots=True)
class Target:
    """The machine, and how it is reached."""

    address: Address
    key: HostKey
    config: str = ""
    """The ssh client's configuration file; empty: the operator's own."""
    without_sudo: bool = False


@contextlib.contextmanager
def started(target: Target, command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the client; what the pinned key lies in is needed, and is there, until the block ends.

    Raises:
        Unsupported: there is no ssh client here.
        Denied: somebody else could change the configuration file.
    """
    program = shutil.which("ssh")
    if program is None:
        raise Unsupported("no ssh client is installed here", remedy="apt-get install openssh-client")
    if target.config:
        _require_ours(target.config)
    with tempfile.TemporaryDirectory(prefix=f"breakglass-ssh-{os.getpid()}-") as folder:
        pinned = Path(folder, "known_hosts")
        pinned.write_text(f"{_ALIAS} {target.key.type} {target.key.blob}\n", encoding="ascii")
        yield subprocess.Popen(  # noqa: S603 - the ssh client; what comes from a kit was parsed
            arguments(program, target, str(pinned), command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
            bufsize=0,
            # Ctrl-C at the terminal is for us: running calls settle. Without a terminal nobody can be asked.
            start_new_session=True,
        )


def arguments(program: str, target: Target, pinned: str, command: str) -> list[str]:
    """Return the command line."""
    file = pinned.replace("%", "%%")  # ssh_config(5), TOKENS
    options = [*_OPTIONS, f'UserKnownHostsFile="{file}"', f"HostKeyAlgorithms={target.key.algorithms}"]
    address = target.address
    return [
        program,
        *(("-F", target.config) if target.config else ()),
        *(word for option in options for word in ("-o", option)),
        "-T",
        *("-l", address.user),
        *(("-p", str(address.port)) if address.port else ()),
        "--",
        address.host,
        command,
    ]


def end(process: subprocess.Popen[bytes], *, patience_s: float) -> None:
    """Wait for the client to end by itself, then make it, and reap it."""
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    for wait_s, push in ((patience_s, process.terminate), (1.0, process.kill)):
        try:
            process.wait(wait_s)
            break
        except subprocess.TimeoutExpired:
            push()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _require_ours(path: str) -> None:
    """Raise Denied unless nobody but root and we can change the file, or put another in its place."""
    ours = {0, os.geteuid()}
    try:
        real = Path(path).resolve(strict=True)
        file = real.stat()
        parents = [(parent, parent.stat()) for parent in real.parents]
    except OSError as error:
        raise Denied(f"cannot be read: {error.strerror}", where=f"ssh_config {path}") from error
    if not stat.S_ISREG(file.st_mode) or file.st_uid not in ours or file.st_mode & 0o022:
        raise Denied(
            "it is not a file that only root or this account may write to",
            where=f"ssh_config {path}",
            remedy=f"chown {os.geteuid()} {path}; chmod 600 {path}",
        )
    for parent, seen in parents:
        if seen.st_uid not in ours or (seen.st_mode & 0o022 and not seen.st_mode & stat.S_ISVTX):
            raise Denied(
                f"{parent} is open to others, who could put another file in its place",
                where=f"ssh_config {path}",
            )
