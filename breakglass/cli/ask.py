"""Asks a person on the terminal, and nobody where there is none: a name to type, a passphrase."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from breakglass.cli.session import Session
from breakglass.errors import NotAuthorised, SignaturesMissing
from breakglass.report.typeset import Row, Tone, rows

TERMINAL = Path("/dev/tty")
TRIES = 3
PASTE_PAUSE_S = 0.3
"""After a line break nothing more comes for so long: the paste is over."""


@contextmanager
def keyboard() -> Iterator[TextIO]:
    """Open the terminal's keyboard, also where stdin carries the plan.

    Raises:
        SignaturesMissing: there is no terminal, so nobody can be asked.
    """
    if sys.stdin.isatty():
        yield sys.stdin
        return
    try:
        stream = TERMINAL.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise SignaturesMissing(
            "there is no terminal, so nobody can be asked", remedy="--yes skips the typed name"
        ) from error
    with stream:
        yield stream


def typed_name(here: Session, agent: str, person: str) -> None:
    """Let the person type the agent's name.

    Raises:
        NotAuthorised: another name was typed, or nothing.
        SignaturesMissing: there is no terminal.
    """
    with keyboard() as stream:
        for _ in range(TRIES):
            prompt(here, f"Type the agent's name to sign as {person}: ")
            line = stream.readline()
            if not line:
                break
            if line.strip() == agent:
                return
            here.say(*rows(f"that is not {agent}", tone=Tone.BAD))
    raise NotAuthorised("the agent's name was not typed, so nothing was signed")


def pasted(here: Session, stream: BinaryIO, *, max_bytes: int) -> bytes:
    """Read what is piped to the program, or what is pasted at a terminal up to the Enter key.

    A terminal that edits lines would cut one off after 4095 bytes (termios(3), canonical mode), and a
    request may be longer; so the editing is switched off meanwhile.
    """
    if not stream.isatty():
        return stream.read(max_bytes)
    import os
    import select
    import termios

    handle = stream.fileno()
    before = termios.tcgetattr(handle)
    raw = termios.tcgetattr(handle)
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(handle, termios.TCSANOW, raw)
    found = b""
    try:
        here.say(Row("Paste it (it is not shown), then Enter:"))
        while len(found) < max_bytes:
            data = os.read(handle, 65_536)
            found += data
            over = not data or b"\x04" in data or found.endswith(b"\n")
            if over and not select.select([handle], [], [], PASTE_PAUSE_S)[0]:
                break
    finally:
        termios.tcsetattr(handle, termios.TCSANOW, before)
    return found.replace(b"\x04", b"")


def passphrase(question: str) -> bytes:
    """Ask for a passphrase without showing it.

    Raises:
        SignaturesMissing: there is no terminal.
    """
    from getpass import GetPassWarning, getpass
    from warnings import catch_warnings, simplefilter

    with catch_warnings():
        simplefilter("error", GetPassWarning)  # it would show what is typed
        try:
            return getpass(question).encode()
        except (GetPassWarning, EOFError, OSError) as error:
            raise SignaturesMissing(
                "there is no terminal to ask for a passphrase",
                remedy="load the key into an ssh-agent: ssh-add -c FILE",
            ) from error


def prompt(here: Session, text: str) -> None:
    """Write a question without a line break after it."""
    from breakglass.report.typeset import visible

    here.talk.raw(visible(text).encode("utf-8", "backslashreplace"))
