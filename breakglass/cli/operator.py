"""breakglass operator: a person's own key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from breakglass.report.typeset import Row
    from breakglass.usecases.operator import ShownKey

app = typer.Typer(
    name="operator",
    help="Your own key: make one, or see which are here.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def new(
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Make an encrypted OpenSSH key file there.")
    ] = None,
    keyring: Annotated[bool, typer.Option("--keyring", help="Make it in this desktop's keyring.")] = False,
    comment: Annotated[str, typer.Option("--comment", help="A comment in the key file.")] = "breakglass",
) -> None:
    """Make a key; its public line goes to stdout, and to the admins."""
    from breakglass.cli.ask import passphrase
    from breakglass.cli.session import session
    from breakglass.errors import UsageError
    from breakglass.report.typeset import Tone, rows
    from breakglass.usecases.operator import new_in_file, new_in_keyring

    here = session()
    if (file is None) == (not keyring):
        raise UsageError(
            "say where the key shall live: --file PATH or --keyring",
            remedy="or make a FIDO key: ssh-keygen -t ed25519-sk",
        )
    if file is not None:
        secret = passphrase(f"new passphrase of {file}: ")
        if passphrase("once more: ") != secret:
            raise UsageError("the two passphrases differ")
        made = new_in_file(file, secret, comment)
    else:
        made = new_in_keyring(here.environ)
    here.say(*rows(f"made {made.fingerprint} ({made.store.value})", tone=Tone.GOOD))
    here.say(*rows("an admin enrols it: breakglass roster propose --add NAME=KEY", first="  "))
    here.out.raw(f"{made.public_line.strip()}\n".encode())


@app.command()
def show(
    *,
    file: Annotated[Path | None, typer.Option("--file", help="Look at this key file too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Show which keys can sign here, and whose they are."""
    from breakglass.cli.session import session, show_json, show_rows
    from breakglass.cli.signing import kit_if_any
    from breakglass.report.typeset import Tone, rows
    from breakglass.shape import encode
    from breakglass.usecases.operator import show as keys_here

    here = session()
    kit = kit_if_any(here)
    found = keys_here(here.environ, kit.roster if kit is not None else None, here.clock.now(), file=file)
    if json:
        show_json(here.out, encode(found))
        return
    show_rows(here.out, [row for key in found.keys for row in _rows(key)], nothing="no key is here")
    for line in found.not_looked:
        here.say(*rows(f"not looked: {line}", rest="  ", tone=Tone.FAINT))


def _rows(key: ShownKey) -> list[Row]:
    from breakglass.report.typeset import Tone, rows

    whose = key.person or "not in the roster"
    until = f", until {key.not_after}" if key.not_after is not None else ""
    state = "" if key.usable or key.person is None else "  NOT USABLE"
    text = f"{key.fingerprint}  {key.store.value}  {whose}{until}{state}"
    return list(rows(text, rest="  ", tone=Tone.GOOD if key.usable else Tone.UNKNOWN))
