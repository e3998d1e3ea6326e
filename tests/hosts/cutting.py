"""One stop, or restore, whose ssh connection is cut, and what came of it."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass.journal.sealing import verify_folder
from breakglass.report.build import Report
from breakglass_host.machine import Machine, start
from breakglass_host.machine_network import Network
from breakglass_host.remote.runner import SILENCE_S
from tests.campaign.outcome import steady
from tests.hosts import lodger
from tests.hosts.eye import Decide, Eye, eye
from tests.hosts.fleet import Fleet, fleet, reach
from tests.hosts.wire import Wire, wire

GONE_WITHIN_S = SILENCE_S + 5.0
"""A runner that hears nothing ends by itself after `SILENCE_S`."""
_OPEN = re.compile(r"process:|cgroup:|folder:|path:")
"""Keys of what other steps change at the same time, or the agent itself: who was first is open."""
_VOLATILE = (
    (re.compile(r'"flags": \d+'), '"flags": SOME'),
    (re.compile(r"breakglass cgroup \d+"), "breakglass cgroup SOME"),
)
_VARIES = re.compile(
    r"inc-fleet-[0-9a-f]{8}|systemd-private-\S+|(?<=breakglass cgroup )\d+|packets \d+ bytes \d+"
    r'|(?<=level 2 )("unified/system.slice/bot.service"|\d+)'
)
"""In what a machine tells after a stop: names that are new each time, inodes, counters.

