"""Connects the providers of a plan, or of an agent's inventory: imports on the main thread, then the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from breakglass import registry
from breakglass.clock import Clock, Instant
from breakglass.errors import BreakglassError, ProviderError
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.journal.port import JournalPort
from breakglass.model.plan import Plan, unpack_settings
from breakglass.model.resource import AgentRef, Reach
from breakglass.provider import Card, Connection, Credentials, EvidenceItem, EvidenceSink, Machines, Provider
from breakglass.usecases.machines import ConnectedMachines
from breakglass.usecases.side_by_side import side_by_side

T = TypeVar("T")
CONNECTING_DEADLINE_S = 25.0
"""A provider gives up by itself before this; one that does not is left behind, and its reach not planned."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every connection of one run shares."""

    agent: AgentRef
    incident: str
    drill: bool
    clock: Clock
    folder: IncidentFolder
    credentials: Credentials
    since: Instant | None = None

    def connection(self, reach: Reach, late: LateJournal, machines: Machines) -> Connection:
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
            since=self.since,
            machines=machines,
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
    """Connect each reach: SDKs are imported on this thread (DESIGN 10), calls are made side by side."""
    failures: dict[int, BreakglassError] = {}
    machines = ConnectedMachines()
    warm: dict[int, Callable[[], Callable[[], Provider]]] = {}
    in_turn: dict[int, Callable[[], Provider]] = {}
    at_once: dict[int, Callable[[], Provider]] = {}
    for n, reach in enumerate(reaches):
        try:
            card = registry.card(reach.provider)
            registry.require(card)
        except BreakglassError as error:
            failures[n] = error
            continue
        except Exception as error:  # noqa: BLE001 - a provider's bug stops no other (DESIGN 1.4)
            failures[n] = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")
            continue
        connection = surroundings.connection(reach, late, machines)
        if card.warm is not None:
            warm[n] = partial(card.warm, connection)
        else:
            (at_once if card.concurrent else in_turn)[n] = partial(card.connect, connection)
    answers = _in_turn(in_turn)
    for n, half in _in_turn(warm).items():
        if isinstance(half, BreakglassError):
            failures[n] = half
        else:
            at_once[n] = half
    answers |= side_by_side(at_once, within_s=CONNECTING_DEADLINE_S)
    failures |= {n: answer for n, answer in answers.items() if isinstance(answer, BreakglassError)}
    providers = {
        n: answer for n, answer in sorted(answers.items()) if not isinstance(answer, BreakglassError)
    }
    for n, provider in providers.items():
        machines.add(reaches[n], provider)
    return Connected(providers, failures)


def _in_turn(calls: Mapping[int, Callable[[], T]]) -> dict[int, T | BreakglassError]:
    """Call one after the other on this thread."""
    answers: dict[int, T | BreakglassError] = {}
    for n, call in calls.items():
        try:
            answers[n] = call()
        except BreakglassError as error:
            answers[n] = error
        except Exception as error:  # noqa: BLE001 - a provider's bug stops no other (DESIGN 1.4)
            answers[n] = ProviderError(f"bug in the provider: {type(error).__name__}: {error}")
    return answers


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
        Reach(reach.provider, unpack_settings(reach.settings), f"plan reach {reach.n}", reach.runner)
        for reach in plan.reaches
    )


def card_or_none(name: str) -> Card | None:
    """Return a provider's card; None when it cannot be used here, and then its reaches are not planned."""
    try:
        return registry.card(name)
    except BreakglassError:
        return None
