"""The writer: durable, chained, one at a time; many threads, one sync; dead after the first failure."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakglass.canon import MAX_INTEGER, Json
from breakglass.errors import BreakglassError, DiskRefused, RecordDamaged, StopInProgress, UsageError
from breakglass.journal.chain import Head
from breakglass.journal.reader import read_journal
from breakglass.journal.segment import Segment
from breakglass.journal.writer import Journal, Watch
from breakglass.model.records import ZERO_DIGEST, Record
from tests.journal.making import CLOCK, SettableClock, write_journal

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_a_record_reads_back_as_it_was_returned(tmp_path: Path) -> None:
    """What `append` returns is what a reader finds, and each record names the one before it."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        written = tuple(journal.append("step.started", {"step": n}) for n in range(3))

    assert written == read_journal(path).records
    assert [ZERO_DIGEST, written[0].digest, written[1].digest] == [record.prev for record in written]
    assert [0, 1, 2] == [record.seq for record in written]


@settings(max_examples=60, deadline=None)
@given(bodies=st.lists(st.dictionaries(TEXT, VALUES, max_size=4), max_size=6))
def test_any_body_of_strict_json_survives(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[dict[str, Json]]
) -> None:
    """Control characters, newlines, quotes and bidi marks in a body change nothing about the lines."""
    path = tmp_path_factory.mktemp("any") / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        for body in bodies:
            journal.append("step.intent", body)

    assert bodies == [record.body for record in read_journal(path).records]
    assert len(bodies) == path.read_bytes().count(b"\n")


def test_tuples_and_read_only_mappings_are_written_as_json(tmp_path: Path) -> None:
    """A body may hold the frozen values that the engine works with."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        record = journal.append("step.intent", MappingProxyType({"objects": MappingProxyType({"a": None})}))

    assert {"objects": {"a": None}} == record.body == read_journal(path).records[0].body


@pytest.mark.parametrize(
    "body",
    [
        {"a": 1.5},
        {"a": float("nan")},
        {"a": 2**53},
        {"a": "\ud800"},
        {"a": b"x"},
        {"a": {1, 2}},
        ["not", "an", "object"],
    ],
)
def test_a_body_that_a_reader_would_refuse_is_refused_before_it_is_written(
    tmp_path: Path, body: object
) -> None:
    """A bug of ours must not make the journal unreadable; the journal goes on."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        with pytest.raises(BreakglassError, match="journal"):
            journal.append("step.intent", body)  # type: ignore[arg-type]  # that is the point
        journal.append("step.intent", {})

    assert 1 == len(read_journal(path).records)


def test_a_body_nested_deeper_than_a_reader_allows_is_refused(tmp_path: Path) -> None:
    """The depth counts from the line, not from the body."""
    deep: Json = "x"
    for _ in range(64):
        deep = [deep]
    with Journal.create(tmp_path / "journal.jsonl", CLOCK) as journal, pytest.raises(BreakglassError):
        journal.append("step.intent", {"a": deep})


def test_an_unknown_type_is_refused(tmp_path: Path) -> None:
    """A reader knows the types of the table and no others, so the writer does too."""
    with (
        Journal.create(tmp_path / "journal.jsonl", CLOCK) as journal,
        pytest.raises(BreakglassError, match=r"step\.finished"),
    ):
        journal.append("step.finished", {})


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """Prior state is nobody else's business."""
    before = os.umask(0)
    try:
        path = write_journal(tmp_path / "journal.jsonl", range(1))
    finally:
        os.umask(before)

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_sixteen_threads_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Every record is there when `append` returns, each thread's own in its order, the chain whole."""
    path = tmp_path / "journal.jsonl"
    missing: list[Record] = []

    def work(thread: int) -> None:
        for n in range(25):
            record = journal.append("step.accepted", {"step": thread, "round": n})
            if b'"seq":%d,' % record.seq not in path.read_bytes():
                missing.append(record)

    with Journal.create(path, CLOCK) as journal, ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))
    records = read_journal(path).records

    assert [] == missing
    assert 16 * 25 == len(records)
    for thread in range(16):
        assert list(range(25)) == [r.body["round"] for r in records if r.body["step"] == thread]
    assert sorted(r.monotonic_us for r in records) == [r.monotonic_us for r in records]


def test_threads_that_wait_share_one_write(tmp_path: Path) -> None:
    """While the first record's hook runs, others queue up; they come out in one batch, all durable."""
    path = tmp_path / "journal.jsonl"
    seen: list[int] = []
    first_is_out, go_on = threading.Event(), threading.Event()

    def hold_the_first(record: Record) -> None:
        seen.append(len(read_journal(path).records))
        if record.seq == 0:
            first_is_out.set()
            go_on.wait(10)

    with (
        Journal.create(path, CLOCK, watch=Watch(after=hold_the_first)) as journal,
        ThreadPoolExecutor(9) as pool,
    ):
        pool.submit(journal.append, "step.started", {"step": 0})
        assert first_is_out.wait(10)
        others = [pool.submit(journal.append, "step.started", {"step": n}) for n in range(1, 9)]
        while len(journal._queue) < 8:  # noqa: SLF001 - nothing else tells that all eight wait
            threading.Event().wait(0.001)
        go_on.set()
        assert set(range(1, 9)) == {other.result().seq for other in others}

    assert [1, *[9] * 8] == seen


def test_a_clock_that_steps_back_is_recorded_and_harms_nothing(tmp_path: Path) -> None:
    """The wall clock is for people; order comes from the chain and durations from the monotonic clock."""
    clock = SettableClock(2_000_000)
    with Journal.create(tmp_path / "journal.jsonl", clock) as journal:
        journal.append("step.started", {})
        clock.epoch_ms = 1_000_000
        journal.append("step.started", {})
    first, second = read_journal(tmp_path / "journal.jsonl").records

    assert (2_000_000, 1_000_000) == (first.at.epoch_ms, second.at.epoch_ms)
    assert first.monotonic_us < second.monotonic_us


