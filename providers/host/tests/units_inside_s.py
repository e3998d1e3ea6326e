"""Runs inside of a test machine: plans, stops and restores there as the engine does, a thread for each step.

The port is the real one and so are the actions; what a step saw is kept before it changes anything, so that
the whole of it may be killed between any two verbs (`BG_DIE`: how many verbs it lives) and run again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import pickle
import sys
import threading
import time
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import Denied, ProviderError, Transient
from breakglass.model.action import Capability, Grade, Judgement, Verdict
from breakglass.model.resource import AgentRef, Reach, State
from breakglass.provider import Action, Connection, Discovery, Outcome, Proposal, Provider
from breakglass_host import CARD

SPECS = {one.name: one for one in CARD.specs}

HOME = Path("/opt/bg/incident")
_verbs = itertools.count(1)
_lives = int(os.environ.get("BG_DIE", "0"))
_counting = threading.Lock()
_keeping = threading.Lock()


class Sealed:
    """Keeps what is sealed in a folder."""

    def put(self, label: str, data: bytes) -> dict[str, Any]:
        """Keep the bytes under their digest."""
        name = hashlib.sha256(label.encode("utf-8", "surrogateescape") + b"\0" + data).hexdigest()
        (HOME / name).write_bytes(data)
        return {"sealed": name, "size": len(data), "commitment": name}

    def get(self, reference: Json) -> bytes:
        """Return them."""
        assert isinstance(reference, dict)
        return (HOME / str(reference["sealed"])).read_bytes()


def connect(settings: dict[str, Any]) -> Provider:
    """Connect to this machine."""
    HOME.mkdir(parents=True, exist_ok=True)
    nothing: Any = None
    reach = Reach("host", {"host": "local", **settings}, where="kit:1")
    agent = AgentRef("bot", "platform", None)
    return CARD.connect(
        Connection(
            reach,
            agent,
            "inc-1",
            drill=True,
            clock=SystemClock(),
            evidence=nothing,
            sealed=Sealed(),
            credentials=nothing,
        )
    )


def verb() -> None:
    """Count a verb; die where the test says so."""
    with _counting:
        if next(_verbs) == _lives:
            os._exit(9)


def plan(settings: dict[str, Any]) -> tuple[Discovery, list[Proposal]]:
    """Discover, leave out what takes evidence, and keep what was found: a second run has the same plan."""
    found = connect(settings).discover()
    steps = [one for one in found.proposals if SPECS[one.action].capability is not Capability.SNAPSHOT_LOGS]
    where = HOME / "plan"
    if where.exists():
        steps = pickle.loads(where.read_bytes())  # noqa: S301 - our own
    else:
        where.write_bytes(pickle.dumps(steps))
    return found, steps


def keep(key: str, prior: dict[str, Any]) -> None:
    """Keep what a step saw first."""
    with _keeping:
        where = HOME / "prior"
        known = pickle.loads(where.read_bytes()) if where.exists() else {}  # noqa: S301 - our own
        known[key] = {**prior, **known.get(key, {})}
        where.write_bytes(pickle.dumps(known))


def contain(
    provider: Provider, step: Proposal, done: dict[str, threading.Event], said: dict[str, Any]
) -> None:
    """Carry out one step."""
    for wait in step.after:
        if wait.key in done:
            done[wait.key].wait(wait.at_most_s)
    action, start = provider.actions[step.action], time.monotonic()
    until = start + float(os.environ.get("BG_DEADLINE", "20"))
    try:
        judged = rounds(action, step, until, done)
        wanted = step.best_grade or action.spec.best_grade
        while judged.verdict is Verdict.CONTAINED and wanted.strength > Grade.READ_BACK.strength:
            answer = action.probe(step.target)
            judged = answer or judged
            if answer is None or answer.verdict is Verdict.CONTAINED or time.monotonic() > until:
                break
            if answer.verdict is Verdict.NOT_CONTAINED:
                rounds(action, step, until, done)
            time.sleep(0.05)
            if judged.verdict is not Verdict.CONTAINED:
                judged = Judgement(Verdict.CONTAINED, "asked again")
        said[step.key] = [judged.verdict.value, judged.grade.value, judged.reason]
    except ProviderError as error:
        said[step.key] = ["unknown", "none", f"{type(error).__name__}: {error}"]
    said[step.key].append(round(time.monotonic() - start, 3))
    done[step.key].set()


def rounds(action: Action, step: Proposal, until: float, done: dict[str, threading.Event]) -> Judgement:
    """Observe, keep, apply, until two reads agree."""
    agreed = None
    while True:
        verb()
        state = action.observe(step.target)
        judged = action.judge(step.target, state)
        if judged.verdict is Verdict.CONTAINED:
            done[step.key].set()
            if agreed == state.objects.keys():
                return judged
            agreed = state.objects.keys()
            continue
        agreed = None
        if time.monotonic() > until:
            return judged
        keep(step.key, dict(state.objects))
        verb()
        try:
            action.apply(step.target, state, "token")
        except Denied:
            raise
        except ProviderError as error:
            sys.stderr.write(f"{step.key}: {error}\n")
            time.sleep(0.05)


def stop(settings: dict[str, Any]) -> dict[str, Any]:
    """Plan and stop."""
    found, steps = plan(settings)
    provider = connect(settings)
    said: dict[str, Any] = {}
    done = {step.key: threading.Event() for step in steps}
    only = os.environ.get("BG_ONLY", "").split()
    chosen = [step for step in steps if not only or step.key.partition(":")[0] in only]
    threads = [threading.Thread(target=contain, args=(provider, step, done, said)) for step in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "steps": said,
        "doors": [f"{one.door.name}: {one.door.reason}" for one in found.doors],
        "not_touched": [f"{one.resource}: {one.reason}" for one in found.not_touched],
        "incomplete": list(found.incomplete),
    }


def restore(settings: dict[str, Any]) -> dict[str, Any]:
    """Put everything back in the order of a restore's plan: what was waited for waits."""
    _, steps = plan(settings)
    provider, prior = connect(settings), pickle.loads((HOME / "prior").read_bytes())  # noqa: S301 - our own
    undone = [one for one in reversed(steps) if one.key in prior and "kill" not in one.key]
    done = {one.key: threading.Event() for one in undone}
    said: dict[str, Any] = {}

    def back(step: Proposal) -> None:
        for other in undone:
            if any(wait.key == step.key for wait in other.after):
                done[other.key].wait(60)
        action, first = provider.actions[step.action], dict[str, str]()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            verb()
            try:
                answer = action.revert(step.target, State(prior[step.key]), action.observe(step.target))
            except Transient:
                time.sleep(0.05)
                continue
            first = {**{key: one.value for key, one in answer.objects.items()}, **first}
            said[step.key] = [first, answer.reason]
            if Outcome.RESTORED not in answer.objects.values():
                break
        done[step.key].set()

    threads = [threading.Thread(target=back, args=(step,)) for step in undone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said


if __name__ == "__main__":
    asked = {"stop": stop, "restore": restore}[sys.argv[1]]
    sys.stdout.write(json.dumps(asked(json.loads(sys.argv[2]))) + "\n")
