"""What was undone after its proof is closed again at the end, and a read is always the last thing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

from breakglass.execute.engine import Ports
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.action import Verdict
from breakglass.testing.fake_cloud import FakeCloud, FakeProvider
from breakglass.usecases.close_again import PASSES, close_again
from breakglass.verify.judge import assess
from tests.engine.test_threads import CLOCK, cloud, quick, run
from tests.engine.worlds import authorised, plan_for


def stopped(
    folder: Path, world: FakeCloud, provider: FakeProvider, afterwards: Callable[[], None] = lambda: None
) -> tuple[Verdict, int]:
    """Stop all, undo one step after its proof, close again; return the verdict and the step's rounds."""
    plan = quick(plan_for(provider))
    run(folder, plan, provider)
    world.set_key("bot-1", "key-1", active=True)
    afterwards()
    with Journal.reopen(folder / "journal.jsonl", CLOCK) as journal:
        ports = Ports(CLOCK, journal, lambda _event: None, lambda: False, random.Random(1))
        assert close_again(IncidentFolder(folder), authorised(plan), {0: provider}, ports)
    after = replay(read_journal(folder / "journal.jsonl").records)
    return assess(plan, after).verdict, after[1].rounds


def test_a_key_that_another_identity_made_work_again_is_closed_again(tmp_path: Path) -> None:
    """It was proven while that identity was not denied yet; now it is proven anew, in a round of its own."""
    world = cloud(2)

    verdict, rounds = stopped(tmp_path, world, FakeProvider(world))

    assert verdict is Verdict.CONTAINED
    assert rounds > 1


def test_somebody_who_undoes_it_every_time_is_reported_open(tmp_path: Path) -> None:
    """So often and no more: who still can has means that the plan does not take away."""
    world = cloud(2)
    over = threading.Event()

    def fight() -> None:
        while not over.wait(0.01):
            world.set_key("bot-1", "key-1", active=True)

    fighter = threading.Thread(target=fight)
    try:
        verdict, rounds = stopped(tmp_path, world, FakeProvider(world), fighter.start)
    finally:
        over.set()
        fighter.join()

    assert verdict is not Verdict.CONTAINED
    assert rounds > PASSES
