"""The ledger: what was used once is used up, across crashes and processes; one stop per agent."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from breakglass.clock import Instant
from breakglass.errors import (
    DiskRefused,
    NotAuthorised,
    RecordDamaged,
    StopInProgress,
    Unreachable,
    UsageError,
)
from breakglass.journal.ledger import Ledger, Running
from tests.journal.making import CLOCK, SettableClock

PLAN, OTHER_PLAN = "a" * 64, "b" * 64
LOCKER = (
    "import sys, pathlib, time\n"
    "from breakglass.clock import SystemClock\n"
    "from breakglass.journal.ledger import Ledger\n"
    "ledger = Ledger.open(pathlib.Path(sys.argv[1]), SystemClock(), create=False)\n"
    "with ledger.lock_agent('bot', 'INC-1'):\n"
    "    print('held', flush=True)\n"
    "    sys.stdin.read()\n"
)
CLAIMER = (
    "import sys, pathlib\n"
    "from breakglass.clock import SystemClock\n"
    "from breakglass.errors import NotAuthorised\n"
    "from breakglass.journal.ledger import Ledger\n"
    "ledger = Ledger.open(pathlib.Path(sys.argv[1]), SystemClock(), create=False)\n"
    "sys.stdin.readline()\n"
    "try: ledger.claim('c' * 64, 'nonce', sys.argv[2])\n"
    "except NotAuthorised: sys.exit(5)\n"
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Make a state folder."""
    Ledger.open(tmp_path / "state", CLOCK, create=True).close()
    return tmp_path / "state"


def reopened(state: Path) -> Ledger:
    """Open the state folder as the next process would."""
    return Ledger.open(state, CLOCK, create=False)


@pytest.mark.parametrize(
    ("plan", "nonce", "said"), [(PLAN, "n2", "this plan was used"), (OTHER_PLAN, "n1", "nonce was used")]
)
def test_a_plan_or_nonce_is_used_once(state: Path, plan: str, nonce: str, said: str) -> None:
    """Also after a restart, and also by the same incident: running it again is not resuming it."""
    reopened(state).claim(PLAN, "n1", "INC-1")
    for ledger in (reopened(state), reopened(state)):
        with pytest.raises(NotAuthorised, match=said):
            ledger.claim(plan, nonce, "INC-1")


def test_a_resume_finds_its_own_claim_and_no_other(state: Path) -> None:
    """The same plan, nonce and incident go on; one that differs in anything does not."""
    reopened(state).claim(PLAN, "n1", "INC-1")

    assert reopened(state).claimed_at(PLAN, "n1", "INC-1") is not None
    for claim in ((PLAN, "n1", "INC-2"), (PLAN, "n2", "INC-1"), (OTHER_PLAN, "n1", "INC-1")):
        assert reopened(state).claimed_at(*claim) is None


def test_a_plan_that_was_never_claimed_has_no_start_to_go_on_from(state: Path) -> None:
    """A forged folder says that a plan was claimed long ago; the ledger does not, and it decides."""
    assert reopened(state).claimed_at(PLAN, "n1", "INC-1") is None


def test_a_process_that_keeps_the_lock_does_not_hang_the_stop(state: Path) -> None:
    """After the wait the stop says who to look for, instead of waiting for a stopped process forever."""
    ledger = Ledger.open(state, SettableClock(1), create=False)
    with (state / "ledger.lock").open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Unreachable, match="held this lock") as held:
            ledger.claim(PLAN, "n1", "INC-1")

    assert f"fuser {state / 'ledger.lock'}" in held.value.remedy


def test_a_torn_claim_was_never_made(state: Path) -> None:
    """A crash while the claim is written leaves a tail that is moved aside; the plan is still unused."""
    reopened(state).claim(PLAN, "n1", "INC-1")
    with (state / "ledger.jsonl").open("ab") as file:
        file.write(b'{"body":{"incident":"INC-2"')
    ledger = reopened(state)
    ledger.claim(OTHER_PLAN, "n2", "INC-2")

    assert (state / "ledger.torn.1").exists()
    assert ("INC-1", "INC-2") == reopened(state).known_incidents()


