"""Keeps a pipe that stands in the place of a unit file from hanging process 1 while it reads unit files.

A unit file may be a link into a folder that the agent owns (systemctl(1), link). With a named pipe there,
systemd's open(2) waits for a writer, for ever, and with it every order to it (tried on 252). So while it may
be reading, a writer comes to each such pipe and goes at once: it then reads an empty file. Opening for
writing without waiting succeeds only where somebody waits to read (fifo(7)), so nothing else is disturbed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from collections.abc import Iterator

_FOLDERS = (
    *("/etc/systemd/system", "/run/systemd/system", "/run/systemd/transient", "/etc/systemd/system.control"),
    *("/run/systemd/generator", "/usr/local/lib/systemd/system"),
)
_ROOTS = ("/usr/", "/lib/", "/etc/systemd/", "/run/systemd/", "/dev/null")
_EVERY_S, _MOST = 0.02, 500
_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY


@contextlib.contextmanager
def fed() -> Iterator[None]:
    """Feed what stands, or may come to stand, in the place of unit files outside of root's folders."""
    paths = tuple(_elsewhere())
    if not paths:
        yield
        return
    over = threading.Event()
    feeder = threading.Thread(target=_feed, args=(paths, over), daemon=True)
    feeder.start()
    try:
        yield
    finally:
        over.set()
        feeder.join(timeout=1.0)


def _feed(paths: tuple[str, ...], over: threading.Event) -> None:
    while not over.wait(_EVERY_S):
        for path in paths:
            # ENXIO: nobody waits for it. What is no pipe is left alone.
            with contextlib.suppress(OSError):
                if stat.S_ISFIFO(os.lstat(path).st_mode):
                    os.close(os.open(path, _FLAGS))


def _elsewhere() -> Iterator[str]:
    """Yield the places outside of root's folders that unit files and drop-ins lead to."""
    for top in _FOLDERS:
        for path in _entries(top):
            real = os.path.realpath(path)
            if path.endswith(".d") and os.path.isdir(real):  # noqa: PTH112 - as text
                is_roots = os.stat(real).st_uid == 0  # noqa: PTH116 - as text
                inner = (os.path.realpath(one) for one in _entries(real))
                yield from (one for one in inner if not is_roots or not one.startswith(_ROOTS))
            elif not real.startswith(_ROOTS):
                yield real


def _entries(folder: str) -> list[str]:
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)][:_MOST]  # noqa: PTH208 - names
    except OSError:
        return []
