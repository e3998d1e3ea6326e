"""What the audit log says was let in since the harm began: no restore gives any of it back to the agent.

found.harm.keys[key_id]                  why a key is not of peacetime; HMAC keys likewise, by access id
found.harm.added(names, grants)          which grants of a resource were added since, and by whom
found.harm.whole, found.harm.doubts      whether all of that time was read, and what was not
found.harm.hands, found.harm.open        who counts as let in by the agent; what lets in nobody knows whom
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_PLACES = frozenset({"locations", "regions", "zones"})


@dataclass(frozen=True, slots=True)
class Added:
    """One grant that was added since the harm began."""

    by: str
    at: str
    own: bool
    """By the agent, by what it made, or by whom it let in."""
    doubt: bool = False
    """By a caller who may be one of many whom the agent let in: of a group, say."""

    @property
    def words(self) -> str:
        """Return what a plan says of it."""
        then = "stays away" if self.own else "comes back with a restore"
        if self.doubt:
            then = f"who that was may be one whom the agent let in; {then}"
        return f"added since the harm began, by {self.by[:200]} at {self.at}: {then}"


@dataclass(frozen=True, slots=True)
class SinceHarm:
    """What was let in; a time of which nobody said when it began has nothing."""

    keys: Mapping[str, str] = field(default_factory=dict)
    """Id of a key, also of an HMAC key -> that it was made, uploaded or enabled since, by whom and when."""
    grants: Mapping[tuple[str, str], Added] = field(default_factory=dict)
    """(COLLECTION/NAME of the resource, key of the grant) -> who added it."""
    doubts: tuple[str, ...] = ("the audit log was not read",)
    """Why not all is known; empty: all of that time was read."""
    untold: frozenset[str] = frozenset()
    """COLLECTION/NAME of policies that the agent wrote, and of which the log does not say what changed."""
    hands: Mapping[str, str] = field(default_factory=dict)
    """Who counts as let in by the agent, as callers are named -> by what, by whom and when."""
    open: tuple[str, ...] = ()
    """What the agent gave to callers whom no entry names: a group, everybody."""

    @property
    def whole(self) -> bool:
        """Return whether what is not in here was not let in since."""
        return not self.doubts

    def added(self, names: Iterable[str], keys: Iterable[str]) -> dict[str, Added]:
        """Return which of these grants of a resource, by any of its names, were added since."""
        all_ = list(keys)
        found: dict[str, Added] = {}
        for name in names:
            for key in all_:
                plain = key.partition(" if ")[0]
                # A service may not tell the condition: then the plain grant that is not there is this one.
                one = self.grants.get((name, key))
                if one is None and plain not in all_:
                    one = self.grants.get((name, plain))
                if one is not None and (key not in found or one.own):
                    found[key] = one
        return found


def short_name(full: str) -> str:
    """Return COLLECTION/NAME of a resource's full name, behind its place where the name has one."""
    pieces = full.rstrip("/").split("/")
    told = (pieces[n : n + 2] for n, one in enumerate(pieces[:-3]) if one in _PLACES)
    place = next((one for one in told if one[1] != "-"), [])
    return "/".join((*place, *pieces[-2:]))


def short_names(full: str) -> tuple[str, ...]:
    """Return each short name that an entry may have of a resource: some tell no place."""
    name = short_name(full)
    return tuple(dict.fromkeys((name, "/".join(name.rsplit("/", 2)[-2:]))))
