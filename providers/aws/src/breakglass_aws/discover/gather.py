"""Gathers what is the agent's, from four sources: inventory, tags, what trusts it, what it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_aws.account import Account
from breakglass_aws.caller import principal_of
from breakglass_aws.discover import tags
from breakglass_aws.discover.borrowed import assumable, friend, runs_as, workload_roles
from breakglass_aws.discover.made import UNKNOWN_START_S, Made, made_by
from breakglass_aws.discover.principals import (
    Principal,
    every_principal,
    explained,
    new_friends,
    old_friends,
    unexplained,
)
from breakglass_aws.discover.sharers import sharers
from breakglass_aws.found import Found, Known
from breakglass_aws.inventory import SETTINGS

T = TypeVar("T")
TRUSTS_IT = "made since the harm began, and trusts the agent"


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is the agent's, and what must be said of how it was found."""

    found: Found
    proposed: Proposed


@dataclass(slots=True)
class _Gathering:
    names: dict[str, list[str]]
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)

    def add(self, key: str, name: str, origin: str) -> None:
        """Count a name as the agent's; one that is known keeps its first origin."""
        known = self.names.setdefault(key, [])
        if name not in known and not any(_same(key, name, other) for other in known):
            known.append(name)
            self.origins[key, name] = origin

    def doubt(self, tagged_by_it: Mapping[str, str]) -> None:
        """Say of what counts as the agent's by its tag that the agent tagged it: it may be an innocent's."""
        for (key, name), origin in self.origins.items():
            when = tagged_by_it.get(name.rpartition("/")[2])
            if when and origin == tags.ORIGIN:
                self.origins[key, name] = f"{tags.ORIGIN} by the agent itself at {when}: look whose it is"

    def attempt(self, look: Callable[[], T], otherwise: T) -> T:
        """Return what was read, or else what is safe, with the failure noted."""
        try:
            return look()
        except ProviderError as error:
            self.incomplete.append(str(error)[:500])
            return otherwise

    def found(self) -> Found:
        """Return what was gathered so far."""
        return Found({key: tuple(names) for key, names in self.names.items()}, dict(self.origins))


def gather(account: Account) -> Gathered:
    """Gather; whatever cannot be listed is noted and the rest goes on."""
    names = {key.name: list(account.settings.texts(key.name)) for key in SETTINGS}
    gathering = _Gathering(names)
    nothing: tags.Tagged = ((), ())
    tagged, unknown = gathering.attempt(lambda: tags.tagged(account), nothing)
    for key, name in tagged:
        gathering.add(key, name, tags.ORIGIN)
    nobody: Sequence[Principal] = ()
    principals = gathering.attempt(lambda: every_principal(account), nobody)
    for principal in principals:
        if principal.tagged:
            gathering.add(principal.key, principal.name, tags.ORIGIN)
    made = gathering.attempt(lambda: made_by(account, gathering.found()), Made())
    gathering.incomplete += made.incomplete
    gathering.doubt(made.tagged_by_it)
    for key, name, origin in made.resources:
        gathering.add(key, name, origin)
    since = account.connection.since or account.connection.clock.now().plus(-UNKNOWN_START_S)
    for role in new_friends(principals, _own(gathering, principals), since):
        gathering.add("roles", role.name, TRUSTS_IT)
    users = sharers(account, gathering.found(), principals, account.connection.since)
    gathering.incomplete += users.failed
    own = _own(gathering, principals)
    known = (*own, *explained(made.by_others, principals, own, since))
    appeared = unexplained(principals, known, since)
    strangers = gathering.attempt(lambda: _but_the_executor(account, appeared), appeared)
    doors = [*made.doors, *(_door(one) for one in strangers)]
    doors += _borrowed(account, gathering, principals)
    not_touched = [
        *made.not_touched,
        *(NotTouched(arn, f"{tags.ORIGIN}, and no action is about such a resource") for arn in unknown),
    ]
    return Gathered(
        replace(
            gathering.found(),
            shared=users.others,
            late_sharers=users.late,
            renamed=made.renamed,
            late_credentials=made.late_credentials,
            known={one.short: Known(one.arn, one.id, one.path) for one in principals},
        ),
        Proposed((), tuple(doors), tuple(not_touched), tuple(gathering.incomplete)),
    )


def _own(gathering: _Gathering, principals: Sequence[Principal]) -> tuple[str, ...]:
    """Return the ARNs of the agent's users and roles that exist."""
    return tuple(
        one.arn
        for one in principals
        if any(_same(one.key, one.name, name) for name in gathering.names.get(one.key, ()))
    )


def _same(key: str, one: str, other: str) -> bool:
    """Return whether two names mean one thing: a role may be named with its path."""
    if key in {"roles", "users"}:
        return one.rpartition("/")[2] == other.rpartition("/")[2]
    return one == other


def _but_the_executor(account: Account, strangers: Sequence[Principal]) -> Sequence[Principal]:
    """Return strangers without the executor itself: nobody shall be told to stop that.

    Raises:
        ProviderError: who it is cannot be asked.
    """
    if not strangers:
        return ()
    arn = str(account.call("sts", "get_caller_identity")["Arn"])
    kind, _, path = (principal_of(arn) or "").rpartition(":")[2].partition("/")
    return [one for one in strangers if one.short != f"{kind}/{path.rpartition('/')[2]}"]


def _door(one: Principal) -> ProposedDoor:
    """Return the door of somebody who appeared since the harm began, and nobody yet knows by whom."""
    reason = f"made at {one.created}, after the harm began; CloudTrail does not say yet by whom"
    remedy = "look who made it; name it in the inventory if it is the agent's, and stop again"
    return ProposedDoor(
        Door(DoorKind.CAN_MINT, f"{one.short} in aws", reason, remedy, "", (), Verdict.UNKNOWN)
    )


def _borrowed(
    account: Account, gathering: _Gathering, principals: Sequence[Principal]
) -> Sequence[ProposedDoor]:
    """Return the doors of roles that are not the agent's and of which it may hold sessions, each once."""
    own = _own(gathering, principals)
    nobody: tuple[Sequence[Principal], Sequence[str]] = ((), ())
    by_account, unread = gathering.attempt(lambda: assumable(account, own, principals), nobody)
    gathering.incomplete += unread
    friends = [*old_friends(principals, own), *by_account]
    doors = [friend(one) for one in friends if not _named(gathering, one.name)]
    found = gathering.found()
    runs: list[tuple[str, str]] = []
    runs = gathering.attempt(lambda: list(workload_roles(account, found, principals)), runs)
    doors += [runs_as(role, what) for role, what in runs if not _named(gathering, role)]
    return list({one.door.name: one for one in reversed(doors)}.values())


def _named(gathering: _Gathering, role: str) -> bool:
    """Return whether the inventory itself says which sessions of a role are the agent's."""
    return any(
        item.rpartition("/")[0].rpartition("/")[2] == role
        and ("role_sessions", item) not in gathering.origins
        for item in gathering.names.get("role_sessions", ())
    )
