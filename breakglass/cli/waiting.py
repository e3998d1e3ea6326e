"""What the first operator sees while waiting for the second: the request, who signed, who refused.

A refusal is shown and recorded but ends nothing: one person must not be able to veto a stop.
"""

from __future__ import annotations

import os
import select
import shlex
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from breakglass.cli.session import Session
from breakglass.errors import BreakglassError
from breakglass.report.typeset import Row, Tone, command, rows

if TYPE_CHECKING:
    from breakglass.authorise.counting import QuorumVerdict
    from breakglass.authorise.rejection import Rejection
    from breakglass.model.plan import Plan

LOOK_EVERY_S = 0.2
PASTE_PREFIX = "bg1"


def request_rows(words: Sequence[str], request: str | None, place: str) -> tuple[Row, ...]:
    """Return the screen that asks for the second signature."""
    found = [
        Row(),
        Row("Read these words to the second operator:"),
        Row("    " + "  ".join(words), Tone.HEAD),
        Row(),
        *command(f"breakglass approve {shlex.quote(place)}", first="They run:  "),
    ]
    if request is None:
        found += rows("it is too long to paste: send them the file plan.json", first=" " * 11)
    else:
        found += [Row("or:        breakglass approve -     and paste this line there:"), Row(request)]
    found += [Row(), *rows("An approval that comes back as a string (bg1s...) can be pasted here.")]
    return tuple(found)


class Told:
    """Says who signed and who refused, each once."""

    def __init__(self, here: Session, plan: Plan) -> None:
        """Begin with nothing said."""
        self._here = here
        self._plan = plan
        self._said: set[str] = set()

    def __call__(self, verdict: QuorumVerdict, refusals: Sequence[Rejection]) -> None:
        """Say what is new."""
        for number, signed in enumerate(verdict.signed, 1):
            left = max(0, round(self._plan.expires.seconds_since(self._here.clock.now())))
            key = f"{signed.fingerprint}, hardware" if signed.hardware else signed.fingerprint
            text = f"Signed {number} of {verdict.needed}: {signed.person} ({key})"
            self._say(f"{text}  expires in {left // 60}:{left % 60:02d}", signed.person, Tone.GOOD)
        for name, reason in verdict.rejected:
            self._say(f"not counted: {name}: {reason}", f"{name}: {reason}", Tone.BAD)
        for refusal in refusals:
            self._say(f"REFUSED by {refusal.person}: {refusal.why}", f"no {refusal.person}", Tone.BAD)

    def _say(self, text: str, once: str, tone: Tone) -> None:
        if once not in self._said:
            self._said.add(once)
            self._here.say(*rows(text, rest="  ", tone=tone))


@contextmanager
def pasting(here: Session, accept: Callable[[str], str]) -> Iterator[None]:
    """Take approvals that are pasted at the terminal while the context lasts."""
    over = threading.Event()
    thread = threading.Thread(target=_take, args=(here, accept, over), name="pasted approvals")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _take(here: Session, accept: Callable[[str], str], over: threading.Event) -> None:
    """Read lines; a string that a chat program broke comes in pieces: each is tried with those before it."""
    pasted, line = "", b""
    while not over.is_set():
        ready, _, _ = select.select([sys.stdin], [], [], LOOK_EVERY_S)
        if not ready:
            continue
        data = os.read(sys.stdin.fileno(), 65_536)
        if not data:
            return
        *lines, line = (line + data).split(b"\n")
        for piece in lines:
            text = piece.decode("utf-8", "replace").strip()
            if not text:
                continue
            pasted = text if text.startswith(PASTE_PREFIX) else pasted + text
            try:
                person = accept(pasted)
            except BreakglassError as error:
                here.say(*rows(str(error), rest="  ", tone=Tone.BAD))
            else:
                pasted = ""
                here.say(*rows(f"took the approval of {person}"))
