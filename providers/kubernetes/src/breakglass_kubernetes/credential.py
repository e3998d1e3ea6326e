"""Keeps the executor's credential alive: reads its file again, runs its plug-in again, within a deadline."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from breakglass.clock import Clock
from breakglass.errors import Denied, ProviderError, Unreachable
from breakglass_kubernetes.kubeconfig import Identity, Plugin
from breakglass_kubernetes.objects import part, text
from breakglass_kubernetes.refusals import shown

PLUGIN_S = 8.0
"""A plug-in that is silent for so long is ended: a sign-on that waits for a browser would wait for ever."""
RENEWAL_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown to the server at one call."""

    token: str = field(default="", repr=False)
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)


class Credential:
    """The executor's own; never the agent's."""

    def __init__(self, identity: Identity, clock: Clock, *, where: str) -> None:
        """Obtain it once.

        Raises:
            Denied: it cannot be read, or the plug-in refuses.
            Unreachable: the plug-in hangs.
        """
        self._identity = identity
        self._clock = clock
        self._where = where
        self._gate = threading.Lock()
        self._renewed_s = clock.monotonic_s()
        self._now = self._obtain()

    @property
    def now(self) -> Shown:
        """Return what to show now."""
        return self._now

    def renew(self) -> bool:
        """Obtain it again, at most once a second; return whether it is another one."""
        with self._gate:
            now_s = self._clock.monotonic_s()
            if now_s - self._renewed_s < RENEWAL_PAUSE_S:
                return False
            self._renewed_s = now_s
            try:
                fresh = self._obtain()
            except (ProviderError, Unreachable):
                return False
            changed, self._now = fresh != self._now, fresh
            return changed

    def _obtain(self) -> Shown:
        identity = self._identity
        if identity.plugin is not None:
            return run_plugin(identity.plugin, where=self._where)
        token = identity.token
        if identity.token_file is not None:
            try:
                token = identity.token_file.read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise Denied(f"tokenFile {identity.token_file} cannot be read", where=self._where) from error
        return Shown(token, identity.certificate, identity.key)


def run_plugin(plugin: Plugin, *, where: str, within_s: float = PLUGIN_S) -> Shown:
    """Run a credential plug-in and read what it prints.

    Raises:
        Denied: it is not there, refuses, or prints something else.
        Unreachable: it does not end in time; it and its children are ended.
    """
    env = dict(os.environ) | dict(plugin.env)
    info = {"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": {"interactive": False}}
    env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
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
    except OSError as error:
        raise Denied(f"credential plug-in {plugin.command[0]}: {error.strerror}", where=where) from error
    with process:
        try:
            out, err = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(
                f"credential plug-in {plugin.command[0]} gave no answer in {within_s:.0f} s",
                where=where,
                remedy="run it by hand; a sign-on must be done before the stop",
            ) from error
        finally:
            _end(process)
    if process.returncode != 0:
        said = shown(err.decode(errors="replace").strip().rpartition("\n")[2])
        raise Denied(f"credential plug-in {plugin.command[0]} failed: {said}", where=where)
    return _read(out, plugin, where)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what it left running, too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _read(out: bytes, plugin: Plugin, where: str) -> Shown:
    try:
        body = json.loads(out)
    except (ValueError, RecursionError):
        body = None
    status = part(body, "status") if isinstance(body, Mapping) else {}
    found = Shown(
        text(status, "token"),
        text(status, "clientCertificateData").encode(),
        text(status, "clientKeyData").encode(),
    )
    if not (found.token or found.certificate):
        raise Denied(f"credential plug-in {plugin.command[0]} printed no ExecCredential", where=where)
    return found
