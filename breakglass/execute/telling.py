"""Tells a screen of events on a thread of its own: one that is stuck or gone holds up no step."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

from breakglass.execute.context import StepEvent

PATIENCE_S = 1.0
"""So long a screen may take to show the last events; the journal has them all."""


class Telling:
    """An observer in front of another: it takes every event at once."""

    def __init__(self, observer: Callable[[StepEvent], None]) -> None:
        """Start to pass events on."""
        self._observer = observer
        self._events: queue.SimpleQueue[StepEvent | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._pass_on, daemon=True, name="screen")
        self._thread.start()

    def __call__(self, event: StepEvent) -> None:
        """Take an event; never waits and never fails."""
        self._events.put(event)

    def close(self) -> None:
        """Let the screen show what it was told, if it still can."""
        self._events.put(None)
        self._thread.join(PATIENCE_S)

    def _pass_on(self) -> None:
        while (event := self._events.get()) is not None:
            with contextlib.suppress(Exception):  # a closed pipe, a terminal that hung up
                self._observer(event)
