"""Runs a credential plug-in (client-go credential plugins) within a deadline and bounds.

It gets no terminal: a sign-on that asks for one, or waits for a browser, would keep a stop waiting.
"""

from __future__ import annotations

import json
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass.errors import Denied, Unreachable
from breakglass_kubernetes.kubeconfig import Plugin
from breakglass_kubernetes.objects import part, text
from breakglass_kubernetes.redact import Redactor
from breakglass_kubernetes.refusals import shown

PLUGIN_S = 8.0
MAX_OUTPUT = 1024 * 1024
_SAID = 4096


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown to the server at one call."""

    token: str = field(default="", repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)


def run_plugin(plugin: Plugin, *, where: str, within_s: float = PLUGIN_S) -> Shown:
    """Run a credential plug-in and read what it prints.

    Raises:
        Denied: it is not there, refuses, or prints something else.
        Unreachable: it does not end in time; it and its children are ended.
    """
    env = dict(os.environ) | dict(plugin.env)
    info = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": {"interactive": False}}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
    name = plugin.command[0]
    try:
        process = subprocess.Popen(  # noqa: S603 - the executor's own kubeconfig names it
            plugin.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=plugin.folder,
            env=env,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its command or a variable is no text"
        raise Denied(f"credential plug-in {name} cannot be started: {why}", where=where) from error
    with process:
        try:
            out, err = _output(process, time.monotonic() + within_s)
            process.wait(within_s)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise Unreachable(
                f"credential plug-in {name} gave no answer in {within_s:.0f} s",
                where=where,
                remedy="run it by hand; a sign-on must be done before the stop",
            ) from error
        finally:
            _end(process)
    if process.returncode != 0:
        # It may say what it was given.
        said = Redactor(secrets.token_bytes(32)).text(err.decode(errors="replace")).strip()
        raise Denied(f"credential plug-in {name} failed: {shown(said.rpartition(chr(10))[2])}", where=where)
    return _read(out, name, where)


def _output(process: subprocess.Popen[bytes], end_s: float) -> tuple[bytes, bytes]:
    """Read what it prints, up to the bound. Raises TimeoutError: it does not end."""
    found = {"out": b"", "err": b""}
    with selectors.DefaultSelector() as waiting:
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            if pipe is not None:
                waiting.register(pipe, selectors.EVENT_READ, name)
        while waiting.get_map():
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            for key, _events in waiting.select(left_s):
                data = os.read(key.fd, 65536)
                if not data:
                    waiting.unregister(key.fileobj)
                found[key.data] = (found[key.data] + data)[: MAX_OUTPUT + 1]
    return found["out"], found["err"][-_SAID:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what it left running, too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _read(out: bytes, name: str, where: str) -> Shown:
    try:
        body = json.loads(out) if len(out) <= MAX_OUTPUT else None
    except (ValueError, RecursionError):
        body = None
    status = part(body, "status") if isinstance(body, Mapping) else {}
    names = ("token", "clientCertificateData", "clientKeyData")
    token, certificate, key = (text(status, one) for one in names)
    good = bool(token or certificate) and bool(certificate) is bool(key)
    if not (good and f"{token}{certificate}{key}".isascii()):
        raise Denied(f"credential plug-in {name} printed no ExecCredential", where=where)
    return Shown(token, certificate.encode(), key.encode())
