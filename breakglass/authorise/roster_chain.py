"""From the pinned first roster to the newest one: each version signed by the admins of two (TUF 5.3).

A folder holds the newest version as ``roster.json``, older ones as ``roster.<n>.json``, and the
signatures over version n in ``roster.<n>/<person>.sig``. Signatures are judged at the moment that the
version was issued: an admin's key that ran out later does not undo what it signed, and the newest
version's own `expires` bounds how long anything rests on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from breakglass.authorise.counting import SignatureFile, evaluate
from breakglass.canon import canonical, parse, sha256
from breakglass.clock import Instant
from breakglass.errors import MalformedInput, NotAuthorised
from breakglass.keys.sshsig import namespace
from breakglass.model.plan import MAX_SIGNATURES_BYTES
from breakglass.model.roster import MAX_ROSTER_BYTES, Roster, RuleVerb
from breakglass.shape import Digest, Name, decode, encode

MAX_VERSIONS: Final = 4096
MAX_ANCHOR_BYTES: Final = 4096
_CLOCK_SKEW_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """The digest of the first roster, installed where only root may write; all trust hangs on it."""

    v: int
    type: str
    org: Name
    roster_sha256: Digest

    @classmethod
    def of(cls, first_roster: bytes) -> Anchor:
        """Return the anchor that pins this first roster."""
        return cls(1, "anchor", Roster.from_bytes(first_roster, where="roster").org, sha256(first_roster))

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return canonical(encode(self)) + b"\n"

    @classmethod
    def read(cls, path: Path) -> Anchor:
        """Read an anchor.

        Raises:
            NotAuthorised: there is none.
            MalformedInput: it is not one.
        """
        data = _read(path, MAX_ANCHOR_BYTES)
        where = str(path)
        anchor = decode(cls, parse(data, where=where, max_bytes=MAX_ANCHOR_BYTES), where=where)
        if (anchor.v, anchor.type) != (1, "anchor"):
            raise MalformedInput(f"not an anchor of version 1: {anchor.type!r} {anchor.v!r}", where=where)
        return anchor


@dataclass(frozen=True, slots=True)
class TrustedRoster:
    """A roster whose whole chain was verified, and the digest of its bytes."""

    roster: Roster
    sha256: str

    def check(self, now: Instant) -> None:
        """Require that it is unchanged and has not run out. Raises NotAuthorised."""
        if sha256(self.roster.to_bytes()) != self.sha256:
            raise NotAuthorised("the roster is not the one that was verified")
        if now >= self.roster.expires:
            raise NotAuthorised(
                f"roster version {self.roster.version} expired at {self.roster.expires}",
                remedy="two admins sign the next version: breakglass roster propose",
            )


@dataclass(frozen=True, slots=True)
class RosterVersion:
    """The bytes of one version and the files that claim to sign it."""

    data: bytes
    signatures: tuple[tuple[str, bytes], ...]


def load_trusted(folder: Path, anchor: Anchor, highest_seen: int, now: Instant) -> TrustedRoster:
    """Read and verify all versions in a folder; return the newest.

    Raises:
        NotAuthorised: a version is missing or not signed by enough admins, rolled back, or run out.
        MalformedInput: a file is not a roster.
    """
    return verify_chain(read_versions(folder), anchor, highest_seen, now)


def read_versions(folder: Path) -> tuple[RosterVersion, ...]:
    """Return all versions of a folder, oldest first, with their signatures.

    Raises:
        NotAuthorised: a version is missing.
        MalformedInput: ``roster.json`` is not a roster.
    """
    newest = _read(folder / "roster.json", MAX_ROSTER_BYTES)
    last = Roster.from_bytes(newest, where=str(folder / "roster.json")).version
    if last > MAX_VERSIONS:
        raise NotAuthorised(f"version {last} is beyond {MAX_VERSIONS}", where=str(folder))
    found = []
    for n in range(1, last + 1):
        data = newest if n == last else _read(folder / f"roster.{n}.json", MAX_ROSTER_BYTES)
        found.append(RosterVersion(data, read_signatures(folder / f"roster.{n}")))
    return tuple(found)


def read_signatures(folder: Path) -> tuple[tuple[str, bytes], ...]:
    """Return name and bytes of each ``*.sig`` of a folder; none where there is no such folder."""
    files = []
    left = MAX_SIGNATURES_BYTES
    for path in sorted(folder.glob("*.sig")):
        data = _read(path, left)
        left -= len(data)
        files.append((path.name, data))
    return tuple(files)


def verify_chain(
    versions: Sequence[RosterVersion], anchor: Anchor, highest_seen: int, now: Instant
) -> TrustedRoster:
    """Verify each step from the anchor to the newest version.

    Raises:
        NotAuthorised: a link does not hold, the newest is older than one seen before, or has run out.
        MalformedInput: a version is not a roster.
    """
    if not versions:
        raise NotAuthorised("there is no roster")
    newest = _next(None, versions[0], anchor)
    for version in versions[1:]:
        newest = _next(newest, version, anchor)
    if newest.roster.version < highest_seen:
        raise NotAuthorised(
            f"roster version {newest.roster.version} was rolled back: version {highest_seen} was seen before"
        )
    if newest.roster.issued.seconds_since(now) > _CLOCK_SKEW_S:
        raise NotAuthorised(f"the roster was issued at {newest.roster.issued}; the clock says {now}")
    newest.check(now)
    return newest


def _next(previous: TrustedRoster | None, version: RosterVersion, anchor: Anchor) -> TrustedRoster:
    digest = sha256(version.data)
    if previous is None and digest != anchor.roster_sha256:
        raise NotAuthorised(
            f"the first roster ({digest[:8]}) is not the one that the anchor pins"
            f" ({anchor.roster_sha256[:8]})"
        )
    roster = Roster.from_bytes(version.data, where="roster")
    if roster.org != anchor.org:
        raise NotAuthorised(f"the roster is of {roster.org}, the anchor of {anchor.org}")
    if previous is None:
        if (roster.version, roster.previous) != (1, None):
            raise NotAuthorised("the first roster must be version 1 and name no previous one")
    else:
        _check_link(previous, roster)
    for judge in (roster,) if previous is None else (previous.roster, roster):
        require_admins(version, roster, judge)
    return TrustedRoster(roster, digest)


def _check_link(previous: TrustedRoster, roster: Roster) -> None:
    old = previous.roster
    if roster.version != old.version + 1:
        raise NotAuthorised(f"roster version {roster.version} does not follow version {old.version}")
    if roster.previous != previous.sha256:
        raise NotAuthorised(
            f"roster version {roster.version} does not name the digest of version {old.version}"
        )
    if roster.issued < old.issued:
        raise NotAuthorised(f"roster version {roster.version} was issued before version {old.version}")
    if not set(old.revoked_keys) <= set(roster.revoked_keys):
        raise NotAuthorised(
            f"roster version {roster.version} takes back a revocation of version {old.version}"
        )
    if roster.drill != old.drill:
        raise NotAuthorised("a drill's roster and a real one do not follow each other")


def require_admins(version: RosterVersion, roster: Roster, judge: Roster) -> None:
    """Require enough signatures over a version by the admins of `judge`: itself, or the one before.

    Raises:
        NotAuthorised: too few admins of `judge` signed, or it has no rule for rosters.
    """
    rule = judge.rule(RuleVerb.ROSTER)
    if rule is None:
        raise NotAuthorised(f"roster version {judge.version} has no rule for rosters")
    files = [SignatureFile(name, data) for name, data in version.signatures]
    verdict = evaluate(
        version.data, namespace("roster", roster.org), files, roster=judge, rule=rule, now=roster.issued
    )
    if not verdict.met:
        raise NotAuthorised(
            f"roster version {roster.version} is not signed by the admins of version {judge.version}:"
            f" {verdict}"
        )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        remedy = "put the anchor there that breakglass kit init printed" if path.name == "anchor" else ""
        raise NotAuthorised(f"cannot be read: {error.strerror}", where=str(path), remedy=remedy) from error
    if len(data) > max_bytes:
        raise NotAuthorised(f"larger than {max_bytes} bytes", where=str(path))
    return data
