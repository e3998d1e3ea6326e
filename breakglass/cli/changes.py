"""Reads the flags of `roster propose` into changes."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from breakglass.errors import UsageError

if TYPE_CHECKING:
    from breakglass.model.roster import Role
    from breakglass.usecases.roster_changes import Change

Kind = TypeVar("Kind", bound=Enum)
MAX_KEY_BYTES = 16 * 1024


def changes_of(  # noqa: PLR0913 - each is a kind of change
    *,
    add: Sequence[str],
    roles: Sequence[str],
    store: str,
    remove: Sequence[str],
    revoke: Sequence[str],
    executors: Sequence[str],
    remove_executors: Sequence[str],
    known: frozenset[str],
) -> tuple[Change, ...]:
    """Return the changes in the order: revoke, remove, add, roles, executors.

    Raises:
        UsageError: a flag is not NAME=VALUE, or names a role or a store that does not exist.
    """
    from breakglass.model.roster import KeyStore
    from breakglass.usecases import roster_changes as changes

    given = dict(_pair(text, "--role") for text in roles)
    place = _one_of(KeyStore, store, "--store") if store else None
    added = [_pair(text, "--add") for text in add]
    new = {name for name, _ in added} - known
    began = set(new)
    found: list[Change] = [changes.RevokeKey(fingerprint) for fingerprint in revoke]
    found += [changes.RemovePerson(name) for name in remove]
    for name, key in added:
        of_new = _roles(given.get(name, "")) if name in new else ()
        found.append(changes.AddKey(name, _key(key), of_new, place))
        new.discard(name)
    found += [changes.SetRoles(name, _roles(text)) for name, text in given.items() if name not in began]
    found += [
        changes.SetExecutor(name, _key(key)) for name, key in (_pair(one, "--executor") for one in executors)
    ]
    found += [changes.RemoveExecutor(name) for name in remove_executors]
    if not found:
        raise UsageError("nothing was asked for", remedy="breakglass roster propose --help")
    return tuple(found)


def _pair(text: str, flag: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if not name or not value:
        raise UsageError(f"{flag} {text[:80]!r} is not NAME=VALUE")
    return name, value


def _roles(text: str) -> tuple[Role, ...]:
    from breakglass.model.roster import Role

    return tuple(_one_of(Role, word.strip(), "--role") for word in text.split(",")) if text else ()


def _one_of(kind: type[Kind], word: str, flag: str) -> Kind:
    try:
        return kind(word)
    except ValueError as error:
        known = ", ".join(str(member.value) for member in kind)
        raise UsageError(f"{flag}: {word[:80]!r} is none of: {known}") from error


def _key(text: str) -> str:
    """Return a public key's line: the text itself, or the first line of the .pub file that it names."""
    from breakglass.kit.files import read_file

    if " " in text.strip():
        return text.strip()
    return read_file(Path(text), max_bytes=MAX_KEY_BYTES).decode("utf-8", "replace").strip()
