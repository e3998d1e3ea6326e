"""Does work at its time on a few threads; what concerns the same key is done in order."""

from __future__ import annotations

import heapq
import itertools
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable

from breakglass_kubernetes.sandbox.api import ApiError

_WORKERS = 4
_AGAIN_S = 0.5
_NOT_NEEDED = frozenset({404, 409, 422})
"""The object is gone or has changed: the next event says what to do, if anything."""

Task = Callable[[], None]


class Work:
    """A clock and its workers."""

    def __init__(self) -> None:
        """Start them."""
        self._queues: list[queue.SimpleQueue[tuple[str, Task] | None]] = [
            queue.SimpleQueue() for _ in range(_WORKERS)
        ]
        self._due: list[tuple[float, int, str, Task]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._ended = False
        for each in self._queues:
            threading.Thread(target=self._serve, args=(each,), name="worker", daemon=True).start()
        threading.Thread(target=self._tick, name="clock", daemon=True).start()

    def now(self, key: str, task: Task) -> None:
        """Do it as soon as what was asked for `key` before is done."""
        self._queues[hash(key) % _WORKERS].put((key, task))

    def clock(self) -> float:
        """Return the time that after() counts in."""
        return time.monotonic()

    def after(self, delay_s: float, key: str, task: Task) -> None:
        """Do it in `delay_s`."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._numbers), key, task))
            self._changed.notify()

    def close(self) -> None:
        """Do nothing any more."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        for each in self._queues:
            each.put(None)

    def _tick(self) -> None:
        with self._changed:
            while not self._ended:
                if not self._due:
                    self._changed.wait()
                    continue
                left = self._due[0][0] - time.monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                _, _, key, task = heapq.heappop(self._due)
                self.now(key, task)

    def _serve(self, own: queue.SimpleQueue[tuple[str, Task] | None]) -> None:
        while (asked := own.get()) is not None and not self._ended:
            key, task = asked
            try:
                task()
            except ApiError as error:
                if error.status not in _NOT_NEEDED:
                    self.after(_AGAIN_S, key, task)
            except OSError:
                # Not answered, or the API server restarts.
                self.after(_AGAIN_S, key, task)
            except Exception:  # noqa: BLE001 - one odd pod must not end the worker of all others
                traceback.print_exc(file=sys.stderr)
