"""Finds who else uses the agent's accounts: they are cut off with them, and people must know before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass_gcp.actions import compute_reading
from breakglass_gcp.discover.made import Touched, when
from breakglass_gcp.discover.things import WORDS, Thing
from breakglass_gcp.found import Found, Identity
from breakglass_gcp.project import Project

MOST_LEVELS = 3
"""A function has a trigger, which has a subscription."""


@dataclass(frozen=True, slots=True)
class Users:
    """Other users of the agent's accounts, by e-mail address, in words."""

    before: Mapping[str, tuple[str, ...]]
    """Those that were there before the harm began: without consent the account is left alone for them."""
    late: Mapping[str, tuple[str, ...]]
    """Those made since, or changed by the agent itself: whoever may act as its own account could veto the
    stop of it by one."""


def users(
    project: Project,
    found: Found,
    things: Sequence[Thing],
    since: Instant | None,
    touched: Touched,
) -> Users:
    """Return who else uses each account of the agent's; `since` None: nobody said when the harm began."""
    known = _known(project, found.identities)
    owners = {part: one for one in things for part in one.parts}
    members = _members(project, found) if known else frozenset()
    before: dict[str, list[str]] = {}
    late: dict[str, list[str]] = {}
    for one in things:
        owner = _owner(one, owners)
        if one.name in found.of(one.key) or owner.name in found.of(owner.key):
            continue
        if one.key == "instances" and one.name in members:
            continue
        new = since is not None and one.made_ms is not None and one.made_ms >= since.epoch_ms
        new = new or bool(when(touched, one.key, one.name))
        for account in one.accounts:
            email = known.get(account.rpartition("/")[2])
            if email and (owner is one or account not in owner.accounts):
                (late if new else before).setdefault(email, []).append(f"{WORDS[one.key]} {one.name}")
    return Users(_distinct(before), _distinct(late))


def _owner(one: Thing, owners: Mapping[tuple[str, str], Thing]) -> Thing:
    """Return what a thing was made for by its service, and that in turn; itself, where nobody's."""
    for _ in range(MOST_LEVELS):
        above = owners.get((one.key, one.name))
        if above is None or above is one:
            return one
        one = above
    return one


def _members(project: Project, found: Found) -> frozenset[str]:
    """Return the instances of the agent's groups, as each group itself lists them.

    What an instance says of itself (its metadata) is no word of the group's: anybody who may change it could
    hide another's machine so. A group that does not answer has no members here, and they are then others.
    """
    names: set[str] = set()
    for group in found.of("instance_groups"):
        try:
            names.update(compute_reading.members(project, group) or ())
        except ProviderError:
            continue
    return frozenset(names)


def default_account(project: Project) -> str:
    """Return the account that work without one runs as ("Default service accounts", Compute Engine, Run)."""
    return f"{project.number}-compute@developer.gserviceaccount.com"


def _known(project: Project, identities: Mapping[str, Identity]) -> Mapping[str, str]:
    """Return e-mail addresses by all that a service may call an account: address, unique id, nothing."""
    known = {one.unique_id: one.email for one in identities.values()}
    known |= {email: email for email in identities}
    if default_account(project) in identities:
        known |= dict.fromkeys(("", "default"), default_account(project))
    return known


def _distinct(users_: Mapping[str, Iterable[str]]) -> Mapping[str, tuple[str, ...]]:
    return {email: tuple(dict.fromkeys(others)) for email, others in users_.items()}
