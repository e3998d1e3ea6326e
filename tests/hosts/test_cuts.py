"""The ssh connection is cut at random instants: no step is lost or done twice, and nothing is left behind."""

from __future__ import annotations

import random
import statistics
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from tests.hosts.cuts import Cut
from tests.hosts.cutting import Ended, Ground, Undone, Usual, ground, restore, stop, unlike
from tests.hosts.wire import Kind

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(3600)]

RUNS = 200
SAMPLE = (0, 1, 2, 3, 4, 5, 6, 7)
LANES = 3
"""So many machines at a time: a run mostly waits."""
_KINDS = (Kind.CLOSED, Kind.REFUSED, Kind.AGAIN, Kind.NEAR, Kind.SILENT, Kind.FAR)
_OFTEN = (Kind.CLOSED, Kind.AGAIN, Kind.REFUSED, Kind.NEAR)
"""After the first round, those in which nobody has to wait for a silence to be noticed come more often."""
_EVERY_THIRD = 3


@dataclass(slots=True)
class Tally:
    """What came of all runs."""

    runs: int = 0
    problems: list[str] = field(default_factory=list)
    cuts: list[tuple[str, Cut]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, seed: int, cuts: Sequence[tuple[str, Cut]], wrong: Sequence[str]) -> None:
        """Add one run."""
        with self.lock:
            self.runs += 1
            self.cuts += [(during, cut) for during, cut in cuts if cut.made_s]
            said = "; ".join(f"{during}: {cut}" for during, cut in cuts)
            self.problems += [f"seed {seed} ({said}): {one}" for one in wrong]

    def __str__(self) -> str:
        """Say the figures."""
        lines = [f"{self.runs} runs, {len(self.cuts)} cuts, {len(self.problems)} problems"]
        hit = Counter(verb for _, cut in self.cuts for verb in set(cut.hit))
        lines.append("hit: " + ", ".join(f"{verb} {count}" for verb, count in hit.most_common()))
        for kind in Kind:
            backs = [cut.back_s for _, cut in self.cuts if cut.kind is kind and cut.back_s]
            if backs:
                lines.append(
                    f"{kind}: {sum(cut.kind is kind for _, cut in self.cuts)} cuts, connected again after"
                    f" {min(backs):.2f} / {statistics.median(backs):.2f} / {max(backs):.2f} s"
                )
        return "\n".join([*lines, *self.problems])


def drawn(seed: int, during: str, usual: Ended | Undone) -> Cut:
    """Decide how and when a run is cut."""
    chance = random.Random(f"{seed} {during}")
    kind = chance.choice(_OFTEN) if seed % len(_KINDS) and seed >= 2 * len(_KINDS) else _KINDS[seed % 6]
    if seed >= 2 * len(_KINDS) and seed % len(_KINDS) == 0:
        kind = chance.choice((Kind.SILENT, Kind.FAR))
    cut = Cut(kind, chance, lose=chance.random() < 0.5)
    if chance.random() < 0.7:
        # The first few messages are the greeting of the first connection: there is nothing to lose yet.
        cut.at_message = chance.randint(4, usual.messages)
    else:
        cut.after_s = chance.uniform(0.0, usual.lasted_s)
    return cut


def one_run(on: Ground, seed: int, usual: Usual, tally: Tally) -> bool:
    """Stop and restore once; return whether all was well."""
    cuts, wrong = [("stop", drawn(seed, "stop", usual[0]))], list[str]()
    try:
        with on.fleet() as ours:
            ended = stop(on, ours, cuts[0][1])
            wrong += [*ended.wrong, *unlike(usual[0], ended)]
            if seed % _EVERY_THIRD == 0:
                cuts.append(("restore", drawn(seed, "restore", usual[1])))
            undone = restore(on, ours, cuts[1][1] if cuts[1:] else None)
            wrong += [f"restore: {one}" for one in undone.wrong]
    except Exception as error:  # noqa: BLE001 - told with its seed; the other runs go on
        wrong.append(f"{type(error).__name__}: {error}")
    tally.add(seed, cuts, wrong)
    return not wrong


def lane(seeds: Iterator[int], lock: threading.Lock, usual: Usual, tally: Tally) -> None:
    """Take one seed after the other; a machine on which something went wrong is not used again."""
    while True:
        with ExitStack() as undo:
            on: Ground | None = None
            while True:
                with lock:
                    seed = next(seeds, None)
                if seed is None:
                    return
                on = on or undo.enter_context(ground("lodge"))
                if not one_run(on, seed, usual, tally):
                    break


def test_cut_at_any_instant_a_stop_ends_as_if_nothing_had_happened(usual: Usual, *, full: bool) -> None:
    """Contained, every prior state kept, nothing done twice, no process or file left; then back as it was."""
    tally, lock = Tally(), threading.Lock()
    seeds = iter(range(RUNS) if full else SAMPLE)
    with ThreadPoolExecutor(LANES) as lanes:
        for ended in [lanes.submit(lane, seeds, lock, usual, tally) for _ in range(LANES)]:
            ended.result()
    print(tally)  # noqa: T201 - the campaign's figures
    assert [] == tally.problems
    assert len(SAMPLE) <= tally.runs
