"""Decides what was let in since the harm began, from the audit log: keys by anybody, grants by the agent.

A key that was enabled since was off before, whoever enabled it. A grant that somebody else added is theirs to
judge. Whom the agent let in since counts as the agent (it is a hand of its): members of its grants, but not
people whom it lets look alone; accounts that it opened by a grant or a key, or that work of its acts as; of a
pool whose providers it wrote everybody. Where it let in many whom no entry names (a group), every caller is a
doubt. What was there before is as it was if the agent itself took it and gave it again; not if a hand took
it: the agent may have marked a responder as its hand.
The executor's own writes are stops and restores.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from breakglass.canon import Json
from breakglass.clock import Instant
from breakglass_gcp.audit_events import Change, Event
from breakglass_gcp.discover.audit import pool_mark
from breakglass_gcp.discover.made import texts
from breakglass_gcp.discover.strangers import HMAC, KEYS, POLICIES
from breakglass_gcp.settings import looks_like_account
from breakglass_gcp.since_harm import Added, SinceHarm, short_name

_VERBS = {"upload": "uploaded", "enable": "enabled", "update": "set active"}
"""When a key was made, the key itself tells."""
_LOOKS = re.compile(r"roles/(browser|([\w.]+\.)?(v|\w+V)iewer|[\w.]+\.(r|\w+R)(eader|eviewer))")
"""Roles of Google's that only look ("IAM basic and predefined roles reference"); a custom one may do all."""
_ACTING = frozenset({"createserviceaccount", "setserviceaccount"})
_ACTS_AS = frozenset({"email", "serviceaccount", "serviceaccountemail", "serviceaccountname"})
_POOL = re.compile(r"projects/[^/]+/locations/global/workloadIdentityPools/[^/]+")
_NAMED = ("user:", "serviceAccount:", "principal://")
"""Members whom an entry names as the policy does; a set of a workload pool is told by its pool."""


@dataclass(slots=True)
class _Reading:
    is_agents: Callable[[Event], bool]
    me: str
    keys: dict[str, str] = field(default_factory=dict)
    grants: dict[tuple[str, str], Added] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    untold: set[str] = field(default_factory=set)
    taken: dict[tuple[str, str], bool] = field(default_factory=dict)
    """What was there when the harm began and was taken away since -> whether the agent itself did that."""
    hands: dict[str, str] = field(default_factory=dict)
    pools: set[str] = field(default_factory=set)
    open: dict[str, str] = field(default_factory=dict)

    def is_own(self, event: Event) -> bool:
        """Return whether the agent or a hand of its did something, itself or through somebody else."""
        names = [plain(one) for one in (event.by, *event.via)]
        return self.is_agents(event) or any(
            one in self.hands or pool_mark(one) in self.pools for one in names
        )

    def opens(self, event: Event, name: str, what: str) -> None:
        """Count somebody as a hand, unless it is the agent itself; what the executor does is a doubt then."""
        who = plain(name)
        if who == self.me:
            self.open.setdefault(f"the executor {who}", f"{what}, {_by(event)}")
        elif not self.is_agents(replace(event, by=who, via=())):
            self.hands.setdefault(who, f"{what}, {_by(event)}")
            if who.startswith("principalSet://"):
                self.pools.add(pool_mark(who))


def let_in(
    events: Sequence[Event],
    since: Instant | None,
    is_agents: Callable[[Event], bool],
    me: str,
    doubts: Iterable[str],
) -> SinceHarm:
    """Return what was let in, of everybody's events, newest first; `doubts`: what of the log was not read."""
    if since is None:
        return SinceHarm(doubts=("nobody said when the harm began",))
    seen = _Reading(is_agents, me, doubts=list(doubts))
    for event in reversed(events):
        if _before(event.at, since):
            continue
        own = seen.is_own(event)
        if me and event.by == me and not own and f"the executor {me}" not in seen.open:
            continue
        if own:
            _opened(seen, event)
        _key(seen, event)
        if event.verb in POLICIES:
            if own and not event.changes:
                seen.untold.add(short_name(event.resource))
            for change in event.changes:
                _grant(seen, event, change, own=own)
    return SinceHarm(
        seen.keys,
        seen.grants,
        tuple(dict.fromkeys(seen.doubts)),
        frozenset(seen.untold),
        seen.hands,
        tuple(f"{who}: {what}" for who, what in seen.open.items()),
    )


def plain(name: str) -> str:
    """Return a caller's or member's name as both have it: without its kind; addresses know no case."""
    bare = name.removeprefix("deleted:").partition("?uid=")[0]
    if "://" in bare:
        return bare
    return bare.rpartition(":")[2].lower()


def _by(event: Event) -> str:
    return f"by {event.by[:200]} at {event.at}"


def _before(at: str, since: Instant) -> bool:
    """Return whether something was certainly before a moment."""
    try:
        return datetime.fromisoformat(at).timestamp() * 1000 < since.epoch_ms
    except (ValueError, OverflowError):
        return False


