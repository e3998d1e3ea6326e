"""A cloud or host object that an agent is, uses or is driven by, and what was read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, Profile, canonical, parse
from breakglass.errors import MalformedInput, ProviderError
from breakglass.shape import Line, Name, ResourceId, encode

MAX_STATE_BYTES = 32 * 1024 * 1024
"""Half of what one line of a journal may hold."""


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


def recordable(state: State) -> State:
    """Return the state, since the journal can carry it.

    What is read of the world may be named by the agent: it must not be able to break the run with it.

    Raises:
        ProviderError: it is no strict JSON, or too large.
    """
    try:
        data = canonical(encode(state))
        parse(b'{"a":{"b":%b}}' % data, where="state", profile=Profile.DATA, max_bytes=MAX_STATE_BYTES)
    except (TypeError, ValueError, RecursionError, MalformedInput) as error:
        raise ProviderError(f"what was read cannot be recorded: {error}") from error
    return state


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
    runner: str = ""
    """sha256 of the program that a signed plan lets be sent to that machine; empty: no plan yet, or none."""
