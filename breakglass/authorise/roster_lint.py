"""What a roster must not be like before anybody publishes it. An empty answer means: publish.

Each complaint is about losing the two-person rule (one person counts twice) or about losing the quorum
(too few are left when one is ill), which for a stop tool is the worse of the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from breakglass.errors import NotAuthorised
from breakglass.keys.public_key import ED25519, SK_ED25519, PublicKey
from breakglass.model.roster import KeyStore, Person, Role, Roster, Rule, RuleVerb

MAX_LIFE_DAYS: Final = 60
NEEDED_RULES: Final = (RuleVerb.CONTAIN, RuleVerb.RESTORE, RuleVerb.ROSTER, RuleVerb.KIT, RuleVerb.REVOKE)
ADMIN_RULES: Final = (RuleVerb.ROSTER, RuleVerb.KIT, RuleVerb.REVOKE)
_DAY_S: Final = 86_400
_P: Final = 2**255 - 19
_ORDER_8_Y: Final = tuple(
    int.from_bytes(bytes.fromhex(text), "little")
    for text in (
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    )
)
_SMALL_ORDER: Final = frozenset(
    (y | sign << 255).to_bytes(32, "little")
    for y in (0, 1, _P - 1, _P, _P + 1, *_ORDER_8_Y)
    for sign in (0, 1)
)
"""Encodings of the Ed25519 points of small order: anybody can sign for such a key (RFC 8032, 5.1.7)."""


def lint(roster: Roster) -> tuple[str, ...]:
    """Return every complaint, each as one line."""
    return tuple(
        complaint
        for part in (_names, _keys, _log_keys, _rules, _numbers, _times)
        for complaint in part(roster)
    )


def usable_keys(person: Person, roster: Roster) -> tuple[PublicKey, ...]:
    """Return the keys of a person that count: readable, not revoked, not run out when it was issued."""
    found = []
    for entry in person.keys:
        key = _key(entry.pub)
        if key and key.fingerprint not in roster.revoked_keys and entry.not_after > roster.issued:
            found.append(key)
    return tuple(found)


def eligible(rule: Rule, roster: Roster) -> tuple[Person, ...]:
    """Return the persons who could sign under a rule."""
    return tuple(
        person
        for person in roster.operators
        if set(person.roles) & set(rule.roles) and usable_keys(person, roster)
    )


def _key(line: str) -> PublicKey | None:
    try:
        return PublicKey.parse(line)
    except NotAuthorised:
        return None


def _names(roster: Roster) -> Iterator[str]:
    people = Counter(person.person.casefold() for person in roster.operators)
    yield from (f"person {name} is listed {count} times" for name, count in people.items() if count > 1)
    executors = Counter(executor.name for executor in roster.executors)
    yield from (f"executor {name} is listed {count} times" for name, count in executors.items() if count > 1)
    if not roster.executors:
        yield "no executor is listed: nobody could run a plan"
    for person in roster.operators:
        if "/" in person.person:
            yield f"{person.person}: a person's name names a file and holds no slash"
        if not person.roles:
            yield f"{person.person} has no role"
        if not person.keys:
            yield f"{person.person} has no key"


def _keys(roster: Roster) -> Iterator[str]:
    holders: dict[bytes, str] = {}
    for person in roster.operators:
        for entry in person.keys:
            key = _key(entry.pub)
            if key is None:
                yield f"{person.person}: a key cannot be read"
                continue
            if (other := holders.get(key.blob)) is not None:
                yield f"one key twice: {key.fingerprint} is listed for {other} and for {person.person}"
            holders[key.blob] = person.person
            if key.hardware != (entry.store is KeyStore.FIDO2):
                yield f"{person.person}: {key.fingerprint} is {key.type}, said to be in {entry.store}"
            yield from (f"{person.person}: {complaint}" for complaint in _key_complaints(key))
    for executor in roster.executors:
        key = _key(executor.log_key)
        if key is not None and key.blob in holders:
            yield f"{executor.name} logs with the key of {holders[key.blob]}"


def _key_complaints(key: PublicKey) -> Iterator[str]:
    if key.hardware and not key.application.startswith("ssh:"):
        yield f"{key.fingerprint} was made for {key.application!r}, not for ssh"
    if key.type in (ED25519, SK_ED25519) and key.point in _SMALL_ORDER:
        yield f"{key.fingerprint} is no real key: anybody can sign for it"


def _log_keys(roster: Roster) -> Iterator[str]:
    keys = [(executor.name, _key(executor.log_key)) for executor in roster.executors]
    yield from (f"{name}: the log key cannot be read" for name, key in keys if key is None)
    yield from (f"{name}: a log key cannot wait for a touch" for name, key in keys if key and key.hardware)
    blobs = Counter(key.blob for _, key in keys if key)
    yield from (
        f"{name} shares its log key with another executor"
        for name, key in keys
        if key and blobs[key.blob] > 1
    )


def _rules(roster: Roster) -> Iterator[str]:
    verbs = Counter(rule.verb for rule in roster.rules)
    yield from (f"verb {verb} has {count} rules" for verb, count in verbs.items() if count > 1)
    yield from (f"verb {verb} has no rule" for verb in NEEDED_RULES if not verbs[verb])
    for rule in roster.rules:
        if not rule.roles:
            yield f"{rule.verb}: no role may sign"
        if Role.OBSERVER in rule.roles:
            yield f"{rule.verb}: an observer may not sign"
        if rule.verb in ADMIN_RULES and set(rule.roles) != {Role.ADMIN}:
            yield f"{rule.verb}: only admins may sign"
        if rule.hardware > rule.people:
            yield f"{rule.verb}: asks for {rule.hardware} hardware keys of {rule.people} persons"
        if rule.standing_max_ttl_s and rule.verb is not RuleVerb.CONTAIN:
            yield f"{rule.verb}: only contain may be signed ahead"


def _numbers(roster: Roster) -> Iterator[str]:
    for rule in roster.rules:
        persons = eligible(rule, roster)
        if len(persons) < rule.people + 1:
            yield (f"{rule.verb}: needs {rule.people} persons and one to spare; {len(persons)} could sign")
        if not rule.hardware:
            continue
        tokens = {
            person.person: sum(key.hardware for key in usable_keys(person, roster)) for person in persons
        }
        if (count := sum(1 for number in tokens.values() if number)) < rule.people + 1:
            yield f"{rule.verb}: needs {rule.people + 1} holders of hardware keys; there are {count}"
        yield from (
            f"{rule.verb}: {person} has one hardware key and none to spare"
            for person, number in tokens.items()
            if number == 1
        )


def _times(roster: Roster) -> Iterator[str]:
    life_s = roster.expires.seconds_since(roster.issued)
    if life_s <= 0:
        yield "it expires before it is issued"
    if life_s > MAX_LIFE_DAYS * _DAY_S:
        yield f"it would hold for {life_s / _DAY_S:.0f} days; at most {MAX_LIFE_DAYS}"
    if (roster.version == 1) != (roster.previous is None):
        yield "version 1, and only version 1, names no previous version"
