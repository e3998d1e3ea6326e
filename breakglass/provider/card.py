"""What is known of a provider without importing its SDK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from breakglass.canon import JsonObject
from breakglass.model.action import ActionSpec, Capability
from breakglass.model.resource import Reach
from breakglass.provider.connection import Connection
from breakglass.provider.home import MakeCloud, MakeHome, MakeMachine
from breakglass.provider.mirror import OpenMirror
from breakglass.provider.port import Provider

API_VERSION = 1
ENTRY_POINT_GROUP = "breakglass.providers"


class SettingType(StrEnum):
    """The type of one key of a reach entry."""

    TEXT = "text"
    TEXTS = "texts"
    FLAG = "flag"
    MAPPING = "mapping"
    """A mapping of text to text."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One key that a reach entry of this provider knows."""

    name: str
    type: SettingType
    summary: str
    required: bool = False


class LeastRights(Protocol):
    """Writes what the executor needs, and nothing else."""

    def __call__(self, purpose: str, reaches: Sequence[Reach], *, split: bool) -> Sequence[JsonObject]:
        """Return it for ``stop`` or ``restore``: one document, or pieces that the platform's limits allow.

        `reaches` are those of one agent, whose settings the rights then fit; none: those of any agent.
        """
        ...


class Warm(Protocol):
    """The half of a connect that calls nobody."""

    def __call__(self, connection: Connection, /) -> Callable[[], Provider]:
        """Import the SDK and make its clients, on the main thread; return the half that calls.

        That one looks whose account, project or cluster it is, and runs beside those of other reaches, so
        that a service which does not answer delays no other's plan. Both raise what `connect` raises.
        """
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a provider without importing its SDK."""

    name: str
    summary: str
    capabilities: tuple[Capability, ...]
    settings: tuple[Setting, ...]
    specs: tuple[ActionSpec, ...]
    connect: Callable[[Connection], Provider]
    """Imports the SDK and connects. Raises ProviderError, Unreachable or Unsupported."""
    requires: tuple[str, ...] = ()
    """Modules that must be importable; `extra` names what installs them."""
    extra: str = ""
    check: Callable[[Reach], Sequence[str]] = field(default=lambda _reach: ())
    """Rules over the whole entry (``exactly one of cgroup, user, pid_file``); each answer is a complaint."""
    redirects: tuple[str, ...] = ()
    """Environment variables that redirect calls: exit 2 for a real plan. A trailing ``*`` is a prefix."""
    ignores: tuple[str, ...] = ()
    """Environment variables that choose a region, profile or context: ignored, and named in the header."""
    home: MakeHome | None = None
    """Where a drill's agent can live; None: this provider has no such place."""
    machine: MakeMachine | None = None
    """A whole machine that a drill's agent can settle on; None: this provider has none."""
    cloud: MakeCloud | None = None
    """A cloud's sandbox that a drill's agent lives on too; None: this provider has none."""
    policy: LeastRights | None = None
    """The executor's least rights as the platform's own documents; None: it has no such documents."""
    mirror: OpenMirror | None = None
    """Where journals and claims can be mirrored to; None: this provider has no such store."""
    mirror_settings: tuple[Setting, ...] = ()
    """The keys of a mirror's entry in ``breakglass.yaml``."""
    concurrent: bool = False
    """`connect` may run on several threads at once: it imports no SDK (DESIGN 10)."""
    warm: Warm | None = None
    """`connect` in two halves, where its SDK is to be imported on the main thread; None: it has one."""
    api_version: int = API_VERSION
