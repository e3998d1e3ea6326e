"""The platform at work: every model's ticks, ten times a second while it is on."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from breakglass_gcp.sandbox import operations

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

EVERY_S = 0.1


class Platform:
    """A thread that ends operations always, and runs the ticks while it is on."""

    def __init__(self, world: World, ticks: Sequence[Callable[[World], None]]) -> None:
        """Do nothing yet."""
        self._world, self._ticks = world, ticks
        self._over = threading.Event()
        self.on = False
        self.ran = 0
        self.failed = ""
        """What a tick last failed with; told by the control verb ``platform``."""

    def start(self) -> None:
        """Begin the thread."""
        threading.Thread(target=self._run, name="platform", daemon=True).start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()

    def run(self, times: int) -> None:
        """Run every tick so many times, now."""
        for _ in range(times):
            with self._world.lock:
                operations.settle_all(self._world)
                for tick in self._ticks:
                    self._one(tick)
                self._world.changed.notify_all()
            self.ran += 1

    def _one(self, tick: Callable[[World], None]) -> None:
        try:
            tick(self._world)
        except Exception as error:  # noqa: BLE001 - one model's failure must not stop the platform
            self.failed = f"{tick.__module__}.{tick.__qualname__}: {error!r}"
            traceback.print_exc(file=sys.stderr)

    def _run(self) -> None:
        while not self._over.is_set():
            begun = time.monotonic()
            if self.on:
                self.run(1)
            else:
                with self._world.lock:
                    operations.settle_all(self._world)
                    self._world.changed.notify_all()
            self._over.wait(max(0.01, EVERY_S - (time.monotonic() - begun)))
