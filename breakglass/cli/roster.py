"""breakglass roster: who may sign; propose a change, sign it, check it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from breakglass.usecases.roster_changes import Change

app = typer.Typer(
    name="roster",
    help="Who may sign: propose a change, sign it, check it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Folder = Annotated[Path | None, typer.Argument(help="The kit's folder; default: BREAKGLASS_KIT.")]
Texts = list[str]


@app.command()
def propose(  # noqa: PLR0913 - each is a kind of change
    folder: Folder = None,
    *,
    add: Annotated[Texts | None, typer.Option("--add", help="NAME=KEY or NAME=KEY.pub.")] = None,
    role: Annotated[Texts | None, typer.Option("--role", help="NAME=ROLE,ROLE.")] = None,
    store: Annotated[str, typer.Option("--store", help="Where added keys live: keyring, file, ...")] = "",
    remove: Annotated[Texts | None, typer.Option("--remove", help="NAME of a person.")] = None,
    revoke: Annotated[Texts | None, typer.Option("--revoke", help="SHA256:... of a key.")] = None,
    executor: Annotated[Texts | None, typer.Option("--executor", help="NAME=KEY of its log key.")] = None,
    remove_executor: Annotated[Texts | None, typer.Option("--remove-executor", help="NAME.")] = None,
) -> None:
    """Write the next version of the roster into a kit."""
    from breakglass.cli.changes import changes_of
    from breakglass.cli.kits import kit_folder
    from breakglass.cli.session import session
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.roster import propose as write

    here = session()
    where = folder or kit_folder(here)
    wanted: Sequence[Change] = changes_of(
        add=add or [],
        roles=role or [],
        store=store,
        remove=remove or [],
        revoke=revoke or [],
        executors=executor or [],
        remove_executors=remove_executor or [],
        known=_known(where),
    )
    done = write(where, wanted, here.clock.now())
    verb = "amended" if done.amended else "proposed"
    here.say(*rows(f"{verb} roster version {done.roster.version}, {done.sha256}", rest="  ", tone=Tone.GOOD))
    here.say(*rows("it counts once admins signed it: breakglass roster sign", first="  "))
    if done.anchor is not None:
        here.say(*rows("the anchor is another one now; install it again:", first="  ", tone=Tone.UNKNOWN))
        here.out.raw(done.anchor.to_bytes())


@app.command()
def sign(
    folder: Folder = None,
    *,
    person: Annotated[str, typer.Option("--as", help="Who signs; the roster's name of you.")] = "",
    key: Annotated[Path | None, typer.Option("--key", help="An OpenSSH private key file.")] = None,
) -> None:
    """Sign the newest roster as an admin of it, or of the one before."""
    from breakglass.cli.kits import kit_folder
    from breakglass.cli.session import session
    from breakglass.cli.signing import person_and_key
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.kit import roster_sign
    from breakglass.usecases.roster import roster_check

    here = session()
    where = folder or kit_folder(here)
    roster = roster_check(where, here.clock.now()).roster
    _, signer = person_and_key(here, roster, person, key)
    done = roster_sign(where, signer, here.clock.now())
    here.say(*rows(f"roster version {done.version} signed as {done.person}: {done.file}", tone=Tone.GOOD))


@app.command()
def check(
    folder: Folder = None,
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Check the newest roster: its rules, its people, its signatures."""
    from breakglass.cli.kits import anchor_of, kit_folder
    from breakglass.cli.session import leave, session, show_json
    from breakglass.errors import EXIT_NOT_AUTHORISED, EXIT_USAGE
    from breakglass.report.typeset import Tone, labelled, plural, rows
    from breakglass.usecases.roster import roster_check

    here = session()
    where = folder or kit_folder(here)
    found = roster_check(where, here.clock.now(), anchor=anchor_of(where))
    roster = found.roster
    code = EXIT_USAGE if found.complaints else EXIT_NOT_AUTHORISED if found.unsigned else 0
    if json:
        facts = {
            "version": roster.version,
            "sha256": found.sha256,
            "expires": str(roster.expires),
            "people": [person.person for person in roster.operators],
            "complaints": list(found.complaints),
            "unsigned": list(found.unsigned),
            "pinned": found.pinned,
            "warnings": list(found.warnings),
        }
        show_json(here.out, facts)
        leave(code)
    people = plural(len(roster.operators), "person", "people")
    word = "ok" if code == 0 else "NOT OK"
    text = f"{word}: roster version {roster.version}, {people}, until {roster.expires}"
    here.out.show(rows(text, tone=Tone.GOOD if code == 0 else Tone.BAD))
    notes = () if found.pinned else ("no anchor is installed here: the first version vouches for itself",)
    sections = (("wrong", found.complaints), ("missing", found.unsigned), ("note", (*found.warnings, *notes)))
    for label, lines in sections:
        for line in lines:
            here.out.show(labelled(label, line, column=9))
    leave(code)


def _known(folder: Path) -> frozenset[str]:
    """Return who is on the newest roster."""
    from breakglass.cli.session import session
    from breakglass.usecases.roster import roster_check

    roster = roster_check(folder, session().clock.now()).roster
    return frozenset(person.person for person in roster.operators)
