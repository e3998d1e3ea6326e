"""What the platform was told: who does what when it runs, how fast time passes, who is the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TICK_S = 0.2
MINUTE_S = 60.0
TRANSITION_S = 0.5
SESSION_S = 3600.0
LEAST_S = {"tick_s": 0.01, "minute_s": 0.01, "transition_s": 0.0, "session_s": 0.01}
"""What may be told, and how short it may be: a change of state may take no time at all."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One call that a resource makes when it runs."""

    service: str
    operation: str
    params: Mapping[str, Any]
    lasts_s: float = 0.0
    """How long a run goes on repeating its calls; nothing but the denial of its role makes it harmless."""


@dataclass(slots=True)
class Settings:
    """The one copy that everything here reads; `told` changes it."""

    behaviours: dict[str, tuple[Deed, ...]] = field(default_factory=dict)
    agent_principals: tuple[str, ...] = ()
    on: bool = True
    tick_s: float = TICK_S
    minute_s: float = MINUTE_S
    transition_s: float = TRANSITION_S
    session_s: float = SESSION_S

    def told(self, body: Mapping[str, Any]) -> None:
        """Take what a control body says; what it leaves out stays."""
        for channel, deeds in dict(body.get("behaviours") or {}).items():
            self.behaviours[channel] = tuple(_deed(one) for one in deeds)
        if "agent_principals" in body:
            self.agent_principals = tuple(str(one) for one in body["agent_principals"])
        if "on" in body:
            self.on = bool(body["on"])
        for name, least_s in LEAST_S.items():
            if name in body:
                setattr(self, name, max(least_s, float(body[name])))

    def forget(self) -> None:
        """Be as at the start."""
        self.behaviours = {}
        self.agent_principals = ()
        self.on = True
        self.tick_s, self.minute_s = TICK_S, MINUTE_S
        self.transition_s, self.session_s = TRANSITION_S, SESSION_S

    def deeds(self, channel: str) -> tuple[Deed, ...]:
        """Return what a resource does, nothing if nobody said."""
        return self.behaviours.get(channel, ())


def _deed(one: Mapping[str, Any]) -> Deed:
    return Deed(
        str(one["service"]),
        str(one["operation"]),
        dict(one.get("params") or {}),
        float(one.get("lasts_s") or 0.0),
    )


SETTINGS = Settings()
