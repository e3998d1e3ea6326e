"""The reader: no byte of a journal can be changed, cut, added or moved without being seen."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakglass.canon import canonical, parse
from breakglass.errors import RecordDamaged, UsageError
from breakglass.journal.reader import read_journal, read_sealed
from breakglass.journal.writer import Journal
from breakglass.keys.key_file import FileSigner
from tests.journal.making import CLOCK, log_signer, sealed_folder, write_journal


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    """Make one log key for the module."""
    return log_signer(tmp_path_factory.mktemp("key"))


@pytest.fixture
def sealed(tmp_path: Path, signer: FileSigner) -> Path:
    """Make a sealed folder of six records."""
    return sealed_folder(tmp_path / "INC-1", signer)


def test_truncation_at_any_offset_loses_no_complete_record(tmp_path: Path) -> None:
    """What is left of an unsealed journal is its whole lines and a torn tail, at every single offset."""
    data = write_journal(tmp_path / "whole.jsonl", range(6)).read_bytes()
    records = read_journal(tmp_path / "whole.jsonl").records
    cut = tmp_path / "journal.jsonl"
    for offset in range(len(data) + 1):
        cut.write_bytes(data[:offset])
        contents = read_journal(cut)
        complete = data[:offset].count(b"\n")

        assert records[:complete] == contents.records
        assert data[:offset] == b"".join(line + b"\n" for line in contents.lines) + contents.torn_tail


def test_a_sealed_journal_cut_at_any_offset_is_damaged(sealed: Path) -> None:
    """Also when nothing but the final newline is missing."""
    path = sealed / "journal.jsonl"
    data = path.read_bytes()
    for offset in range(len(data)):
        path.write_bytes(data[:offset])
        with pytest.raises(RecordDamaged):
            read_sealed(sealed)


def test_every_flipped_bit_of_a_sealed_journal_is_seen(sealed: Path) -> None:
    """With a checkpoint there is no blind spot, not even in the last record."""
    path = sealed / "journal.jsonl"
    data = path.read_bytes()
    for n in range(len(data)):
        changed = bytearray(data)
        changed[n] ^= 1 << (n % 8)
        path.write_bytes(changed)
        with pytest.raises(RecordDamaged):
            read_sealed(sealed)


def test_every_flipped_bit_before_the_last_record_is_seen_without_a_checkpoint(tmp_path: Path) -> None:
    """The chain alone misses only what nothing follows yet."""
    path = write_journal(tmp_path / "journal.jsonl", range(4))
    data = path.read_bytes()
    for n in range(data[:-1].rindex(b"\n")):
        changed = bytearray(data)
        changed[n] ^= 1 << (n % 8)
        path.write_bytes(changed)
        with pytest.raises(RecordDamaged):
            read_journal(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_edit_of_lines_is_accepted(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Lines dropped, doubled, swapped or moved are not the journal that was sealed."""
    folder = tmp_path_factory.mktemp("edit") / "INC-1"
    signer = log_signer(folder.parent)
    path = sealed_folder(folder, signer, steps=4) / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    edited = data.draw(st.lists(st.sampled_from(lines), max_size=7))
    path.write_bytes(b"".join(edited))
    if edited == lines:
        read_sealed(folder)
    else:
        with pytest.raises(RecordDamaged):
            read_sealed(folder)


Edit = Callable[[list[bytes]], list[bytes]]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda lines: [b"{}", *lines[1:]], "missing field"),
        (lambda lines: [lines[0].replace(b'"v":1', b'"v":2'), *lines[1:]], "version 2"),
        (lambda lines: [lines[0].replace(b"step.started", b"step.stopped"), *lines[1:]], "unknown record"),
        (lambda lines: [lines[0].replace(b'"body":', b'"body": '), *lines[1:]], "canonical"),
        (lambda lines: [lines[0], lines[2], lines[1]], "record 2 stands where 1 belongs"),
        (lambda lines: lines[1:], "record 1 stands where 0 belongs"),
        (lambda lines: [lines[0].replace(b'"step":0', b'"step":9'), *lines[1:]], "does not follow"),
        (lambda lines: [lines[0], b"", *lines[1:]], "not JSON"),
        (lambda lines: [lines[0], b"\xff\xfe", *lines[1:]], "not UTF-8"),
        (lambda lines: [lines[0], b"\x00" * 40, *lines[1:]], "Expecting value"),
        (lambda lines: [lines[0], b"[" * 9000 + b"]" * 9000, *lines[1:]], "nested too deeply"),
    ],
)
def test_a_bad_line_is_named_by_its_number_and_reason(tmp_path: Path, edit: Edit, said: str) -> None:
    """Damage says where it is; a writer does not repair it."""
    path = write_journal(tmp_path / "journal.jsonl", range(3))
    path.write_bytes(b"".join(line + b"\n" for line in edit(path.read_bytes().splitlines())))
    before = path.read_bytes()
    with pytest.raises(RecordDamaged, match=said) as damaged:
        read_journal(path)
    with pytest.raises(RecordDamaged):
        Journal.reopen(path, CLOCK)

    assert str(path) in damaged.value.where
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


def test_a_record_added_to_a_sealed_journal_is_damage(sealed: Path) -> None:
    """Even one that continues the chain correctly."""
    path = sealed / "journal.jsonl"
    records = read_sealed(sealed).records
    last = parse(path.read_bytes().splitlines()[-1], where="last", max_bytes=10_000)
    assert isinstance(last, dict)
    more = canonical({**last, "seq": len(records), "prev": records[-1].digest})
    path.write_bytes(path.read_bytes() + more + b"\n")

    assert len(records) + 1 == len(read_journal(path).records)
    with pytest.raises(RecordDamaged, match="holds 7 records, the checkpoint says 6"):
        read_sealed(sealed)


def test_a_sealed_journal_is_never_opened_for_writing(sealed: Path) -> None:
    """Neither whole nor with its final newline cut off: that is damage and not a torn tail."""
    path = sealed / "journal.jsonl"
    for data in (path.read_bytes(), path.read_bytes()[:-1]):
        path.write_bytes(data)
        with pytest.raises(UsageError, match="sealed"):
            Journal.reopen(path, CLOCK)

        assert data == path.read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"example.com/bastion-1/INC-1\n6\n",
        b"example.com/bastion-1/INC-1\n06\n" + b"A" * 43 + b"=\n",
        b"example.com/bastion-1/INC-1\n6\n" + b"A" * 43 + b"=",
        b"example.com/bastion-1/INC-1\n6\n" + b"A" * 42 + b"B=\n",
        b"two words\n6\n" + b"A" * 43 + b"=\n",
        b"example.com/bastion-1/INC-1\r\n6\r\n" + b"A" * 43 + b"=\r\n",
        b"example.com/bastion-1/INC-1\n6\n" + b"A" * 43 + b"=\nmore\n",
        b"A" * 5000,
    ],
)
def test_a_checkpoint_has_one_form(sealed: Path, text: bytes) -> None:
    """Three lines, no second spelling."""
    (sealed / "checkpoint").write_bytes(text)
    with pytest.raises(RecordDamaged):
        read_sealed(sealed)


def test_random_bytes_in_the_place_of_a_journal_never_crash_the_reader(tmp_path: Path) -> None:
    """Whatever stands there is damage or a torn tail."""
    path = tmp_path / "journal.jsonl"
    chance = random.Random(7)
    for _ in range(200):
        path.write_bytes(chance.randbytes(chance.randrange(300)) + b"\n")
        with pytest.raises(RecordDamaged):
            read_journal(path)
