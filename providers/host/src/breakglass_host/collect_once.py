"""The action behind most evidence: collects once in a run, within a time of its own, secrets learnt first."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject
from breakglass.model.action import ActionSpec, Judgement
from breakglass.model.resource import Resource, State
from breakglass.provider import Action, Connection, Proposal, Reversal, WaitFor
from breakglass_host import collected, learning, tree
from breakglass_host.collected import Evidence
from breakglass_host.process_evidence import Reading
from breakglass_host.redact import Redactor

BUDGET_S = 10.0
"""What a kill waits for lies below DESIGN 5's 20 s, also with the last write to the disk."""
FREEZE_WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection under way."""

    resource: Resource
    redactor: Redactor
    reading: Reading
    """What was read to learn the agent's secrets."""
    left_s: Callable[[], float]
    left_out: list[str]
    """Is filled with what could not be collected, in words."""
    evidence: Evidence

    @property
    def folder(self) -> str:
        """Return where its pieces lie."""
        return f"host/{tree.short(self.resource.id)}"

    def put(self, name: str, source: str, chunks: Iterable[bytes]) -> None:
        """Write one piece, unless this run has written it."""
        self.evidence.put(self.resource, f"{self.folder}/{name}", source, chunks)


Collect = Callable[[Collection], JsonObject]
"""Collects, and returns the facts that the step's state shows."""
Partial = Callable[[State], str]
"""Says what the bounds left out; empty: nothing."""


def action(spec: ActionSpec, collect: Collect, partial: Partial) -> Callable[[Connection], Action]:
    """Return what makes the action of one kind of evidence."""
    return lambda connection: CollectOnce(connection, spec, collect, partial)


def proposal(
    spec: ActionSpec, key: str, label: str, params: dict[str, Json], freeze_key: str | None
) -> Proposal:
    """Propose one collection, after the freeze: what is frozen writes nothing more."""
    return Proposal(
        key=key,
        action=spec.name,
        target=Resource("evidence", key, label, params),
        after=(WaitFor(freeze_key, FREEZE_WAIT_S),) if freeze_key else (),
    )


def lines(values: Iterable[dict[str, Json]]) -> Iterator[bytes]:
    """Yield each value as one line of JSON."""
    for value in values:
        yield json.dumps(value, separators=(",", ":")).encode() + b"\n"


class CollectOnce:
    """Collects once in a run; a run that resumes collects again."""

    def __init__(self, connection: Connection, spec: ActionSpec, collect: Collect, partial: Partial) -> None:
        """Make the run's own redaction key; it is never written."""
        self._connection = connection
        self._spec = spec
        self._collect = collect
        self._partial = partial
        self._redactor = Redactor(secrets.token_bytes(32))
        self._evidence = Evidence(connection.evidence)

    @property
    def spec(self) -> ActionSpec:
        """Return what the action declares."""
        return self._spec

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        return self._evidence.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect what was not collected yet.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        if self._evidence.ended(resource):
            return
        clock = self._connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        reading = Reading(self._redactor, lambda: clock.monotonic_s() >= end_s - BUDGET_S / 2)
        learning.learn(self._connection, resource, reading)
        under_way = Collection(
            resource, self._redactor, reading, lambda: end_s - clock.monotonic_s(), [], self._evidence
        )
        facts = self._collect(under_way)
        self._evidence.end(resource, under_way.left_out, facts)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the port's signature
        """Contained: everything within the bounds was collected."""
        return collected.judged(state, self._partial(state))

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Do nothing: reading changed nothing."""
        return collected.nothing_to_revert(resource)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nothing to try."""
        return None
