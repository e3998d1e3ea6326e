"""Changes the roster: propose the next version, and check what is there. Signing is `roster_sign` of the kit.

A proposal is the next ``roster.json`` in a working copy of the kit. It counts for nothing until enough
admins of the version before and of itself have signed it, so the file itself needs no guard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from breakglass.authorise.roster_chain import (
    Anchor,
    RosterVersion,
    read_versions,
    require_admins,
    verify_chain,
)
from breakglass.authorise.roster_lint import eligible, lint
from breakglass.canon import sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised, UsageError
from breakglass.model.roster import Roster
from breakglass.usecases.kit_draft import publish
from breakglass.usecases.kit_signatures import judges_of
from breakglass.usecases.roster_changes import Change, apply

DAY_S: Final = 86_400
LIFE_DAYS: Final = 60
WARN_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class Proposed:
    """A version that waits for signatures."""

    roster: Roster
    sha256: str
    amended: bool
    """An unsigned draft was changed in place; False: a new version was begun."""
    anchor: Anchor | None
    """To be installed anew, where the first version was amended."""


@dataclass(frozen=True, slots=True)
class RosterCheck:
    """What is known of the newest roster in a folder."""

    roster: Roster
    sha256: str
    complaints: tuple[str, ...]
    unsigned: tuple[str, ...]
    """Why it is not trusted yet; empty: its chain holds."""
    pinned: bool
    """False: no anchor was given, and the first version vouches for itself."""
    warnings: tuple[str, ...]


def propose(folder: Path, changes: Sequence[Change], now: Instant) -> Proposed:
    """Write the next version of the roster, for `LIFE_DAYS` from now.

    Raises:
        UsageError: a change makes no sense, or a version is half signed.
        MalformedInput: the linter complains of what would come out; nothing is written.
    """
    versions = read_versions(folder)
    newest = Roster.from_bytes(versions[-1].data, where=str(folder / "roster.json"))
    amended = not _is_signed(versions)
    if amended and versions[-1].signatures:
        raise UsageError(
            f"roster version {newest.version} is signed by some and not by enough",
            where=str(folder),
            remedy=f"have it signed (breakglass roster sign), or take away roster.{newest.version}/*.sig",
        )
    roster = dataclasses.replace(
        apply(newest, changes, now),
        version=newest.version if amended else newest.version + 1,
        previous=newest.previous if amended else sha256(versions[-1].data),
        issued=now,
        expires=now.plus(LIFE_DAYS * DAY_S),
    )
    data = roster.to_bytes()
    Roster.from_bytes(data, where="the proposed roster")
    if complaints := lint(roster):
        raise MalformedInput("\n".join(complaints), where="the proposed roster")
    if not amended:
        publish(folder / f"roster.{newest.version}.json", versions[-1].data)
    publish(folder / "roster.json", data)
    return Proposed(roster, sha256(data), amended, Anchor.of(data) if roster.version == 1 else None)


def roster_check(folder: Path, now: Instant, *, anchor: Anchor | None = None) -> RosterCheck:
    """Say what the linter and the chain think of the newest roster.

    Raises:
        MalformedInput: it is not a roster.
        NotAuthorised: a version is missing.
    """
    versions = read_versions(folder)
    roster = Roster.from_bytes(versions[-1].data, where=str(folder / "roster.json"))
    unsigned: tuple[str, ...] = ()
    try:
        verify_chain(versions, anchor or Anchor.of(versions[0].data), 0, now)
    except NotAuthorised as error:
        unsigned = (error.what,)
    return RosterCheck(
        roster=roster,
        sha256=sha256(versions[-1].data),
        complaints=lint(roster),
        unsigned=unsigned,
        pinned=anchor is not None,
        warnings=_warnings(roster, now),
    )


def _is_signed(versions: Sequence[RosterVersion]) -> bool:
    """Tell whether the newest version has the admins that it needs: its own, and those of the one before."""
    newest, *_ = judges = judges_of(versions)
    try:
        for judge in judges:
            require_admins(versions[-1], newest, judge)
    except NotAuthorised:
        return False
    return True


def _warnings(roster: Roster, now: Instant) -> tuple[str, ...]:
    found = []
    if (days := roster.expires.seconds_since(now) / DAY_S) < WARN_DAYS:
        found.append(f"it ends in {max(0.0, days):.0f} days: two admins sign the next version")
    later = dataclasses.replace(roster, issued=now.plus(WARN_DAYS * DAY_S))
    for rule in roster.rules:
        then = len(eligible(rule, later))
        if then < rule.people + 1 <= len(eligible(rule, roster)):
            found.append(f"{rule.verb}: within {WARN_DAYS} days only {then} persons have a key that counts")
    return tuple(found)
