"""What commands that sign share: which request, which person, which key, and the screen before it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from breakglass.cli.session import Session
from breakglass.errors import NotAuthorised, UsageError
from breakglass.report.typeset import Row, Tone, rows

if TYPE_CHECKING:
    from breakglass.keys.signer import Signer
    from breakglass.kit.model import Kit
    from breakglass.model.roster import Person, Roster
    from breakglass.usecases.approve import Request

MAX_PASTED_BYTES = 16 * 1024 * 1024 + 1


def request_of(here: Session, text: str) -> Request:
    """Read the request that the person names; ``-`` is standard input."""
    from breakglass.cli.ask import pasted
    from breakglass.incident.folder import home_folder
    from breakglass.usecases.approve import read_request

    kit = kit_if_any(here)
    given = pasted(here, sys.stdin.buffer, max_bytes=MAX_PASTED_BYTES) if text == "-" else b""
    exchange = kit.settings.exchange if kit is not None else None
    request = read_request(text, exchange=exchange, home=home_folder(here.environ), pasted=given)
    now = here.clock.now()
    if now >= request.plan.expires:
        raise NotAuthorised(
            f"this request ended at {request.plan.expires}", remedy="ask the first operator for a new plan"
        )
    return request


def kit_if_any(here: Session) -> Kit | None:
    """Return the kit that is named, or lies at the system's place; None where there is neither."""
    from breakglass.cli.kits import kit_folder, kit_of

    if here.environ.get("BREAKGLASS_KIT") or kit_folder(here).is_dir():
        return kit_of(here)
    return None


def roster_of(here: Session, request: Request) -> Roster:
    """Return the roster that says which key is whose: the kit's, else the one beside the plan.

    It is not trusted for anything else: whether a signature counts is decided where the plan runs.

    Raises:
        UsageError: there is neither.
    """
    from breakglass.journal.durable import read_regular
    from breakglass.model.roster import MAX_ROSTER_BYTES, Roster

    kit = kit_if_any(here)
    if kit is not None:
        return kit.roster
    beside = request.folder / "roster.json" if request.folder is not None else None
    if beside is None or not beside.is_file():
        raise UsageError(
            "there is no kit here, so nobody knows which key is yours",
            remedy="set BREAKGLASS_KIT to the kit's folder",
        )
    return Roster.from_bytes(read_regular(beside, max_bytes=MAX_ROSTER_BYTES), where=str(beside))


def person_and_key(here: Session, roster: Roster, name: str, key_file: Path | None) -> tuple[Person, Signer]:
    """Find who signs, and with what. Raises UsageError, SignaturesMissing or NotAuthorised."""
    from breakglass.cli.ask import passphrase
    from breakglass.keys.find import find_signer, warnings
    from breakglass.usecases.approve import person_named

    person = person_named(roster, name or None, _keys_here(here, key_file))
    for line in warnings(here.environ):
        here.say(*rows(line, rest="  ", tone=Tone.UNKNOWN))
    return person, find_signer(person.keys, here.environ, key_file, passphrase)


def _keys_here(here: Session, key_file: Path | None) -> tuple[str, ...]:
    """Return the public keys that could sign here, to tell who is at the keyboard."""
    from breakglass.errors import BreakglassError
    from breakglass.keys.key_file import FileSigner
    from breakglass.keys.ssh_agent import agent_signers

    if key_file is not None:
        return (FileSigner(key_file, lambda: b"").public_line,)
    try:
        socket = here.environ.get("SSH_AUTH_SOCK", "")
        return tuple(signer.public_line for signer in agent_signers(socket)) if socket else ()
    except BreakglassError:
        return ()


def show_request(here: Session, request: Request, note: str = "") -> None:
    """Show what will be signed, from the very bytes."""
    from breakglass.cli.plan_view import plan_rows

    here.say(*plan_rows(request.plan, digest=request.digest, words=request.words), Row())
    if note:
        here.say(*rows(note, tone=Tone.UNKNOWN))
