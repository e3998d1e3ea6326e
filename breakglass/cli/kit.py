"""breakglass kit: make, sign and check the folder that holds what was agreed in peacetime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="kit",
    help="What was agreed in peacetime: make it, sign it, check it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path | None, typer.Argument(help="The kit's folder; default: BREAKGLASS_KIT.")]


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where the kit is made; absent or empty.")],
    *,
    org: Annotated[str, typer.Option("--org", help="The organisation, e.g. example.com.")],
    person: Annotated[
        list[str],
        typer.Option("--person", help="NAME=KEY, three or more; a key or its .pub file."),
    ],
    executor: Annotated[str, typer.Option("--executor", help="NAME=KEY of the machine that runs stops.")],
    log_key: Annotated[str, typer.Option("--log-key", help="Where its log key is: a path, or ssh-agent.")],
    drill: Annotated[bool, typer.Option("--drill", help="A kit for exercises only.")] = False,
) -> None:
    """Make the draft of a kit from three or more public keys."""
    from breakglass.cli.session import session
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.kit import Enrolment, kit_init

    here = session()
    draft = kit_init(
        folder,
        org=org,
        people=[Enrolment.parse(one) for one in person],
        executor=Enrolment.parse(executor),
        log_key=log_key,
        now=here.clock.now(),
        drill=drill,
    )
    here.say(*rows(f"a draft lies in {draft.folder}; what is still missing:", tone=Tone.UNKNOWN))
    for line in draft.missing:
        here.say(*rows(line, first="  - ", rest="    "))
    here.out.raw(draft.anchor.to_bytes())


@app.command()
def sign(
    folder: Folder = None,
    *,
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
) -> None:
    """Seal the kit as it is, and sign it as an admin."""
    from breakglass.cli.kits import kit_folder
    from breakglass.cli.session import session
    from breakglass.cli.signing import person_and_key
    from breakglass.kit.load import load_kit
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.kit import kit_sign

    here = session()
    where = folder or kit_folder(here)
    roster = load_kit(where, card_or_none, draft=True).roster
    _, signer = person_and_key(here, roster, person, key)
    done = kit_sign(where, signer, card_or_none, here.clock.now())
    for line in done.resealed:
        here.say(*rows(f"sealed anew: {line}", rest="  ", tone=Tone.UNKNOWN))
    here.say(*rows(f"kit version {done.version} signed as {done.person}: {done.file}", tone=Tone.GOOD))


@app.command()
def check(
    folder: Folder = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Check everything in a kit: content, times, signatures."""
    from breakglass.cli.kits import anchor_of, kit_folder
    from breakglass.cli.session import session, show_json
    from breakglass.report.typeset import Tone, labelled, plural, rows
    from breakglass.usecases.connections import card_or_none
    from breakglass.usecases.kit import kit_check

    here = session()
    where = folder or kit_folder(here)
    found = kit_check(where, card_or_none, here.clock.now(), anchor=anchor_of(where))
    kit = found.kit
    if json:
        facts = {
            "folder": str(kit.folder),
            "version": kit.version,
            "expires": str(kit.expires),
            "agents": sorted(kit.agents),
            "kit_signers": list(found.kit_signers),
            "roster_signers": list(found.roster_signers),
            "anchor": found.anchor.roster_sha256,
            "pinned": found.pinned,
            "warnings": list(found.warnings),
        }
        show_json(here.out, facts)
        return
    agents = plural(len(kit.agents), "agent")
    here.out.show(rows(f"ok: kit version {kit.version}, {agents}, until {kit.expires}", tone=Tone.GOOD))
    here.out.show(labelled("kit", f"signed by {', '.join(found.kit_signers)}", column=8))
    here.out.show(labelled("roster", f"signed by {', '.join(found.roster_signers)}", column=8))
    for line in found.warnings:
        here.out.show(labelled("note", line, column=8))
