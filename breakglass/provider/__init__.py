"""The provider port: what a plug-in implements and what it is given. The core never imports a provider.

A provider package exposes one `Card` through the entry-point group ``breakglass.providers``. Laziness has
three steps: the name alone (package metadata), the card (no SDK import), and `Card.connect` (the SDK).
"""

from __future__ import annotations

from breakglass.provider.card import (
    API_VERSION,
    ENTRY_POINT_GROUP,
    Card,
    Setting,
    SettingType,
    Warm,
)
from breakglass.provider.connection import (
    Connection,
    Credentials,
    EvidenceItem,
    EvidenceSink,
    Machines,
    SealedStore,
)
from breakglass.provider.home import (
    AgentCloud,
    AgentHome,
    AgentMachine,
    CloudEffect,
    MakeCloud,
    MakeHome,
    MakeMachine,
    Started,
)
from breakglass.provider.mirror import Mirror, OpenMirror
from breakglass.provider.port import (
    Action,
    Budget,
    Discovery,
    Finding,
    Outcome,
    Proposal,
    ProposedDoor,
    Provider,
    ReadsFiles,
    Reversal,
    WaitFor,
)
from breakglass.provider.proposed import Notes, Proposed

__all__ = [
    "API_VERSION",
    "ENTRY_POINT_GROUP",
    "Action",
    "AgentCloud",
    "AgentHome",
    "AgentMachine",
    "Budget",
    "Card",
    "CloudEffect",
    "Connection",
    "Credentials",
    "Discovery",
    "EvidenceItem",
    "EvidenceSink",
    "Finding",
    "Machines",
    "MakeCloud",
    "MakeHome",
    "MakeMachine",
    "Mirror",
    "Notes",
    "OpenMirror",
    "Outcome",
    "Proposal",
    "Proposed",
    "ProposedDoor",
    "Provider",
    "ReadsFiles",
    "Reversal",
    "SealedStore",
    "Setting",
    "SettingType",
    "Started",
    "WaitFor",
    "Warm",
]
