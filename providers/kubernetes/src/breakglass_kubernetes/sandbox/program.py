"""Runs one sandbox in this process: its folder, control plane and stub kubelet, and the orders it takes."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from breakglass.errors import ProviderError
from breakglass_kubernetes.sandbox import pki, plane
from breakglass_kubernetes.sandbox.build import Programs
from breakglass_kubernetes.sandbox.control import Control, Order
from breakglass_kubernetes.sandbox.kubelet import NODES, Kubelet

PREFIX = "breakglass-kubernetes-"
ABOUT = "sandbox.json"
_LOOK_S = 1.0


class Program:
    """What serves until it is told to end. Made, served and closed in the main thread."""

    def __init__(self, programs: Programs, folder: Path | None) -> None:
        """Start everything, in `folder` or in a temporary one that goes with it.

        Raises:
            ProviderError: something does not start.
        """
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], Future[None]] | None] = queue.SimpleQueue()
        self._own = folder is None
        self.folder = folder or _temporary()
        self._lock = _held(self.folder)
        try:
            self._plane = plane.start(self.folder, programs)
        except BaseException:
            self._forget()
            raise
        try:
            self._kubelet = Kubelet(self._plane.layout.server, self._plane.layout.pki)
            self._plane.wait_until_usable(NODES)
            secret = secrets.token_hex(32)
            self._control = Control(secret, self._verbs())
        except BaseException:
            self._plane.stop()
            self._forget()
            raise
        about = {
            "server": self._plane.layout.server,
            "cluster_uid": self._plane.cluster_uid,
            "control": self._control.address,
            "secret": secret,
        }
        pki.write_private(self.folder / ABOUT, json.dumps(about).encode())

    @property
    def server(self) -> str:
        """Return the URL of the API server."""
        return self._plane.layout.server

    @property
    def cluster_uid(self) -> str:
        """Return the uid of kube-system."""
        return self._plane.cluster_uid

    def end(self) -> None:
        """Have serve() return; from any thread or signal handler."""
        self._orders.put(None)

    def serve(self) -> None:
        """Do what must be done in the main thread, until end().

        Raises:
            ProviderError: one of the programs ended by itself.
        """
        while True:
            try:
                ordered = self._orders.get(timeout=_LOOK_S)
            except queue.Empty:
                self._plane.check()
                continue
            if ordered is None:
                return
            work, done = ordered
            try:
                work()
            except Exception as error:  # noqa: BLE001 - told to whoever ordered it
                done.set_exception(error)
            else:
                done.set_result(None)

    def close(self) -> None:
        """End everything and take the folder away if it is ours."""
        self._control.close()
        self._kubelet.close()
        self._plane.stop()
        self._forget()

    def _verbs(self) -> dict[str, Order]:
        return {
            **self._kubelet.orders(),
            "pause": self._in_main(self._plane.pause),
            "resume": self._in_main(self._plane.resume),
            "restart_api": self._in_main(self._plane.restart_api),
        }

    def _in_main(self, work: Callable[[], None]) -> Order:
        """Have the main thread do it: children die with the thread that started them."""

        def order(_body: Mapping[str, Any]) -> None:
            done: Future[None] = Future()
            self._orders.put((work, done))
            done.result()

        return order

    def _forget(self) -> None:
        os.close(self._lock)
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)


def _temporary() -> Path:
    """Return a new folder, after taking away those whose program was killed."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        _take_away_if_dead(old)
    return Path(tempfile.mkdtemp(prefix=PREFIX))


def _take_away_if_dead(folder: Path) -> None:
    """Remove a folder of ours whose lock nobody holds; one without a lock may be about to get it."""
    try:
        if folder.lstat().st_uid != os.geteuid():
            return
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def _held(folder: Path) -> int:
    """Return a lock on `folder`, which is empty, that ends with this process.

    Raises:
        ProviderError: it is not, or it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        filled = any(folder.iterdir())
    except OSError as error:
        raise ProviderError(f"a sandbox cannot lie in {folder}: {error}") from error
    if filled:
        raise ProviderError(f"a sandbox cannot lie in {folder}: it is not empty")
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle
