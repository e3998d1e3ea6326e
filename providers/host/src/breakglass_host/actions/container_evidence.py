"""``host.container.snapshot``: what an engine knows of a container, its logs and its changed files' names."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, EvidenceItem, Outcome, Reversal
from breakglass_host import tree
from breakglass_host.containers import facts, reading
from breakglass_host.containers.engine import Engine
from breakglass_host.containers.facts import Container
from breakglass_host.redact import Redactor

SPEC = ActionSpec(
    name="host.container.snapshot",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "Copies what the engine knows of the container, its logs since the harm began (the last 20000 lines"
        " where that is not known, 4 MiB at most) and the names of the files that it changed. Secrets are"
        " taken out first."
    ),
    permissions=("root: podman inspect, logs, diff; docker the same",),
    blast_radius="Nothing: it only reads.",
    reversibility=Reversibility.FULL,
    undo="Nothing was changed; the evidence stays.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.container.snapshot podman:support-bot",
    sources=(Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_containers_more.py"),),
)
_ASK_S, _LOGS_S, _DIFF_S = 4.0, 6.0, 4.0
"""Together below the 20 s that a kill waits at most (DESIGN 5)."""
_LARGEST = 4 * 1024 * 1024
_LINES = "20000"


class SnapshotContainer:
    """Collect once in a run; what was collected is remembered only to tell complete from incomplete."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Make the run's own redaction key; it is never written."""
        self._connection = connection
        self._redactor = Redactor(secrets.token_bytes(32))
        self._items: dict[str, list[EvidenceItem]] = {}
        self._left_out: dict[str, list[str]] = {}

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far; a run that resumes collects again."""
        if resource.id not in self._items:
            return State({"snapshot": {"taken": False}})
        objects: dict[str, Json] = {
            item.path: {"sha256": item.sha256, "size": item.size, "source": item.source}
            for item in self._items[resource.id]
        }
        left_out = self._left_out[resource.id]
        note = "; ".join(left_out[:10])
        return State({**objects, "snapshot": {"taken": True}}, complete=not left_out, note=note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect, once.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        if resource.id in self._items:
            return
        wanted, left_out = reading.named(resource), []
        try:
            found = facts.find(wanted.engine, wanted.name, wanted.cgroups, _ASK_S)
        except ProviderError as error:
            found, left_out = (), [error.what]
        items = [item for one in found for item in self._collect(wanted.engine, one, left_out)]
        self._items[resource.id], self._left_out[resource.id] = items, left_out
        if left_out:
            raise Denied(f"left out: {'; '.join(left_out[:5])}"[:500])

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the port's signature
        """Contained: all that the step names was collected."""
        taken = state.objects.get("snapshot")
        if not isinstance(taken, dict) or not taken.get("taken"):
            return Judgement(Verdict.UNKNOWN, "not collected yet", Grade.NONE)
        if not state.complete:
            return Judgement(Verdict.UNKNOWN, f"left out: {state.note}", Grade.NONE)
        return Judgement(Verdict.CONTAINED, f"{len(state.objects) - 1} pieces of evidence, with digests")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - the port's signature
        """Do nothing: reading changed nothing."""
        return Reversal({resource.id: Outcome.ALREADY}, "nothing was changed; the evidence stays")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: there is nothing to try."""
        return None

    def _collect(self, engine: Engine, one: Container, left_out: list[str]) -> Iterator[EvidenceItem]:
        """Yield each piece; its environment first, so that no log can show what stands in it."""
        folder = f"host/{tree.short(one.id)}"
        put = self._connection.evidence.put
        told = json.dumps(self._without_secrets(one.raw), indent=1, sort_keys=True).encode()
        yield put(f"{folder}/inspect.json", f"{engine.name} inspect", [self._redactor.data(told)])
        since = self._connection.since
        span = ("--since", str(since)) if since is not None else ("--tail", _LINES)
        for name, words, within_s in (
            ("logs.txt", ("logs", "--timestamps", *span, one.id), _LOGS_S),
            ("diff.txt", ("diff", one.id), _DIFF_S),
        ):
            try:
                answer = engine.run(*words, timeout_s=within_s, largest=_LARGEST)
            except ProviderError as error:
                left_out.append(f"{name} of {one.name}: {error.what}")
                continue
            if answer.cut:
                left_out.append(f"{name} of {one.name}: more than {_LARGEST} bytes")
            said = (answer.out, *((b"\n-- stderr --\n", answer.err) if answer.err else ()))
            source = f"{engine.name} {' '.join(words)}"
            yield put(f"{folder}/{name}", source, [self._redactor.data(part) for part in said])

    def _without_secrets(self, raw: Any) -> Any:  # noqa: ANN401 - the engine's own JSON, of any form
        """Return the engine's JSON with each list of words redacted as an environment or a command line."""
        if isinstance(raw, dict):
            return {key: self._field(key, value) for key, value in raw.items()}
        if isinstance(raw, list):
            return [self._without_secrets(value) for value in raw]
        return self._redactor.text(raw.encode("utf-8", "backslashreplace")) if isinstance(raw, str) else raw

    def _field(self, key: str, value: Any) -> Any:  # noqa: ANN401 - the engine's own JSON, of any form
        words = _words(value)
        if key == "Env" and words:
            return self._redactor.environment(b"\0".join(words))
        if key in ("Cmd", "Args", "Entrypoint", "CreateCommand") and words:
            return self._redactor.arguments(b"\0".join(words) + b"\0")
        return self._without_secrets(value)


def _words(value: Any) -> Sequence[bytes]:  # noqa: ANN401 - the edge: anything may come
    is_words = isinstance(value, list) and value and all(isinstance(one, str) for one in value)
    return [one.encode("utf-8", "backslashreplace") for one in value] if is_words else []


ACTION_CLASSES = (SnapshotContainer,)
