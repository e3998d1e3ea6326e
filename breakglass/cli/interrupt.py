"""Turns Ctrl-C, SIGTERM and a closed terminal into a wish: running calls settle, the journal stays whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def wished_to_stop(told: Callable[[], None]) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether somebody wants this to end; `told` is called at the first wish."""
    wished = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not wished.is_set():
            wished.set()
            told()

    # What nohup told the program to ignore stays ignored.
    numbers = [number for number in WISHES if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield wished.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
