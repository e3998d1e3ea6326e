"""Decides which CloudTrail events are the agent's: by its identities, what those issued, and its resources.

An event tells who called in ``userIdentity`` (CloudTrail User Guide, "CloudTrail userIdentity element"); a
key or a session that the agent issued is the agent too, whatever its name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from breakglass.canon import Json
from breakglass.provider.redacting import Redactor

MAX_DEPTH = 12
_SECRET_PARTS = ("requestParameters", "responseElements", "additionalEventData", "serviceEventDetails")
_TEXT_PARTS = ("errorMessage", "userAgent")


@dataclass(frozen=True, slots=True)
class Marks:
    """What makes an event the agent's."""

    account: str
    users: frozenset[str]
    roles: frozenset[str]
    sessions: tuple[str, ...]
    """ROLE/SESSION, with ``*``."""
    resources: frozenset[str]

    def own(self, body: Mapping[str, object], keys: frozenset[str]) -> bool:
        """Return whether the agent called, as itself or with something that it issued."""
        who = mapping(body.get("userIdentity"))
        if who.get("accessKeyId") and str(who["accessKeyId"]) in keys:
            return True
        if who.get("accountId") not in (None, self.account):
            return False
        issuer = mapping(mapping(who.get("sessionContext")).get("sessionIssuer"))
        if issuer.get("type") == "Role" or who.get("type") == "AssumedRole":
            return self._as_role(str(who.get("arn") or ""), str(issuer.get("userName") or ""))
        return str(who.get("userName") or issuer.get("userName") or "") in self.users

    def touched(self, names: Iterable[str]) -> bool:
        """Return whether one of these names or ARNs is a resource of the agent's."""
        for name in names:
            if name in self.resources or name.rpartition("/")[2] in self.resources:
                return True
            if name.startswith("arn:") and name.rpartition(":")[2] in self.resources:
                return True
        return False

    def _as_role(self, arn: str, issuer: str) -> bool:
        role, _, session = arn.partition(":assumed-role/")[2].partition("/")
        role = issuer or role
        if role in self.roles:
            return True
        return any(fnmatchcase(f"{role}/{session}", pattern) for pattern in self.sessions)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of LookupEvents."""

    id: str
    body: Mapping[str, object]
    """Its record; empty where it did not parse."""
    resources: tuple[str, ...]

    @classmethod
    def of(cls, item: Mapping[str, object]) -> Event:
        """Take one item of an answer."""
        try:
            body = json.loads(str(item.get("CloudTrailEvent") or "{}"))
        except (ValueError, RecursionError):
            body = {}
        named = item.get("Resources")
        names = [mapping(one).get("ResourceName") for one in named] if isinstance(named, list) else []
        found = body if isinstance(body, dict) else {}
        return cls(str(item.get("EventId") or ""), found, tuple(str(name) for name in names if name))


def agents(events: Sequence[Event], marks: Marks) -> list[Event]:
    """Return the agent's events in their order; what it issued is followed until nothing more appears."""
    keys: frozenset[str] = frozenset()
    while True:
        own = [event for event in events if marks.own(event.body, keys)]
        issued = keys | {key for event in own for key in _issued(event.body)}
        if issued == keys:
            break
        keys = issued
    ids = {id(event) for event in own}
    return [event for event in events if id(event) in ids or _touches(event, marks)]


def redacted(event: Event, redactor: Redactor) -> Json:
    """Return the record without secrets; who called, from where, what and when stay as they are."""
    kept: dict[str, Json] = {}
    for key, value in event.body.items():
        if key in _SECRET_PARTS:
            kept[key] = redactor.value(value)
        elif key in _TEXT_PARTS:
            kept[key] = redactor.text(str(value))
        else:
            kept[key] = plain(value)
    return kept


def plain(value: object) -> Json:
    """Return the value as JSON that any line can carry."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else str(value)


def _touches(event: Event, marks: Marks) -> bool:
    return marks.touched(event.resources) or marks.touched(texts(event.body.get("requestParameters"), 0))


def _issued(body: Mapping[str, object]) -> Iterator[str]:
    """Yield the access key ids in what a call returned: of a session, or of a user's new key."""
    answer = mapping(body.get("responseElements"))
    for part in ("credentials", "accessKey"):
        key = mapping(answer.get(part)).get("accessKeyId")
        if isinstance(key, str) and key:
            yield key


def texts(value: object, depth: int) -> Iterator[str]:
    """Yield every text in a record's part; `depth` is how deep it lies itself."""
    if depth > MAX_DEPTH:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item, depth + 1)


def text_at(value: Mapping[str, object], path: Sequence[str]) -> str:
    """Return the text at a path; empty where there is none."""
    here: object = value
    for part in path:
        here = mapping(here).get(part)
    return here if isinstance(here, str) else ""


def caller(who: Mapping[str, object]) -> str:
    """Return ``root``, ``user/NAME`` or ``role/NAME``: whose rights a call had, by its ``userIdentity``."""
    if who.get("type") == "Root":
        return "root"
    issuer = mapping(mapping(who.get("sessionContext")).get("sessionIssuer"))
    kind = "role" if who.get("type") == "AssumedRole" or issuer.get("type") == "Role" else "user"
    return f"{kind}/{issuer.get('userName') or who.get('userName') or ''}"


def mapping(value: object) -> Mapping[str, object]:
    """Return a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}
