"""Makes calls one after another of which none keeps the others from being made in time."""

from __future__ import annotations

from collections.abc import Callable

from breakglass.clock import Clock
from breakglass.errors import InDoubt, ProviderError, Throttled, Transient

LONGEST_REST_S = 5.0


class Patience:
    """The time that all calls of one round together may be waited for."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        """Begin now."""
        self._clock = clock
        self._end_s = clock.monotonic_s() + seconds

    def left_s(self) -> float:
        """Return what is left of it."""
        return max(0.0, self._end_s - self._clock.monotonic_s())


class Tries:
    """Calls of one round; the failure that matters most is told when all were made."""

    def __init__(self) -> None:
        """Begin with none."""
        self.done = 0
        """So many went through."""
        self._failure: ProviderError | None = None

    @property
    def moved(self) -> bool:
        """Return whether what was read before may be old by now."""
        return self.done > 0 or self._failure is not None

    def make(self, call: Callable[[], object], *, counts: bool = True) -> None:
        """Make a call, and keep its failure for the end.

        Raises:
            Throttled: the service wants fewer calls; another one would only be refused as well.
        """
        try:
            call()
        except Throttled:
            raise
        except ProviderError as error:
            self.failed(error)
        else:
            self.done += counts

    def failed(self, error: ProviderError) -> None:
        """Keep the first failure of those that matter most."""
        if self._failure is None or _weight(error) > _weight(self._failure):
            self._failure = error

    def end(self) -> None:
        """Tell the failure that matters most.

        Raises:
            ProviderError: a call failed.
        """
        if self._failure is not None:
            raise self._failure


def at_once() -> float:
    """Wait for nothing."""
    return 0.0


def _weight(error: ProviderError) -> int:
    """Weigh a failure: what is in doubt must be read again, and what may pass is not hidden."""
    return 2 if isinstance(error, InDoubt) else int(isinstance(error, Transient))


def rest(clock: Clock, error: Throttled) -> None:
    """Let a service rest that wants fewer calls, before it is read again."""
    clock.sleep(min(LONGEST_REST_S, error.retry_after_s))
