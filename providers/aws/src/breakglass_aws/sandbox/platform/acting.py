"""Runs a resource's deeds with its session, one round at a time, off the ticker's thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from breakglass_aws.sandbox.platform.calls import CALLER
from breakglass_aws.sandbox.platform.settings import SETTINGS

WORKERS = 16
SETTLE_S = 20.0
"""Longer than any call of `CALLER` waits for its answer."""


@dataclass(slots=True)
class Acting:
    """A pool, and what is under way in it: a slow answer holds up its own resource only."""

    errors: list[str] = field(default_factory=list)
    _under_way: set[str] = field(default_factory=set)
    _idle: threading.Condition = field(default_factory=threading.Condition)
    _pool: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(WORKERS, thread_name_prefix="platform")
    )

    def submit(self, key: str, work: Callable[[], object]) -> bool:
        """Start work unless the same is still under way; say whether it was started."""
        with self._idle:
            if key in self._under_way:
                return False
            self._under_way.add(key)
        self._pool.submit(self._run, key, work)
        return True

    def settle(self) -> bool:
        """Wait until nothing is under way, and what that began; say whether it came to that."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._under_way, SETTLE_S)

    def forget(self) -> None:
        """Forget errors; what is under way ends by itself."""
        self.errors.clear()

    def note(self, error: Exception) -> None:
        """Keep what went wrong for whoever asks the control address."""
        self.errors.append(f"{type(error).__name__}: {error}"[:500])
        del self.errors[:-20]

    def _run(self, key: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a reset may take the ground from under it
            self.note(error)
        finally:
            with self._idle:
                self._under_way.discard(key)
                self._idle.notify_all()


def act(channel: str, keys: Mapping[str, str]) -> None:
    """Make every call of a resource once."""
    for deed in SETTINGS.deeds(channel):
        CALLER.call(keys, deed.service, deed.operation, deed.params)


ACTING = Acting()
