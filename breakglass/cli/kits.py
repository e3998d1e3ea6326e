"""Opens the kit that the environment names, for the commands that only read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from breakglass.cli.session import Session
from breakglass.errors import UsageError
from breakglass.report.typeset import Tone, rows

if TYPE_CHECKING:
    from breakglass.kit.model import Kit

DEFAULT_KIT = Path("/etc/breakglass/kit")


def kit_folder(here: Session) -> Path:
    """Return where the kit lies: BREAKGLASS_KIT, else the system's place."""
    return Path(here.environ.get("BREAKGLASS_KIT") or DEFAULT_KIT)


def kit_of(here: Session) -> Kit:
    """Read the kit, also one that is being worked on; how it differs from its seal is said on stderr.

    Raises:
        UsageError: there is none.
        MalformedInput: something in it is wrong.
    """
    from breakglass.kit.load import load_kit
    from breakglass.usecases.connections import card_or_none

    folder = kit_folder(here)
    if not folder.is_dir():
        raise UsageError(
            "there is no kit",
            where=str(folder),
            remedy="set BREAKGLASS_KIT to the kit's folder, or make one: breakglass kit init",
        )
    kit = load_kit(folder, card_or_none, draft=True)
    for line in kit.unsealed:
        here.say(*rows(f"draft: {line}", rest="  ", tone=Tone.UNKNOWN))
    return kit
