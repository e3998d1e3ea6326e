"""Whose key is it: from the whole SSH blob to one person of the roster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import PublicKey
from breakglass.model.roster import OperatorKey, Person, Roster


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """One key of one person."""

    person: Person
    entry: OperatorKey
    key: PublicKey


def key_holders(roster: Roster) -> Mapping[bytes, KeyHolder]:
    """Return the holder of each key, by blob.

    A line that is no key can never match a signature and is left out; the linter complains of it.

    Raises:
        NotAuthorised: one key stands there twice, so one person could count as two.
    """
    holders: dict[bytes, KeyHolder] = {}
    for person in roster.operators:
        for entry in person.keys:
            try:
                key = PublicKey.parse(entry.pub)
            except NotAuthorised:
                continue
            if (other := holders.get(key.blob)) is not None:
                raise NotAuthorised(
                    f"one key for two people: {key.fingerprint} is listed for {other.person.person}"
                    f" and for {person.person}"
                )
            holders[key.blob] = KeyHolder(person, entry, key)
    return holders