def test_of_many_processes_exactly_one_claims(state: Path) -> None:
    """Six start together with the same nonce: one gets it, five are told no, nothing is damaged."""
    children = [
        subprocess.Popen([sys.executable, "-c", CLAIMER, state, f"INC-{n}"], stdin=subprocess.PIPE)
        for n in range(6)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()
    codes = sorted(child.wait(30) for child in children)

    assert [0, 5, 5, 5, 5, 5] == codes
    assert 1 == len(reopened(state).known_incidents())


def test_of_many_threads_exactly_one_claims(state: Path) -> None:
    """One ledger object, sixteen threads, one nonce."""
    ledger = reopened(state)

    def claim(n: int) -> int:
        try:
            ledger.claim(f"{n:064x}", "nonce", f"INC-{n}")
        except NotAuthorised:
            return 0
        return 1

    with ThreadPoolExecutor(16) as pool:
        assert 1 == sum(pool.map(claim, range(16)))


def test_two_incidents_use_the_ledger_side_by_side(state: Path) -> None:
    """Neither holds it, and each sees what the other wrote."""
    one, two = reopened(state), reopened(state)
    one.claim(PLAN, "n1", "INC-1")
    two.claim(OTHER_PLAN, "n2", "INC-2")
    with pytest.raises(NotAuthorised):
        one.claim(OTHER_PLAN, "n3", "INC-3")

    assert ("INC-1", "INC-2") == one.known_incidents() == two.known_incidents()


def test_the_highest_roster_is_remembered_per_organisation(state: Path) -> None:
    """An older one is a rollback, another one of the same version a fork; the same again costs nothing."""
    ledger = reopened(state)
    ledger.remember_roster("example.com", 7, "7" * 64)
    ledger.remember_roster("other.org", 2, "2" * 64)
    size = (state / "ledger.jsonl").stat().st_size
    ledger.remember_roster("example.com", 7, "7" * 64)
    for version, digest in ((6, "6" * 64), (7, "8" * 64)):
        with pytest.raises(NotAuthorised):
            reopened(state).remember_roster("example.com", version, digest)

    assert (7, 2, 0) == tuple(
        reopened(state).highest_roster(org) for org in ("example.com", "other.org", "x")
    )
    assert size == (state / "ledger.jsonl").stat().st_size


def test_a_seal_is_remembered_and_cannot_change(state: Path) -> None:
    """Who replaces a sealed folder by another validly signed one is found out."""
    reopened(state).record_seal("INC-1", "", "c" * 64)
    reopened(state).record_seal("INC-1", "", "c" * 64)
    reopened(state).record_seal("INC-1", "1-restore", "d" * 64)
    with pytest.raises(RecordDamaged, match="another checkpoint"):
        reopened(state).record_seal("INC-1", "", "e" * 64)

    assert {("INC-1", ""): "c" * 64, ("INC-1", "1-restore"): "d" * 64} == reopened(state).seals()


def test_the_last_time_is_the_latest_and_not_the_newest(tmp_path: Path) -> None:
    """A clock that went back does not hide that it did."""
    clock = SettableClock(2_000_000)
    ledger = Ledger.open(tmp_path / "state", clock, create=True)

    assert ledger.last_record_at() is None

    ledger.claim(PLAN, "n1", "INC-1")
    clock.epoch_ms = 1_000_000
    ledger.claim(OTHER_PLAN, "n2", "INC-2")

    assert Instant(2_000_000) == ledger.last_record_at()


@pytest.mark.parametrize("name", ["cut", "emptied", "changed", "removed"])
def test_a_ledger_that_forgot_something_is_damaged(state: Path, name: str) -> None:
    """Forgetting a claim would let its plan run twice, so a missing record is never recovery."""
    ledger = reopened(state)
    ledger.claim(PLAN, "n1", "INC-1")
    ledger.claim(OTHER_PLAN, "n2", "INC-2")
    ledger.close()
    path = state / "ledger.jsonl"
    whole = path.read_bytes()
    if name == "removed":
        path.unlink()
    else:
        changed = {
            "cut": whole.splitlines(keepends=True)[0],
            "emptied": b"",
            "changed": whole.replace(b"INC-2", b"INC-9"),
        }
        path.write_bytes(changed[name])
    for create in (False, True):
        with pytest.raises(RecordDamaged):
            Ledger.open(state, CLOCK, create=create)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o750, 0o777, 0o701])
