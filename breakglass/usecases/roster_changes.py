"""The changes that a proposal may make to a roster, each a value, applied purely."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from breakglass.clock import Instant
from breakglass.errors import UsageError
from breakglass.keys.public_key import PublicKey
from breakglass.model.roster import ExecutorKey, KeyStore, OperatorKey, Person, Role, Roster, Rule

KEY_DAYS: Final = 365
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class AddKey:
    """Enrol a person with a key, or give one who is enrolled another."""

    person: str
    pub: str
    roles: tuple[Role, ...] = ()
    """Of somebody new; empty for one who is enrolled."""
    store: KeyStore | None = None
    """None: a FIDO key is in a token, any other in an ssh-agent."""
    not_after: Instant | None = None
    """None: one year from now."""


@dataclass(frozen=True, slots=True)
class SetRoles:
    """Give an enrolled person these roles and no others."""

    person: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class RemovePerson:
    """Take a person off the roster, and never count that person's keys again."""

    person: str


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Never count a key again, by its fingerprint; it need not be on the roster."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class SetExecutor:
    """Enrol an executor, or give one another log key."""

    name: str
    log_key: str


@dataclass(frozen=True, slots=True)
class RemoveExecutor:
    """Take an executor off the roster."""

    name: str


@dataclass(frozen=True, slots=True)
class SetRule:
    """Replace the rule of a verb."""

    rule: Rule


Change = AddKey | SetRoles | RemovePerson | RevokeKey | SetExecutor | RemoveExecutor | SetRule


def apply(roster: Roster, changes: Sequence[Change], now: Instant) -> Roster:
    """Return the roster with the changes made, one after another.

    Raises:
        UsageError: a change names somebody or something that is not there.
        NotAuthorised: a public key is not one that breakglass accepts.
    """
    for change in changes:
        roster = _apply(roster, change, now)
    return roster


def _apply(roster: Roster, change: Change, now: Instant) -> Roster:
    match change:
        case AddKey():
            return _add_key(roster, change, now)
        case SetRoles(person, roles):
            found = dataclasses.replace(_person(roster, person), roles=roles)
            return _with_person(roster, found)
        case RemovePerson(person):
            return _remove_person(roster, person)
        case RevokeKey(fingerprint):
            if not fingerprint.startswith("SHA256:"):
                raise UsageError(f"{fingerprint[:80]!r} is not a fingerprint like SHA256:...")
            return dataclasses.replace(roster, revoked_keys=_more(roster.revoked_keys, [fingerprint]))
        case SetExecutor(name, log_key):
            entry = ExecutorKey(name, PublicKey.parse(log_key).line)
            others = tuple(other for other in roster.executors if other.name != name)
            return dataclasses.replace(roster, executors=(*others, entry))
        case RemoveExecutor(name):
            left = tuple(other for other in roster.executors if other.name != name)
            if len(left) == len(roster.executors):
                raise UsageError(f"there is no executor {name!r} on the roster")
            return dataclasses.replace(roster, executors=left)
        case SetRule(rule):
            rules = tuple(rule if old.verb is rule.verb else old for old in roster.rules)
            return dataclasses.replace(roster, rules=rules if rule in rules else (*rules, rule))


def _add_key(roster: Roster, change: AddKey, now: Instant) -> Roster:
    key = PublicKey.parse(change.pub)
    store = change.store or (KeyStore.FIDO2 if key.hardware else KeyStore.SSH_AGENT)
    entry = OperatorKey(key.line, store, change.not_after or now.plus(KEY_DAYS * _DAY_S))
    known = next((person for person in roster.operators if person.person == change.person), None)
    if known is None:
        if not change.roles:
            raise UsageError(f"{change.person!r} is new and needs a role")
        person = Person(change.person, change.roles, (entry,))
        return dataclasses.replace(roster, operators=(*roster.operators, person))
    if change.roles and change.roles != known.roles:
        raise UsageError(f"{change.person!r} is enrolled already, with other roles")
    return _with_person(roster, dataclasses.replace(known, keys=(*known.keys, entry)))


def _remove_person(roster: Roster, name: str) -> Roster:
    keys = [PublicKey.parse(entry.pub).fingerprint for entry in _person(roster, name).keys]
    rest = tuple(other for other in roster.operators if other.person != name)
    return dataclasses.replace(roster, operators=rest, revoked_keys=_more(roster.revoked_keys, keys))


def _person(roster: Roster, name: str) -> Person:
    found = next((person for person in roster.operators if person.person == name), None)
    if found is None:
        raise UsageError(f"there is no {name!r} on the roster")
    return found


def _with_person(roster: Roster, found: Person) -> Roster:
    people = tuple(found if person.person == found.person else person for person in roster.operators)
    return dataclasses.replace(roster, operators=people)


def _more(known: tuple[str, ...], found: Sequence[str]) -> tuple[str, ...]:
    """Return the list with more on it; it only ever grows."""
    return (*known, *(item for item in found if item not in known))
