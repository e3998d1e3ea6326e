"""Opens the kit that the environment names, for the commands that only read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from breakglass.cli.session import Session
from breakglass.errors import UsageError
from breakglass.report.typeset import Tone, rows

if TYPE_CHECKING:
    from breakglass.authorise.roster_chain import Anchor
    from breakglass.kit.model import Kit
    from breakglass.usecases.site import Site

DEFAULT_KIT = Path("/etc/breakglass/kit")


def kit_folder(here: Session) -> Path:
    """Return where the kit lies: BREAKGLASS_KIT, else the system's place."""
    return Path(here.environ.get("BREAKGLASS_KIT") or DEFAULT_KIT)


def present(here: Session) -> Path:
    """Return where the kit lies. Raises UsageError where there is none."""
    folder = kit_folder(here)
    if not folder.is_dir():
        raise UsageError(
            "there is no kit",
            where=str(folder),
            remedy="set BREAKGLASS_KIT to the kit's folder, or make one: breakglass kit init",
        )
    return folder


def kit_of(here: Session) -> Kit:
    """Read the kit, also one that is being worked on; how it differs from its seal is said on stderr.

    Raises:
        UsageError: there is none.
        MalformedInput: something in it is wrong.
    """
    from breakglass.kit.load import load_kit
    from breakglass.usecases.connections import card_or_none

    kit = load_kit(present(here), card_or_none, draft=True)
    for line in kit.unsealed:
        here.say(*rows(f"draft: {line}", rest="  ", tone=Tone.UNKNOWN))
    return kit


def site_of(here: Session, *, drill_wanted: bool = False) -> Site:
    """Open the kit as what runs are made by; what the environment sets and we ignore is said on stderr.

    Raises:
        UsageError: there is no kit, or a variable redirects calls of a real one.
        MalformedInput: the kit does not parse.
        NotAuthorised: it is not as it was sealed.
    """
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.site import open_site

    site = open_site(present(here), here.environ, here.clock, card_or_none, drill_wanted=drill_wanted)
    if site.ignored:
        here.say(*rows(f"ignored, the plan decides: {', '.join(site.ignored)}", tone=Tone.UNKNOWN))
    return site


def anchor_of(folder: Path) -> Anchor | None:
    """Return the anchor that this machine pins for a kit; None where there is none."""
    from breakglass.authorise.roster_chain import Anchor
    from breakglass.kit.load import load_kit
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.site import REAL_ANCHOR

    drill = load_kit(folder, card_or_none, draft=True).settings.drill
    place = folder.absolute().parent / "anchor" if drill else REAL_ANCHOR
    return Anchor.read(place) if place.is_file() else None