def test_a_folder_that_is_open_to_others_is_refused(state: Path, mode: int) -> None:
    """Any right of group or world is one too many; the remedy is the command that takes it away."""
    state.chmod(mode)
    with pytest.raises(NotAuthorised, match=f"{mode:04o}") as refused:
        reopened(state)

    assert f"chmod 0700 {state}" == refused.value.remedy


def test_a_folder_of_somebody_else_is_refused(state: Path) -> None:
    """What another account owns, it can rewrite."""
    if os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    os.chown(state, 12345, 12345)
    with pytest.raises(NotAuthorised, match="another account"):
        reopened(state)


def test_a_link_or_nothing_in_the_folders_place_is_refused(tmp_path: Path, state: Path) -> None:
    """A missing folder is made only where that was asked for; a link is never followed."""
    (tmp_path / "link").symlink_to(state)
    for create in (False, True):
        with pytest.raises(NotAuthorised, match="a link"):
            Ledger.open(tmp_path / "link", CLOCK, create=create)
    with pytest.raises(UsageError, match="no state folder"):
        Ledger.open(tmp_path / "none", CLOCK, create=False)

    assert not (tmp_path / "none").exists()


def test_an_agent_that_another_process_stops_names_the_incident(state: Path) -> None:
    """The second stop is told who has it and what to type; the lock dies with its process, by kill -9 too."""
    ledger = reopened(state)
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, state], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert b"held\n" == other.stdout.readline()
        with (
            pytest.raises(StopInProgress, match="by incident INC-1") as refused,
            ledger.lock_agent("bot", "INC-2"),
        ):
            pytest.fail("two stops of one agent")
        with ledger.lock_agent("another-bot", "INC-2"):
            pass
        other.kill()
        other.wait()
        with ledger.lock_agent("bot", "INC-2"):
            pass

    assert "breakglass resume INC-1" == refused.value.remedy
    assert 6 == refused.value.exit_code


def test_an_agents_name_cannot_leave_the_folder(state: Path) -> None:
    """A name with slashes is one file; what is no name is refused."""
    with reopened(state).lock_agent("team/bot:v1@eu", "INC-1"):
        assert ["team%2Fbot:v1@eu.lock"] == [entry.name for entry in (state / "locks").iterdir()]
    for name in ("", "..", "../x", "a\nb", "a" * 200):
        with pytest.raises(UsageError), reopened(state).lock_agent(name, "INC-1"):
            pytest.fail("locked")


def test_a_lock_that_is_a_link_is_refused(state: Path) -> None:
    """The file behind a link would be emptied."""
    (state / "locks").mkdir(0o700)
    (state / "locks" / "bot.lock").symlink_to(state / "ledger.jsonl")
    with pytest.raises(DiskRefused), reopened(state).lock_agent("bot", "INC-1"):
        pytest.fail("locked")


def test_a_run_that_began_and_was_not_sealed_is_named_until_it_can_no_longer_resume(state: Path) -> None:
    """A second stop learns of it; after its time, or once it is sealed, nothing is in the way."""
    ledger = Ledger.open(state, SettableClock(1_000), create=True)
    ledger.claim(PLAN, "n1", "INC-1", Running("bot", "/incidents/INC-1", Instant(5_000)))

    assert (("INC-1", "/incidents/INC-1"),) == ledger.unfinished("bot", Instant(4_999))
    assert () == ledger.unfinished("another", Instant(4_999))
    assert () == ledger.unfinished("bot", Instant(5_000))
    ledger.record_seal("INC-1", "", "0" * 64)
    assert () == ledger.unfinished("bot", Instant(4_999))
