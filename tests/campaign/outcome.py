"""What a stop came to, read from the world and from its folder: what every crash must leave the same."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from breakglass.drill.listing import differences, listing
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import StepHistory, replay
from breakglass.journal.reader import read_journal, read_sealed
from breakglass.journal.sealing import verify_folder
from breakglass.model.action import Capability
from breakglass.model.plan import Plan
from breakglass.usecases.contain import finish
from breakglass.usecases.restore import RestoreRequest, open_restore
from tests.campaign.world import World

_VOLATILE = (
    (re.compile(r"/tmp/breakglass-campaign-[a-z0-9_]+"), "BASE"),  # noqa: S108 - a pattern, not a file
    (re.compile(r"process:\d+@\d+"), "process"),
    (re.compile(r"\bnet:\d+"), "net"),
    (re.compile(r"\b\d+:\d+\b"), "INODE"),
    (re.compile(r"\(\d+ \d{19}\)"), "(INODE TIME)"),
    (re.compile(r"\b\d{19}\b"), "TIME"),
    (re.compile(r"\b[0-9a-f]{16,64}\b"), "HEX"),
    (re.compile(r'"uid": \d+'), '"uid": AGENT'),
    # Steps run side by side: whether the client was disabled before its tokens were read, or the agent
    # killed before its connections were listed, is open. Neither can be put back.
    (re.compile(r'"active": (true|false), "client": "[^"]*"'), '"active": SOME'),
    (re.compile(r'"sockets": \[[^\]]*\]'), '"sockets": SOME'),
)


def steady(value: object) -> str:
    """Return a value without what differs from one agent to the next, although nothing else does."""
    text = json.dumps(value, sort_keys=True)
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a stop."""

    verdict: str
    steps: Mapping[int, tuple[str, str, str]]
    """Verdict, grade and reason of each step that was closed."""
    prior: Mapping[int, tuple[str, ...]]
    """What each step saw first of each object that it changed."""
    rules: str
    processes: int
    tokens_active: tuple[bool, bool]
    client_enabled: bool
    files: tuple[str, ...]
    """What differs from before, in the agent's own folder."""
    claims: int
    seals: int


NOTHING = ("", "", "")


def unlike(expected: Outcome, found: Outcome) -> list[str]:
    """Say in what two stops ended differently."""
    parts = [
        f"{field.name}: {getattr(expected, field.name)} became {getattr(found, field.name)}"
        for field in fields(Outcome)
        if field.name not in {"prior", "steps"}
        and getattr(expected, field.name) != getattr(found, field.name)
    ]
    for n in sorted({*expected.steps, *found.steps}):
        first, second = expected.steps.get(n, NOTHING), found.steps.get(n, NOTHING)
        # A new executor finds no way into a network namespace whose last process ended: moot, not open.
        if first[:2] != second[:2] and "moot: the network namespace ended" not in second[2]:
            parts.append(f"step {n}: {first} became {second}")
        was, now = expected.prior.get(n, ()), found.prior.get(n, ())
        # A step that found its work done (the tokens of a disabled client) changed nothing and saw nothing.
        if was and now and was != now:
            parts.append(f"prior of step {n}: {set(was) - set(now)} became {set(now) - set(was)}")
    return parts


def outcome(world: World) -> Outcome:
    """Look at everything. The journal must be whole and sealed."""
    histories = replay(read_sealed(world.incident).records)
    ledger = (world.grounds.operator / "state" / "ledger.jsonl").read_text().splitlines()
    kinds = [json.loads(line)["type"] for line in ledger]
    return Outcome(
        verdict=json.loads((world.incident / "report.json").read_bytes())["verdict"],
        steps={n: _end(step) for n, step in histories.items() if step.closed},
        prior={n: prior(step) for n, step in histories.items()},
        rules=re.sub(r"packets \d+ bytes \d+", "", world.rules()),
        processes=len(world.processes()),
        tokens_active=(world.is_active("access_token"), world.is_active("refresh_token")),
        client_enabled=world.can_mint(),
        files=differences(world.before, listing(world.grounds.agent)),
        claims=kinds.count("ledger.claimed"),
        seals=kinds.count("ledger.run_sealed"),
    )


def _end(step: StepHistory) -> tuple[str, str, str]:
    return step.verdict.value, step.grade.value, steady(step.reason)


def prior(step: StepHistory) -> tuple[str, ...]:
    """Return the prior states of a step, so that they can be compared with another run's."""
    return tuple(sorted(steady({key: value}) for key, value in step.prior.items()))


def complaints(world: World) -> list[str]:
    """Return what is wrong with the record itself, whatever it tells of."""
    found = list(verify_folder(world.incident, log_key(world)).problems)
    records = read_journal(world.incident / "journal.jsonl").records
    plan = Plan.from_bytes((world.incident / "plan.json").read_bytes(), where="plan")
    evidence = {step.n for step in plan.steps if step.capability is Capability.SNAPSHOT_LOGS}
    answered: dict[int, bool] = {}
    for record in records:
        step = record.body.get("step")
        if record.type == "step.intent":
            assert isinstance(step, int)
            # Evidence that a full disk cut short is read as incomplete: it changes nothing of the agent's.
            whole = record.body["complete"] is True or step in evidence
            if not isinstance(record.body["objects"], dict) or not whole:
                found.append(f"record {record.seq}: an intent without the whole prior state")
            answered[step] = False
        elif record.type == "step.accepted":
            assert isinstance(step, int)
            if answered.get(step) is not False:
                found.append(f"record {record.seq}: a change without an intent")
            answered[step] = True
    persons = [str(r.body["person"]) for r in records if r.type == "signature.accepted"]
    if len(persons) != len(set(persons)):
        found.append(f"signatures recorded twice: {persons}")
    once = ("stop.issued", "run.opened", "plan.claimed", "run.sealed")
    kinds = [record.type for record in records]
    return found + [f"not exactly one {kind}" for kind in once if kinds.count(kind) != 1]


def log_key(world: World) -> str:
    """Return the log key that the roster pins."""
    [executor] = world.site.kit.roster.executors
    return executor.log_key


def restore(world: World) -> tuple[str, ...]:
    """Undo the stop on two signatures of its own; return what of the agent's files is not as it was."""
    wish = RestoreRequest("the campaign is over", world.operators[0].name)
    opened = open_restore(world.site, IncidentFolder(world.incident), wish, secrets.token_bytes)
    try:
        world.sign(Path(opened.run.folder.path) / "plan.json", *world.operators[1:3])
        finish(opened, {}, observer=lambda _event: None, cancelled=lambda: False)
    finally:
        opened.close()
    return differences(world.before, listing(world.grounds.agent))