def test_two_writers_are_impossible(tmp_path: Path) -> None:
    """Neither a second create nor a reopen gets in while the first is open; afterwards reopen does."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        journal.append("step.started", {})
        with pytest.raises(StopInProgress, match="another run"):
            Journal.create(path, CLOCK)
        with pytest.raises(StopInProgress) as refused:
            Journal.reopen(path, CLOCK)
    Journal.reopen(path, CLOCK).close()

    assert f"breakglass resume {tmp_path}" in refused.value.remedy


def test_a_link_in_the_place_of_the_journal_is_not_followed(tmp_path: Path) -> None:
    """Somebody else's file is never appended to."""
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "other")

    with pytest.raises(StopInProgress):
        Journal.create(tmp_path / "journal.jsonl", CLOCK)
    with pytest.raises(DiskRefused):
        Journal.reopen(tmp_path / "journal.jsonl", CLOCK)
    with pytest.raises(RecordDamaged, match="symbolic link"):
        read_journal(tmp_path / "journal.jsonl")


def test_a_closed_journal_takes_no_more(tmp_path: Path) -> None:
    """Closing twice is fine; appending after it is a bug of ours."""
    journal = Journal.create(tmp_path / "journal.jsonl", CLOCK)
    journal.close()
    journal.close()
    with pytest.raises(BreakglassError, match="closed"):
        journal.append("step.started", {})


def test_a_run_that_never_started_cannot_go_on(tmp_path: Path) -> None:
    """There is nothing to reopen, and nothing is made."""
    with pytest.raises(UsageError, match="never started"):
        Journal.reopen(tmp_path / "journal.jsonl", CLOCK)

    assert [] == list(tmp_path.iterdir())


def test_a_write_that_fails_is_never_tried_again() -> None:
    """The device that is always full: the disk is named as full, and stays refused."""
    segment = Segment.open(Path("/dev/full"))
    for _ in range(2):
        with pytest.raises(DiskRefused, match="the disk is full"):
            segment.append(b"line\n")
    segment.close()


def test_every_thread_is_told_that_the_disk_is_full_and_what_to_do() -> None:
    """Each gets an error of its own with the cause, what was not done and the remedy; so do later ones."""
    journal = Journal(Segment.open(Path("/dev/full")), Head(), CLOCK, Watch())

    def append(n: int) -> DiskRefused:
        with pytest.raises(DiskRefused) as refused:
            journal.append("step.started", {"step": n})
        return refused.value

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(append, range(16)))
    journal.close()

    assert 16 == len({id(error) for error in told})
    assert {"the disk is full"} == {error.what for error in told}
    assert all("no change that waits for it was made" in error.not_done for error in told)
    assert {"free space or repair the disk, then: breakglass resume /dev"} == {e.remedy for e in told}


def test_an_interrupt_in_the_middle_ends_the_journal_and_loses_nothing(tmp_path: Path) -> None:
    """What a signal handler raises while a batch is written leaves a dead segment, never a wrong number."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, CLOCK) as journal:
        journal.append("step.started", {})
        journal._segment.abandon()  # noqa: SLF001 - no signal can be aimed between two bytecodes
        with pytest.raises(DiskRefused, match="Interrupted"):
            journal.append("step.started", {})
    with Journal.reopen(path, CLOCK) as journal:
        assert 1 == journal.append("run.resumed", {}).seq


def test_a_hook_that_raises_is_heard_by_the_one_who_appends(tmp_path: Path) -> None:
    """The record is durable all the same, and the next one follows it."""
    path = tmp_path / "journal.jsonl"

    def hook(record: Record) -> None:
        if record.seq == 0:
            raise ValueError("hook")

    with Journal.create(path, CLOCK, watch=Watch(after=hook)) as journal:
        with pytest.raises(ValueError, match="hook"):
            journal.append("step.started", {})
        assert 1 == journal.append("step.started", {}).seq

    assert 2 == len(read_journal(path).records)


def test_a_record_that_waits_when_the_journal_closes_is_written(tmp_path: Path) -> None:
    """A thread that was interrupted while it waited leaves its record in the queue; close takes it along."""
    path = tmp_path / "journal.jsonl"
    first_is_out, go_on = threading.Event(), threading.Event()

    def hold_the_first(record: Record) -> None:
        if record.seq == 0:
            first_is_out.set()
            go_on.wait(10)

    journal = Journal.create(path, CLOCK, watch=Watch(after=hold_the_first))
    with ThreadPoolExecutor(3) as pool:
        pool.submit(journal.append, "step.started", {"step": 0})
        assert first_is_out.wait(10)
        waiting = pool.submit(journal.append, "step.started", {"step": 1})
        closing = pool.submit(journal.close)
        go_on.set()
        closing.result()
        with contextlib.suppress(BreakglassError):
            waiting.result()
    count = len(read_journal(path).records)

    assert (2 if waiting.exception() is None else 1) == count


def test_a_sync_that_fails_kills_the_segment_before_the_next_write(tmp_path: Path) -> None:
    """A pipe takes bytes and cannot sync them: one write arrives, and never a second one."""
    os.mkfifo(tmp_path / "pipe")
    segment = Segment.open(tmp_path / "pipe")
    for line in (b"first\n", b"second\n"):
        with pytest.raises(DiskRefused):
            segment.append(line)
    with (tmp_path / "pipe").open("rb", buffering=0) as pipe:
        arrived = pipe.read(100)
    segment.close()

    assert b"first\n" == arrived
