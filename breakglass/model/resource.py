"""A cloud or host object that an agent is, uses or is driven by, and what was read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass.shape import Line, Name, ResourceId


@dataclass(frozen=True, slots=True)
class Resource:
    """One exact container that a step acts on. `params` are signed with it."""

    kind: Name
    id: ResourceId
    label: Line
    """What an operator calls it."""
    params: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class State:
    """What was read of a resource: each object that it holds, with all that is needed to put it back.

    `complete` is False when the read could not see everything; such a state is never proof.
    Bytes that may be secret are never in here: see `SealedStore` in `breakglass.provider`.
    """

    objects: Mapping[str, Json]
    complete: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class AgentRef:
    """The AI agent that is being stopped."""

    name: Name
    owner: Line
    agent_class: Name | None


@dataclass(frozen=True, slots=True)
class Reach:
    """One place where the agent acts, as the inventory names it; `settings` are checked against the card."""

    provider: Name
    settings: JsonObject
    where: str
    """file:line:column of the entry, for messages."""
