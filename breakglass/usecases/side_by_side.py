"""Asks several providers at once, and goes on without those that do not answer in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from breakglass.errors import BreakglassError, ProviderError

T = TypeVar("T")


def side_by_side(calls: Mapping[int, Callable[[], T]], *, within_s: float) -> dict[int, T | BreakglassError]:
    """Return each answer, or why there is none: a bug of one provider, or its silence, stops no other.

    The threads are daemons: one that hangs holds up neither the others nor the end of the process, which a
    thread pool of the standard library would (both its ``with`` and the interpreter's exit join it).
    """
    answers: dict[int, T | BreakglassError] = {}

    def ask(n: int, call: Callable[[], T]) -> None:
        try:
            answers[n] = call()
        except BreakglassError as error:
            answers[n] = error
        except Exception as error:  # noqa: BLE001 - whatever it was, this provider gave no answer
            answers[n] = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in calls.items()]
    for thread in threads:
        thread.start()
    until_s = time.monotonic() + within_s
    for thread in threads:
        thread.join(max(0.0, until_s - time.monotonic()))
    found = dict(answers)  # one that answers from now on is late
    silence = ProviderError(f"no answer within {within_s:.0f} s")
    return {n: found.get(n, silence) for n in calls}
