"""Turns the world on: every tick it does what the platform would do by itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from breakglass_aws.sandbox.platform import instances, machines, mappings, rules, scaling, schedules, tasks
from breakglass_aws.sandbox.platform.acting import ACTING
from breakglass_aws.sandbox.platform.flows import FLOWS
from breakglass_aws.sandbox.platform.functions import RUNS
from breakglass_aws.sandbox.platform.settings import SETTINGS

PARTS: tuple[Callable[[float], None], ...] = (
    mappings.tick,
    RUNS.tick,
    rules.tick,
    schedules.tick,
    machines.tick,
    scaling.tick,
    tasks.tick,
    instances.tick,
    FLOWS.tick,
)


@dataclass(slots=True)
class Ticker:
    """One thread for the life of the process."""

    ticks: int = 0
    _gate: threading.RLock = field(default_factory=threading.RLock)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; safe to repeat."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._turn, name="platform", daemon=True)
            self._thread.start()

    def tick(self) -> None:
        """Do everything once; what fails in one part holds up no other."""
        with self._gate:
            now = time.monotonic()
            for part in PARTS:
                try:
                    part(now)
                except Exception as error:  # noqa: BLE001 - a reset may take the ground from under it
                    ACTING.note(error)
            self.ticks += 1

    def paused(self) -> threading.RLock:
        """Return what keeps the ticker still while it is held."""
        return self._gate

    def _turn(self) -> None:
        while True:
            time.sleep(SETTINGS.tick_s)
            if SETTINGS.on:
                self.tick()


TICKER = Ticker()
