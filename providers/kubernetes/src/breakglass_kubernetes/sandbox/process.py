"""Starts the sandbox as a program of its own, and speaks to it and to its API server."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from breakglass.errors import ProviderError, Unsupported
from breakglass_kubernetes.sandbox import audit, build, install, namespaces, pki
from breakglass_kubernetes.sandbox.api import Api, ApiError, Query
from breakglass_kubernetes.sandbox.control import SECRET_HEADER
from breakglass_kubernetes.sandbox.program import ABOUT

__all__ = ["ApiError", "Sandbox", "start"]
_ANSWER_S = 180.0
_END_S = 20.0
_LONGEST_SAID = 4000
_VALID_S = 24 * 3600.0


@dataclass(slots=True)
class Sandbox:
    """A control plane that runs."""

    folder: Path
    server: str
    cluster_uid: str
    ca_pem: bytes
    _control: str = field(repr=False)
    _secret: str = field(repr=False)
    _process: subprocess.Popen[str] = field(repr=False)
    _said: IO[str] = field(repr=False)
    _own_folder: bool = field(repr=False)
    _apis: dict[str, Api] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def kubeconfig(self, user: str, groups: Sequence[str] = (), *, valid_s: float = _VALID_S) -> bytes:
        """Return a kubeconfig of `user` in `groups`, with a client certificate; negative `valid_s`: over."""
        pair = self._authority().client(user, groups, valid=dt.timedelta(seconds=valid_s))
        return pki.client_kubeconfig(self.server, self.ca_pem, user, pair)

    def token_kubeconfig(self, name: str, token: str) -> bytes:
        """Return a kubeconfig of whoever `token` belongs to."""
        return pki.kubeconfig(self.server, self.ca_pem, name, {"token": token})

    def call(  # noqa: PLR0913 - the contract with every test: who, and what
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        *,
        content_type: str = "application/json",
        query: Query | None = None,
        user: str = "admin",
        groups: Sequence[str] = ("system:masters",),
        token: str | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Make one call as `user` in `groups`, or as the token says.

        Raises:
            ApiError: the API server refused it.
            OSError: it does not answer.
        """
        api = self._api(user, tuple(groups), token)
        return api.call(method, path, body, content_type=content_type, query=query)

    def audit(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the audit events after the first `since` ones."""
        return audit.read(self.folder / "audit.log", since)

    def control(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Give the sandbox's own program an order.

        Raises:
            ProviderError: it refused, or it has ended.
        """
        request = urllib.request.Request(  # noqa: S310 - our own program on loopback
            f"{self._control}/{verb}",
            data=json.dumps(body or {}).encode(),
            headers={SECRET_HEADER: self._secret},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_ANSWER_S) as answer:
                return json.loads(answer.read())["answer"]
        except (OSError, ValueError) as error:
            said = error.read().decode(errors="replace") if isinstance(error, urllib.error.HTTPError) else ""
            ended = "" if self._process.poll() is None else f"; it has ended and said last: {self.said()}"
            raise ProviderError(f"the sandbox does not do {verb}: {error} {said}".rstrip() + ended) from error

    def install(self, project: str) -> list[str]:
        """Install the custom resources of argo, calico, cilium, flux, keda or knative; return their names.

        Raises:
            UsageError: there is no such project.
            ProviderError: they are not served in time.
        """
        return install.install(self.call, project)

    def make_namespace(self, name: str) -> None:
        """Make a namespace and wait until the controllers have put their own into it.

        Raises:
            ApiError: the API server refused it.
            ProviderError: they do not in time.
        """
        namespaces.make(self.call, name)

    def pause(self) -> None:
        """Let the API server be silent, with every connection open (SIGSTOP)."""
        self.control("pause")

    def resume(self) -> None:
        """Let it go on."""
        self.control("resume")

    def restart_api(self) -> None:
        """End the API server and start it anew at the same address, on the same data."""
        self.control("restart_api")

    def said(self) -> str:
        """Return the end of what its program said about its own failures."""
        return _tail(self._said)

    def close(self) -> None:
        """End it and take its folder away if it was not given; safe to repeat."""
        for api in self._apis.values():
            api.close()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._said.close()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _authority(self) -> pki.Authority:
        return pki.Authority.read(self.folder / "pki" / "ca")

    def _api(self, user: str, groups: tuple[str, ...], token: str | None) -> Api:
        """Return the one client of an identity."""
        key = hashlib.sha256(json.dumps([user, groups, token]).encode()).hexdigest()
        with self._lock:
            if key not in self._apis:
                ca = self.folder / "pki" / "ca.crt"
                if token is not None:
                    self._apis[key] = Api(self.server, ca, token=token)
                else:
                    stem = self.folder / "pki" / f"user-{key[:32]}"
                    self._authority().client(user, groups).write(stem)
                    self._apis[key] = Api(self.server, ca, pem=stem.with_name(f"{stem.name}.pem"))
            return self._apis[key]


def start(folder: Path | None = None, *, say: Callable[[str], None] | None = None) -> Sandbox:
    """Start a sandbox and wait until it can be used. It ends when this process does, however that ends.

    Raises:
        Unsupported: its programs are not built, or it does not start.
    """
    build.find(os.environ)
    if say is not None:
        say("starting etcd, kube-apiserver and kube-controller-manager")
    command = [sys.executable, "-I", "-m", "breakglass_kubernetes.sandbox", "--quiet", "--until-eof"]
    if folder is not None:
        command += ["--folder", str(folder)]
    said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - lives as long as the process
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
    )
    place = (process.stdout.readline() if process.stdout is not None else "").rstrip("\n")
    if not place:
        with process:
            # Its streams are closed; it ends by itself.
            pass
        why = _tail(said).strip().rpartition("\n")[2]
        said.close()
        raise Unsupported(
            f"the Kubernetes sandbox does not start: {why}".rstrip(": "), remedy=build.BUILD_COMMAND
        )
    about = json.loads((Path(place) / ABOUT).read_bytes())
    return Sandbox(
        folder=Path(place),
        server=about["server"],
        cluster_uid=about["cluster_uid"],
        ca_pem=(Path(place) / "pki" / "ca.crt").read_bytes(),
        _control=about["control"],
        _secret=about["secret"],
        _process=process,
        _said=said,
        _own_folder=folder is None,
    )


def _tail(file: IO[str]) -> str:
    if file.closed:
        return ""
    file.flush()
    file.seek(0)
    return file.read()[-_LONGEST_SAID:]
