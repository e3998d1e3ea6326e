"""Turns Ctrl-C, SIGTERM and a closed terminal into a wish: running calls settle, the journal stays whole."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def wished_to_stop(
    told: Callable[[], None], *, needs_nobody: Callable[[], bool] = lambda: False
) -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether somebody wants this to end; `told` is called at the first wish.

    Once it `needs_nobody`, a terminal that hung up is no wish: whoever can cut the operator's connection
    must not be able to end what two people signed.
    """
    wished = threading.Event()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if wished.is_set() or (number == signal.SIGHUP and needs_nobody()):
            return
        wished.set()
        with contextlib.suppress(Exception):  # the screen may be gone, and the wish stands
            told()

    # What nohup told the program to ignore stays ignored.
    numbers = [number for number in WISHES if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield wished.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def whatever_the_screen_does(shown: AbstractContextManager[object]) -> Iterator[None]:
    """Show something while the context lasts; a screen that cannot be written changes nothing else."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            stack.enter_context(shown)
        closing = stack.pop_all()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            closing.close()


@contextmanager
def if_it_can_be_shown() -> Iterator[None]:
    """Show something that the exit code does not depend on: a pipe may be closed, a terminal gone.

    What is still to be flushed then goes nowhere, or Python would leave with a code of its own (120).
    """
    try:
        yield
    except OSError:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
