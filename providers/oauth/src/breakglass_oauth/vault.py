"""Keeps the agent's tokens out of every document: a salted commitment stands for each, the bytes are sealed.

Planning seals what lies in the agent's file; the plan carries the reference. The host provider may set the
file aside while we run, and the agent may rewrite it, so a run takes both: what was sealed when planning
and what lies there now. A plan that runs where nothing was sealed finds its token in the file again by the
check value, a MAC of the token under its own salted commitment.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from breakglass.canon import Json, JsonObject
from breakglass.errors import BreakglassError, Denied, Gone, ProviderError
from breakglass.model.resource import Resource
from breakglass.provider import SealedStore
from breakglass_oauth.tokens import ACCESS, REFRESH, Held, Place


@dataclass(frozen=True, slots=True)
class Kept:
    """A token, with the name and the reference that stand for it."""

    id: str
    token: Held
    reference: JsonObject = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The tokens of one place: those of the plan and those that lie there now."""

    tokens: tuple[Kept, ...]
    complete: bool = True
    note: str = ""


class Vault:
    """The tokens of one place."""

    def __init__(self, place: Place, sealed: SealedStore, label: str) -> None:
        """Read nothing yet."""
        self.place = place
        self._sealed = sealed
        self._label = label

    def seal(self) -> tuple[Kept, ...]:
        """Read the place and seal what lies there.

        Raises:
            ProviderError: nothing can be read there, or it is no token.
        """
        return tuple(self._keep(token) for token in self.place.read())

    def now(self, resource: Resource) -> Found:
        """Return the tokens that the plan names and those that lie in the place now.

        Raises:
            ProviderError: the sealed store refused.
        """
        live, note = self._live(resource)
        found: dict[str, Kept] = {}
        lost = 0
        for entry in entries(resource):
            kept = self._planned(entry, live)
            if kept is None:
                lost += 1
            else:
                found[kept.id] = kept
        known = {kept.token for kept in found.values()}
        for token in live:
            if token not in known:
                kept = self._keep(token)
                found[kept.id] = kept
        if lost:
            note = f"{lost} token(s) of the plan are neither sealed here nor in {self.place.name} any more"
        return Found(tuple(found[key] for key in sorted(found)), not lost and bool(found), note)

    def _live(self, resource: Resource) -> tuple[tuple[Held, ...], str]:
        # The place as it was signed: the agent may have put a link into the path since.
        place = replace(self.place, name=str(resource.params.get("place", self.place.name)))
        try:
            return place.read(), ""
        except (Gone, Denied) as error:
            return (), f"{place.name} {error.what}: the tokens sealed when planning stand for it"
        except ProviderError as error:
            return (), f"{place.name} holds {error.what}"

    def _planned(self, entry: Mapping[str, Json], live: Sequence[Held]) -> Kept | None:
        reference = entry.get("sealed")
        if not isinstance(reference, Mapping):
            return None
        kind = REFRESH if entry.get("kind") == REFRESH else ACCESS
        try:
            token = Held(kind, self._sealed.get(reference).decode("ascii"))
        except (BreakglassError, UnicodeDecodeError):
            # Not this store, or damaged: the token may still lie where it lay when planning.
            check = str(entry.get("check"))
            matching = (held for held in live if hmac.compare_digest(check, _check(reference, held)))
            token_or_none = next(matching, None)
            if token_or_none is None:
                return None
            token = token_or_none
        return Kept(str(entry.get("id")), token, reference)

    def _keep(self, token: Held) -> Kept:
        reference = self._sealed.put(f"{self._label} {token.kind}", token.value.encode())
        return Kept(f"{token.kind} {str(reference['commitment'])[:16]}", token, reference)


def entry_of(kept: Kept) -> dict[str, Json]:
    """Return what stands in the signed plan for a token."""
    return {
        "check": _check(kept.reference, kept.token),
        "id": kept.id,
        "kind": kept.token.kind,
        "sealed": kept.reference,
    }


def entries(resource: Resource) -> tuple[Mapping[str, Json], ...]:
    """Return the tokens that the plan names."""
    found = resource.params.get("tokens")
    return tuple(item for item in found if isinstance(item, Mapping)) if isinstance(found, list) else ()


def _check(reference: Mapping[str, Json], token: Held) -> str:
    key = str(reference.get("commitment")).encode()
    return hmac.new(key, token.value.encode(), hashlib.sha256).hexdigest()