A cgroup that systemd removed after the proof stands in a rule by its inode alone.
"""
_MOOT = ("does not matter any more", "moot")


@dataclass(frozen=True, slots=True)
class Ground:
    """A machine with the agent on it, and the way to it that can be watched and cut."""

    machine: Machine
    wire: Wire
    eye: Eye
    before: lodger.Look

    @contextmanager
    def fleet(self) -> Iterator[Fleet]:
        """Describe the agent; the way to it is the one that can be cut."""
        settings = {**lodger.SETTINGS, "ssh_config": str(self.wire.config)}
        with fleet([{**reach(self.machine), **settings}]) as made:
            yield made

    def put_up_again(self) -> None:
        """Start what a restore leaves to the owner."""
        self.machine.run("systemctl reset-failed; systemctl is-active -q bot || systemctl start bot.service")
        lodger.await_work(self.machine)

    def await_no_runner(self) -> list[str]:
        """Return which runners are left when all of them must have ended."""
        until = time.monotonic() + GONE_WITHIN_S
        while (left := lodger.runners(self.machine)) and time.monotonic() < until:
            time.sleep(0.2)
        return left


@contextmanager
def ground(name: str, network: Network | None = None) -> Iterator[Ground]:
    """Start a machine, let the agent move in, and lay the wire."""
    with start(name, network=network) as machine:
        lodger.move_in(machine)
        before = lodger.look(machine)
        with wire(machine) as laid, eye(laid.config.parent) as watching:
            yield Ground(machine, laid, watching, before)


class Cutting(Protocol):
    """Decides when the connection is cut during one run."""

    def begin(self, on: Ground) -> None:
        """Take note that the run begins: its plan is signed next, or made next (restore)."""

    def decide(self, on: Ground) -> Decide:
        """Return what the eye asks about each message."""

    def over(self, on: Ground) -> None:
        """Take note that the run has ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a stop came to."""

    verdict: str
    steps: Mapping[int, tuple[str, str, str]]
    """Verdict, grade and reason, as the report has them: it knows which no longer matter."""
    prior: Mapping[int, tuple[str, ...]]
    changed: tuple[str, ...]
    """What the stop left changed on the machine."""
    messages: int
    lasted_s: float
    open: tuple[str, ...]
    """What the report has open."""
    wrong: tuple[str, ...]
    """What is wrong whatever an undisturbed run came to."""


def stop(on: Ground, ours: Fleet, cut: Cutting | None) -> Ended:
    """Stop the agent, with a cut, and look at everything."""
    signed_s = 0.0

    def planned(_plan: object) -> None:
        nonlocal signed_s
        signed_s = time.monotonic()
        if cut:
            cut.begin(on)

    on.eye.watch(cut.decide(on) if cut else lambda _sight: True)
    try:
        ours.stop(planned=planned)
    finally:
        if cut:
            cut.over(on)
    lasted_s, messages = time.monotonic() - signed_s, on.eye.seen
    return ended_of(on, ours, messages=messages, lasted_s=lasted_s)


def ended_of(on: Ground, ours: Fleet, *, messages: int = 0, lasted_s: float = 0.0) -> Ended:
    """Look at everything: the record, the report, the machine."""
    wrong = [f"left running: {line}" for line in on.await_no_runner()]
    on.wire.release()
    histories = replay(read_journal(ours.incident.path / "journal.jsonl").records)
    report = json.loads((ours.incident.path / "report.json").read_bytes())
    return Ended(
        verdict=report["verdict"],
        steps={one["number"]: (one["verdict"], one["grade"], one["reason"]) for one in report["steps"]},
        prior={n: _prior(one.prior) for n, one in histories.items()},
        changed=_changed(on.before, lodger.look(on.machine)),
        messages=messages,
        lasted_s=lasted_s,
        open=tuple(f"{one['name']} {one['reason']}" for one in report["open"]),
        wrong=(*wrong, *record(ours)),
    )


@dataclass(frozen=True, slots=True)
class Undone:
    """What a restore came to."""

    messages: int
    lasted_s: float
    wrong: tuple[str, ...]
    """What is not as it was before the stop."""


def restore(on: Ground, ours: Fleet, cut: Cutting | None) -> Undone:
    """Undo the stop, with a cut, and look at everything."""
    on.eye.watch(cut.decide(on) if cut else lambda _sight: True)
    began_s = time.monotonic()
    if cut:
        cut.begin(on)
    try:
        _, report = ours.restore()
    finally:
        if cut:
            cut.over(on)
    lasted_s, messages = time.monotonic() - began_s, on.eye.seen
    wrong = [f"left running: {line}" for line in on.await_no_runner()]
    on.wire.release()
    on.put_up_again()
    if report.verdict.value != "contained":
        wrong += [f"restore: {report.verdict}", *open_doors(report)]
    wrong += lodger.unlike(on.before, lodger.look(on.machine))
    return Undone(messages, lasted_s, tuple(wrong))


Usual = tuple[Ended, Undone]
"""An undisturbed stop and restore: what the others are compared with, and how long they are."""


def open_doors(report: Report) -> list[str]:
    """Say what a report has open."""
    steps = [one for one in report.steps if one.verdict != "contained" and not _is_moot(one.reason)]
    said = [f"{one.action} {one.verdict}: {one.reason}" for one in steps]
    return [*said, *(f"open: {one.name} {one.reason}" for one in report.open)]


def _is_moot(reason: str) -> bool:
    return any(word in reason for word in _MOOT)


def record(ours: Fleet) -> list[str]:
    """Say what is wrong with the record itself: seals, and a change that no intent stands before."""
    key = ours.site.kit.roster.executors[0].log_key
    found = list(verify_folder(ours.incident.path, key).problems)
    open_: set[int] = set()
    for one in read_journal(ours.incident.path / "journal.jsonl").records:
        step = one.body.get("step")
        if one.type == "step.intent":
            assert isinstance(step, int)
            open_.add(step)
        elif one.type == "step.accepted":
            assert isinstance(step, int)
            if step not in open_:
                found.append(f"record {one.seq}: a change without an intent")
            open_.discard(step)
    return found


def _prior(prior: Mapping[str, object]) -> tuple[str, ...]:
    found = []
    for key, value in prior.items():
        text = steady({key: value})
        for pattern, word in _VOLATILE:
            text = pattern.sub(word, text)
        if not _OPEN.match(key):
            found.append(text)
    return tuple(sorted(found))


def unlike(expected: Ended, found: Ended) -> list[str]:
    """Say in what a stop that was cut ended otherwise than one that was not."""
    parts = []
    if expected.verdict != found.verdict:
        parts = [f"verdict {found.verdict}, undisturbed {expected.verdict}", *found.open]
    for n in sorted({*expected.steps, *found.steps}):
        was, now = expected.steps.get(n, ("", "", "")), found.steps.get(n, ("", "", ""))
        if was[:2] != now[:2] and not _is_moot(now[2]):
            parts.append(f"step {n}: {was} became {now}")
        before, after = expected.prior.get(n, ()), found.prior.get(n, ())
        # A step that found its work done (by another one) changed nothing and saw nothing.
        if before and after and before != after:
            parts.append(f"prior of step {n}: {set(before) - set(after)} became {set(after) - set(before)}")
    usual, now_done = Counter(expected.changed), Counter(found.changed)
    parts += [f"no longer done: {one}" for one in (usual - now_done).elements()]
    return parts + [f"also done: {one}" for one in (now_done - usual).elements()]


def _changed(before: lodger.Look, after: lodger.Look) -> tuple[str, ...]:
    """Name each change without its time; what lies in a vault has the bytes that it had (restore tells)."""
    found = []
    for name in sorted({*before.files, *after.files}):
        was, now = before.files.get(name), after.files.get(name)
        if was != now:
            mode, uid, gid, _, text = now or (0, 0, 0, 0, "")
            found.append(f"{name} {mode:o} {uid} {gid} {'' if '/.breakglass-aside/' in name else text}")
    return (*found, *_VARIES.sub("SOME", after.told).splitlines())