def _key(seen: _Reading, event: Event) -> None:
    """Note a key that was uploaded or enabled."""
    what = next((words for start, words in _VERBS.items() if event.verb.startswith(start)), "")
    if not what:
        return
    if HMAC.fullmatch(event.method.lower()):
        told = _part(event.response, "metadata") or event.response
        if "INACTIVE" in (texts(told, ("state",)), texts(event.request, ("state",))):
            return
        key = texts(told, ("accessId",)) or event.resource.rpartition("/")[2]
    elif event.verb in KEYS:
        names = (texts(event.response, ("name",)), texts(event.request, ("name",)), event.resource)
        key = next(filter(None, (one.partition("/keys/")[2] for one in names)), "")
    else:
        return
    if not key:
        seen.doubts.append(f"an entry of the audit log names no key ({event.method[:100]} at {event.at})")
        return
    seen.keys[key] = f"{what} since the harm began, by {event.by[:200]} at {event.at}"


def _opened(seen: _Reading, event: Event) -> None:
    """Note whom the agent may act as by what it made: accounts of keys and of work, subjects of a pool."""
    if HMAC.fullmatch(event.method.lower()):
        told = (event.request, _part(event.response, "metadata"), event.response)
        owner = next(filter(None, (texts(one, ("serviceAccountEmail",)) for one in told)), event.account)
    elif event.verb in KEYS:
        owner = _account(event)
    elif "workloadidentitypool" in event.verb:
        names = (texts(event.response, ("name",)), *_names(event.request), event.resource)
        if found := next(filter(None, map(_POOL.search, names)), None):
            seen.opens(event, f"principalSet://iam.googleapis.com/{found[0]}/*", "its providers")
        return
    else:
        if "serviceaccount" not in event.verb or event.verb in _ACTING:
            for email in dict.fromkeys((*_acting(event.request), *_acting(event.response))):
                seen.opens(event, email, f"{event.verb[:100]} of what acts as it")
        return
    if "@" in owner:
        seen.opens(event, owner, "a key of it")
    else:
        seen.open.setdefault(f"a key of the account {owner or '(not told)'}", _by(event))


def _names(request: Mapping[str, Json]) -> Iterator[str]:
    """Yield the full names in a request: what it changes, or where it makes something."""
    for one in request.values():
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            yield texts(one, ("name",))


def _acting(part: Json) -> Iterator[str]:
    """Yield the accounts that work or a trigger acts as, wherever its service writes them."""
    if isinstance(part, list):
        for one in part:
            yield from _acting(one)
    elif isinstance(part, Mapping):
        for key, value in part.items():
            email = value.rpartition("/")[2] if isinstance(value, str) else ""
            if key.replace("_", "").lower() in _ACTS_AS and looks_like_account(email):
                yield email
            elif not isinstance(value, str):
                yield from _acting(value)


def _account(event: Event) -> str:
    """Return the address of the account that an entry is about; its number where that alone is told."""
    names = (texts(event.response, ("name",)), texts(event.request, ("name",)), event.resource)
    told = [one.partition("serviceAccounts/")[2].partition("/")[0] for one in names]
    all_ = [one for one in (*told, event.account) if one]
    return next((one for one in all_ if "@" in one), all_[0] if all_ else "")


def _grant(seen: _Reading, event: Event, change: Change, *, own: bool) -> None:
    """Note a grant that was not there when the harm began."""
    one = (short_name(event.resource), change.grant.key)
    held = seen.grants.get(one)
    if not change.gained:
        if held is None:
            seen.taken[one] = seen.is_agents(event)
        elif not own:  # a person took it away again
            del seen.grants[one]
    elif own:
        if seen.taken.get(one):  # the agent's own again what it had taken: as it was, and nobody new
            del seen.taken[one]
        else:
            seen.grants[one] = Added(event.by, event.at, own=True)
            _lets_in(seen, event, change)
    elif one in seen.taken and not seen.open:
        del seen.taken[one]
    elif held is None:
        seen.grants[one] = Added(event.by, event.at, own=False, doubt=bool(seen.open))


def _lets_in(seen: _Reading, event: Event, change: Change) -> None:
    """Note whom a grant of the agent's lets in: its member, and the account whose policy it is."""
    role, member = change.grant.role, change.grant.member
    looks, what = _LOOKS.fullmatch(role) is not None, f"{role} on {event.resource[:200]}"
    if not looks and "/serviceAccounts/" in event.resource:
        account = _account(event)
        if "@" in account:
            seen.opens(event, account, f"{what} for {member[:200]}")
        else:
            seen.open.setdefault(f"the account {account}", f"{what} for {member[:200]}, {_by(event)}")
    if plain(member) == seen.me:
        return
    if member.startswith(_NAMED) or (member.startswith("principalSet://") and pool_mark(member)):
        if not (looks and member.startswith("user:")):
            seen.opens(event, member, what)
    elif not looks and not member.startswith("deleted:"):
        seen.open.setdefault(member[:200], f"{what}, {_by(event)}")


def _part(part: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    found = part.get(name)
    return found if isinstance(found, Mapping) else {}
