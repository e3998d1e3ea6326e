"""Connects the providers of a plan, or of an agent's inventory: imports on the main thread, then the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from breakglass import registry
from breakglass.clock import Clock
from breakglass.errors import BreakglassError, ProviderError
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.journal.port import JournalPort
from breakglass.model.plan import Plan, unpack_settings
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Card, Connection, Credentials, EvidenceItem, EvidenceSink, Provider


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every connection of one run shares."""

    agent: AgentRef
    incident: str
    drill: bool
    clock: Clock
    folder: IncidentFolder
    credentials: Credentials

    def connection(self, reach: Reach, late: LateJournal) -> Connection:
        """Return the connection of one reach."""
        return Connection(
            reach=reach,
            agent=self.agent,
            incident=self.incident,
            drill=self.drill,
            clock=self.clock,
            evidence=RecordingEvidence(FolderEvidence(self.folder), late),
            sealed=FolderSealed(self.folder),
            credentials=self.credentials,
        )


class RecordingEvidence:
    """Writes a record for each piece of evidence, once the piece is durable and the run has a journal."""

    def __init__(self, sink: EvidenceSink, late: LateJournal) -> None:
        """Keep both; connections are made before the journal's plan is known."""
        self._sink = sink
        self._late = late

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> EvidenceItem:
        """Keep a piece of evidence. Raises ProviderError: the disk refused."""
        item = self._sink.put(name, source, chunks)
        if self._late.journal is not None:
            self._late.journal.append(
                "evidence.item",
                {"path": item.path, "sha256": item.sha256, "size": item.size, "source": item.source},
            )
        return item


class LateJournal:
    """A journal that connections learn of later: they are warm before the run is opened."""

    def __init__(self, journal: JournalPort | None = None) -> None:
        """Start with a journal (a resume), or without one (planning)."""
        self.journal = journal

    def attach(self, journal: JournalPort) -> None:
        """Record evidence from now on."""
        self.journal = journal


@dataclass(frozen=True, slots=True)
class Connected:
    """The providers that could be connected, and why the others could not."""

    providers: Mapping[int, Provider]
    failures: Mapping[int, BreakglassError]

    def close(self) -> None:
        """Let go of every connection."""
        for provider in self.providers.values():
            with contextlib.suppress(Exception):  # how a run ended must be told whatever happens here
                provider.close()


def connect(reaches: Sequence[Reach], surroundings: Surroundings, late: LateJournal) -> Connected:
    """Connect each reach in turn on this thread: SDKs are not safe to import on several (DESIGN 10)."""
    providers: dict[int, Provider] = {}
    failures: dict[int, BreakglassError] = {}
    for n, reach in enumerate(reaches):
        try:
            card = registry.card(reach.provider)
            registry.require(card)
            providers[n] = card.connect(surroundings.connection(reach, late))
        except BreakglassError as error:
            failures[n] = error
        except Exception as error:  # noqa: BLE001 - a provider's bug stops no other (DESIGN 1.4)
            failures[n] = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")
    return Connected(providers, failures)


def planned_reaches(plan: Plan) -> tuple[Reach, ...]:
    """Return the reaches that a signed plan names; the kit is not asked again.

    Raises:
        UsageError: another package provides a provider now than when the plan was made.
    """
    from breakglass.errors import UsageError

    for reach in plan.reaches:
        if registry.listed(reach.provider).pin != reach.distribution:
            raise UsageError(
                f"provider {reach.provider} was {reach.distribution!r} when the plan was made"
                f" and is {registry.listed(reach.provider).pin!r} now",
                remedy="make the plan again",
            )
    return tuple(
        Reach(reach.provider, unpack_settings(reach.settings), where=f"plan reach {reach.n}")
        for reach in plan.reaches
    )


def card_or_none(name: str) -> Card | None:
    """Return a provider's card; None when it cannot be used here, and then its reaches are not planned."""
    try:
        return registry.card(name)
    except BreakglassError:
        return None
