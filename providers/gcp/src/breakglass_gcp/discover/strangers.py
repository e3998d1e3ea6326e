"""Names what the agent left on what is not its own: keys, grants, pools. Each is a way back in: a door.

No step takes such a thing away from whoever owns it. So it is said before anyone signs, and stays open.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind
from breakglass.provider import ProposedDoor
from breakglass_gcp.audit_events import Event
from breakglass_gcp.discover.made import api_key, is_api_key, texts
from breakglass_gcp.minting import may_mint

KEYS = frozenset({"createserviceaccountkey", "uploadserviceaccountkey", "enableserviceaccountkey"})
HMAC = re.compile(r"storage\.(projects\.)?hmackeys\.(create|update)")
"""Cloud Storage documentation, "Cloud Audit Logs with Cloud Storage": storage.hmacKeys.create, and others."""
POLICIES = frozenset({"setiampolicy", "setiampermissions"})
"""The same document: a policy of a bucket is set by storage.setIamPermissions."""
_ACCOUNTS = frozenset({"enableserviceaccount", "undeleteserviceaccount"})
_WAYS_IN = {
    "createworkloadidentitypool": "workload identity pool",
    "updateworkloadidentitypool": "workload identity pool",
    "createworkloadidentitypoolprovider": "provider of a workload identity pool",
    "updateworkloadidentitypoolprovider": "provider of a workload identity pool",
    "undeleteworkloadidentitypool": "workload identity pool",
    "createrole": "custom role",
    "updaterole": "custom role",
}
_CHANGES: tuple[tuple[str, str, Verdict], ...] = (
    (r"run\..*\.(Update|Replace)(Service|Job|WorkerPool|Instance)$", "code", Verdict.NOT_CONTAINED),
    (r"functions\..*\.UpdateFunction$", "code", Verdict.NOT_CONTAINED),
    (r"workflows\..*\.UpdateWorkflow$", "code", Verdict.NOT_CONTAINED),
    (r"compute\..*\.set(Common)?(Instance)?Metadata$", "metadata", Verdict.NOT_CONTAINED),
    (r"compute\.instances\.setServiceAccount$", "service account", Verdict.NOT_CONTAINED),
    (r"cloudbuild\..*\.(CreateBuild|UpdateBuildTrigger)$", "build", Verdict.UNKNOWN),
    (r"(scheduler|pubsub|eventarc|tasks)\..*\.Update\w+$", "configuration", Verdict.UNKNOWN),
)
"""Method -> what of somebody else's was changed by it: what runs there may be the agent's own code."""
_PLACES = frozenset({"locations", "zones", "regions"})
_LASTING = "it stays after the stop"


def doors(
    events: Iterable[Event], own: Iterable[str], things: Iterable[str], me: str
) -> tuple[ProposedDoor, ...]:
    """Return a door for each way in that the agent left, once.

    `own` are its identities by every name that they have (address, unique id), `things` its work and triggers
    as the log names them, COLLECTION/LOCATION/NAME; `me` is the executor.
    """
    known, its = frozenset(own), frozenset(things)
    found: dict[str, ProposedDoor] = {}
    for event in events:
        ways = (*_keys(event, known), *_grants(event, known, me), *_ways(event), *_changes(event, its))
        for what, owner, verdict in ways:
            found.setdefault(what, _door(event, what, owner, verdict))
    return tuple(found.values())


def used(events: Iterable[Event], own: Iterable[str], pools: Iterable[str]) -> tuple[ProposedDoor, ...]:
    """Return a door for each account that the agent acted as by impersonation, and that is not its own."""
    known, marks = frozenset(own), tuple(f"/workloadIdentityPools/{one}/" for one in pools)
    found: dict[str, ProposedDoor] = {}
    for event in events:
        if event.via and event.by and event.by not in known and not any(one in event.by for one in marks):
            what = f"tokens of {event.by}"
            reason = (
                f"the agent acted as {event.by} at {event.at} (audit log); it may hold tokens of it, which"
                " live an hour, or twelve where that was allowed"
            )
            remedy = "name that account in the inventory if it may be disabled, and stop again"
            found.setdefault(
                what,
                ProposedDoor(
                    Door(
                        DoorKind.CAN_MINT,
                        what[:200],
                        reason[:500],
                        remedy,
                        event.by[:200],
                        (),
                        Verdict.UNKNOWN,
                    )
                ),
            )
    return tuple(found.values())


def _keys(event: Event, known: frozenset[str]) -> Iterator[tuple[str, str, Verdict]]:
    if HMAC.fullmatch(event.method.lower()):
        yield from _hmac(event, known)
    if event.verb not in KEYS | _ACCOUNTS:
        return
    full = texts(event.request, ("name",)) or event.resource
    account = full.partition("/serviceAccounts/")[2].partition("/")[0]
    if not account or account in known:
        return
    key = texts(event.response, ("name",)).rpartition("/keys/")[2] or full.partition("/keys/")[2]
    what = f"key {key} of {account}" if event.verb in KEYS else f"service account {account}, enabled"
    yield what.replace("  ", " "), account, Verdict.NOT_CONTAINED


def _hmac(event: Event, known: frozenset[str]) -> Iterator[tuple[str, str, Verdict]]:
    """Yield an HMAC key that the agent made or enabled, unless the log says that it is of its own account."""
    told = event.response.get("metadata")
    parts = (event.request, told if isinstance(told, Mapping) else event.response)
    owner = next(filter(None, (texts(one, ("serviceAccountEmail",)) for one in parts)), "")
    if owner in known:
        return
    key = texts(parts[1], ("accessId",)) or event.resource.rpartition("/")[2]
    yield (
        f"HMAC key {key} of {owner or 'an account'}",
        owner,
        (Verdict.NOT_CONTAINED if owner else Verdict.UNKNOWN),
    )


def _grants(event: Event, known: frozenset[str], me: str) -> Iterator[tuple[str, str, Verdict]]:
    if event.verb not in POLICIES:
        return
    where = event.resource.removeprefix("//")
    if not event.added:
        # A service that does not tell what changed: somebody must look.
        if not _is_own(where, known):
            yield f"policy of {where}", "", Verdict.UNKNOWN
        return
    for role, member in event.added:
        plain = member.rpartition(":")[2] if "://" not in member else member
        if plain == me:
            continue
        if plain not in known:
            yield f"{role} on {where} for {member}", member, Verdict.NOT_CONTAINED
        elif "/serviceAccounts/" in where and not _is_own(where, known):
            # The grant dies with the agent's account; what it minted by it before does not.
            account = where.rpartition("/")[2]
            yield f"tokens of {account}", account, Verdict.UNKNOWN
        elif _is_wide(where) and may_mint(role):
            # It may have taken the grant away again: what it minted as others of the project lives on.
            yield f"tokens by {role} on {where}", "", Verdict.UNKNOWN


def _is_wide(where: str) -> bool:
    """Return whether a policy is of a project, or of something above projects."""
    return where.rpartition("/")[0].rpartition("/")[2] in {"projects", "folders", "organizations"}


def _is_own(where: str, known: frozenset[str]) -> bool:
    return where.rpartition("/")[2] in known


def _ways(event: Event) -> Iterator[tuple[str, str, Verdict]]:
    if is_api_key(event) and not api_key(event):
        yield f"an API key made at {event.at}", "", Verdict.NOT_CONTAINED
    if kind := _WAYS_IN.get(event.verb):
        name = texts(event.response, ("name",)) or texts(event.request, ("name", "parent")) or event.resource
        yield f"{kind} {name.partition('/operations/')[0]}", "", Verdict.NOT_CONTAINED


def _changes(event: Event, its: frozenset[str]) -> Iterator[tuple[str, str, Verdict]]:
    for pattern, what, verdict in _CHANGES:
        if re.search(pattern, event.method):
            if placed_name(event.resource) not in its:
                yield f"{what} of {event.resource}", "", verdict
            return


def placed_name(full: str) -> str:
    """Return COLLECTION/LOCATION/NAME of a full name: a job is no service, though both may have one name."""
    pieces = full.split("/")
    kind = pieces[-2] if len(pieces) > 1 else ""
    place = next((pieces[n + 1] for n, one in enumerate(pieces[:-1]) if one in _PLACES), "global")
    return f"{kind}/{place}/{pieces[-1]}"


def _door(event: Event, what: str, owner: str, verdict: Verdict) -> ProposedDoor:
    whose = f"; {owner} is not the agent's" if owner else ""
    reason = f"the agent made or changed it at {event.at} (audit log){whose}: {_LASTING}"
    remedy = "undo it by hand, or name its owner in the inventory, and stop again"
    return ProposedDoor(
        Door(DoorKind.CAN_MINT, _line(what, 200), _line(reason, 500), remedy, _line(owner, 200), (), verdict)
    )


def _line(text: str, most: int) -> str:
    return "".join(one if "\x20" <= one < "\x7f" else "?" for one in text)[:most]


def names(doors_: Sequence[ProposedDoor]) -> frozenset[str]:
    """Return the names of those that can mint."""
    return frozenset(one.door.name for one in doors_ if one.door.kind is DoorKind.CAN_MINT)
