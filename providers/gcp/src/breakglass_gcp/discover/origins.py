"""Says on each step why its target counts as the agent's, where the inventory does not name it.

Whoever may set labels, or act as the agent, could have somebody else's service taken down: people must see
the reason before they sign.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from breakglass.provider import Proposal
from breakglass_gcp.discover.things import WORDS
from breakglass_gcp.found import Found

_HEADS = ("", "instance/", "group/", "engine/")
_ALREADY = "service_accounts"
"""Its steps have the reason in their labels."""


def with_origins(found: Found, proposals: Sequence[Proposal]) -> tuple[Proposal, ...]:
    """Return the proposals, each with the reason of its target where that is not the inventory."""
    said: dict[str, list[str]] = {}
    for (key, name), why in found.origins.items():
        if key != _ALREADY:
            words = WORDS.get(key, key.replace("_", " ").removesuffix("s"))
            for head in _HEADS:
                said.setdefault(f"{head}{name}", []).append(f"{words} {name} is {why}"[:300])
    return tuple(_told(one, said) for one in proposals)


def _told(proposal: Proposal, said: Mapping[str, Sequence[str]]) -> Proposal:
    why = said.get(proposal.target.id.partition("/")[2], ())
    return replace(proposal, affects=(*why, *proposal.affects)) if why else proposal
