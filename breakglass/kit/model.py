"""What a kit says, as values: settings, agents, runbooks, the roster's bytes and the seal over them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from breakglass.canon import JsonObject
from breakglass.clock import Instant
from breakglass.errors import UsageError
from breakglass.model.plan import Pin, TwoPersonRule
from breakglass.model.resource import AgentRef, Reach
from breakglass.model.roster import Roster
from breakglass.runbook.model import Runbook
from breakglass.shape import Between, Digest, Match, Name

DEFAULT_RUNBOOK = "prompt-injection"


class Effect(StrEnum):
    """What a tool can do to the world."""

    READ = "read"
    WRITE = "write"
    EXTERNAL = "external"
    MONEY = "money"
    IRREVERSIBLE = "irreversible"


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the agent can do elsewhere; without a step it stays open."""

    name: str
    effect: Effect
    credential: str
    """What it is called at home, in words, e.g. ``stripe key``; empty: not said."""
    issuer: str
    revoke_at: str
    owner: str


@dataclass(frozen=True, slots=True)
class Deployer:
    """What would put the agent back: an Argo CD application, a pipeline."""

    kind: str
    name: str
    settings: Mapping[str, str]
    """The other keys of its kind, e.g. ``namespace``."""


@dataclass(frozen=True, slots=True)
class AgentFile:
    """One agent of the inventory: ``agents/<name>.yaml``."""

    ref: AgentRef
    who_can_stop: str
    reaches: tuple[Reach, ...]
    tools: tuple[Tool, ...]
    deployers: tuple[Deployer, ...]
    runbook: str
    """The runbook of a stop that names none."""


@dataclass(frozen=True, slots=True)
class ExecutorSetting:
    """A machine that may run plans, and where its log key is."""

    name: str
    log_key_file: Path | None
    """None: the key is in the ssh-agent of the executor's account."""


@dataclass(frozen=True, slots=True)
class MirrorSetting:
    """A store outside of the executor that claims and journals are copied to."""

    provider: str
    settings: JsonObject
    where: str
    """file:line:column of the entry, for messages."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a stop may take, in seconds."""

    step_s: int = 60
    """A step without a deadline of its own, from runbook or provider."""
    stop_s: int = 900
    """The whole run, from the claim on; the plan's `max_run_s`."""
    sign_s: int = 1800
    """How long a request for signatures holds; the roster's rule may be shorter, and then it decides."""


@dataclass(frozen=True, slots=True)
class KitSettings:
    """``breakglass.yaml``."""

    org: str
    version: int
    expires: Instant
    drill: bool
    executors: tuple[ExecutorSetting, ...]
    deadlines: Deadlines
    exchange: Path | None
    """A folder that all operators can read, where requests are put."""
    two_person_rule: TwoPersonRule
    two_person_reason: str
    """Why the rule is advisory; empty where it is enforced."""
    runbook: str
    """The runbook of agents that name none."""
    mirrors: tuple[MirrorSetting, ...] = ()

    def executor(self, name: str) -> ExecutorSetting | None:
        """Return the setting of one executor; None where the kit does not know it."""
        return next((executor for executor in self.executors if executor.name == name), None)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of the kit, by its digest."""

    path: Annotated[str, Match(r"[\x20-\x7e]{1,512}", "a path in printable ASCII")]
    sha256: Digest


@dataclass(frozen=True, slots=True)
class Seal:
    """``kit.json``: what admins sign. Sorted by path, every file but itself and the signatures."""

    v: int
    type: str
    org: Name
    version: Annotated[int, Between(1)]
    expires: Instant
    files: tuple[SealedFile, ...]


@dataclass(frozen=True, slots=True)
class Kit:
    """One kit as it was read, once, from its folder. Nobody's signature was counted yet."""

    folder: Path
    settings: KitSettings
    agents: Mapping[str, AgentFile]
    runbooks: Mapping[str, Runbook]
    """The shipped ones, and those of the kit, which win."""
    roster: Roster
    """As it lies in the kit: parsed, not trusted (see `breakglass.authorise.roster_chain`)."""
    roster_bytes: bytes
    seal_bytes: bytes
    """The raw bytes of kit.json: what the signatures cover; empty where there is none yet."""
    signatures: tuple[tuple[str, bytes], ...]
    """File name and bytes of what lies in ``kit.<version>/``."""
    roster_signatures: tuple[tuple[str, bytes], ...]
    """The same of ``roster.<version>/``, for the newest roster."""
    digest: str
    """sha256 of kit.json."""
    version: int
    expires: Instant
    contents: Seal
    """The seal that fits the files as they were read."""
    unsealed: tuple[str, ...]
    """How the files differ from the seal, in words; empty in a kit that was loaded as sealed."""

    @property
    def pin(self) -> Pin:
        """Return what a plan records of the kit."""
        return Pin(self.settings.org, self.version, self.digest)

    def agent(self, name: str) -> AgentFile:
        """Return one agent. Raises UsageError, with the nearest name, where the kit has none such."""
        if (found := self.agents.get(name)) is None:
            raise UsageError(
                f"no agent {_one(name, self.agents)}",
                where=str(self.folder / "agents"),
                remedy="breakglass agents list",
            )
        return found

    def runbook(self, name: str) -> Runbook:
        """Return one runbook. Raises UsageError, with the nearest name, where there is none such."""
        if (found := self.runbooks.get(name)) is None:
            raise UsageError(
                f"no runbook {_one(name, self.runbooks)}",
                where=str(self.folder / "runbooks"),
                remedy="breakglass runbook list",
            )
        return found


def _one(name: str, known: Mapping[str, object]) -> str:
    from breakglass.kit.complaints import did_you_mean, quoted

    return f"{quoted(name)}{did_you_mean(name, tuple(known))}"
