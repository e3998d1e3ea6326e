"""A journal file that we wrote says what was put in, to journalctl itself, and passes its ``--verify``."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakglass.errors import MalformedInput
from breakglass_host.journald.export_format import Entry, Field, entries, printed
from breakglass_host.journald.journal_file import JournalFile
from breakglass_host.journald.lookup3 import hash64
from tests.backends import need

BOOT = b"de52ada3450b462db8e829f4259b1104"
NOW = 1_795_219_029_411_048
NAMES = st.from_regex(rb"\A[A-Z][A-Z0-9_]{0,20}\Z")
VALUES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=80).map(str.encode),
    st.sampled_from([b"", b"\n", b"\0", b"same", b"=", b"two\nlines\n", b"x" * 70_000]),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def _journalctl() -> None:
    need("systemd", shutil.which("journalctl") is not None, "no journalctl")


def entry(fields: Sequence[Field], *, n: int = 1, monotonic: int | None = None, boot: bytes = BOOT) -> Entry:
    """Return an entry as journald would have printed it."""
    cursor = f"s=f8dec2afeea7494e87321029b04aa448;i={n:x};b={boot.decode()};m=1;t=1;x=1"
    address = (
        (b"__CURSOR", cursor.encode()),
        (b"__REALTIME_TIMESTAMP", str(NOW + n).encode()),
        (b"__MONOTONIC_TIMESTAMP", str(1000 * n if monotonic is None else monotonic).encode()),
    )
    return Entry(address, ((b"_BOOT_ID", boot), *fields))


def written(folder: Path, found: Sequence[Entry]) -> Path:
    """Write a journal file."""
    file = JournalFile()
    for one in found:
        file.add(one)
    path = folder / "x.journal"
    path.write_bytes(b"".join(file.chunks(file_id=os.urandom(16), machine_id=os.urandom(16))))
    return path


def verified(path: Path) -> str:
    """Return what ``journalctl --verify`` says of a file; it must pass."""
    command = ["journalctl", f"--file={path}", "--verify"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert (0, True) == (done.returncode, f"PASS: {path}" in done.stderr), done.stderr
    return done.stderr


def read_back(path: Path, *arguments: str) -> list[Entry]:
    """Return what journalctl reads from a file."""
    command = [
        "journalctl",
        f"--file={path}",
        "--output=export",
        "--all",
        "--quiet",
        "--no-pager",
        *arguments,
    ]
    data = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout
    return [one for one, _ in entries(io.BytesIO(data), largest=1 << 28)]


def contents(found: Sequence[Entry]) -> list[tuple[int, int, str, list[Field]]]:
    """Return what is to be equal: times, boot, and each field once."""
    return [(one.realtime, one.monotonic, one.boot, sorted(set(one.fields))) for one in found]


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=25))
def test_whatever_the_fields_hold_journalctl_reads_the_same(lists: list[list[Field]]) -> None:
    """Binary, empty, with line breaks, in any number and often the same."""
    put = [entry(fields, n=n + 1) for n, fields in enumerate(lists)]
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), put)
        verified(path)

        assert contents(put) == contents(read_back(path))


@settings(max_examples=60, deadline=None)
@given(st.lists(FIELDS, max_size=8))
def test_the_export_format_is_read_as_it_was_written(lists: list[list[Field]]) -> None:
    """Of every value."""
    put = [entry(fields, n=n + 1) for n, fields in enumerate(lists)]
    text = b"".join(printed(one) for one in put)

    assert put == [one for one, _ in entries(io.BytesIO(text), largest=1 << 25)]


def test_a_field_of_a_megabyte_and_one_of_each_other_size_are_found_by_their_value(tmp_path: Path) -> None:
    """Also through the hash table, which `journalctl FIELD=value` asks."""
    large = os.urandom(1 << 20)
    put = [entry([(b"BLOB", large), (b"N", b"0")])]
    put += [entry([(b"TEXT", b"y" * n), (b"N", str(n).encode())], n=n + 1) for n in range(1, 40)]
    path = written(tmp_path, put)
    verified(path)

    assert [large] == [one.first(b"BLOB") for one in read_back(path, "N=0")]
    for n in range(1, 40):
        assert [str(n).encode()] == [one.first(b"N") for one in read_back(path, f"TEXT={'y' * n}")]


def test_twenty_thousand_entries_are_written_and_searched(tmp_path: Path) -> None:
    """Arrays of entries and chains of data are right at size too."""
    put = [
        entry([(b"MESSAGE", b"step %d" % n), (b"KIND", b"odd" if n % 2 else b"even")], n=n)
        for n in range(1, 20_001)
    ]
    path = written(tmp_path, put)
    verified(path)

    assert 10_000 == len(read_back(path, "KIND=odd"))
    assert [b"step 12345"] == [one.first(b"MESSAGE") for one in read_back(path, "MESSAGE=step 12345")]


@pytest.mark.parametrize(
    "name", ["Ä".encode(), b"lower", b"", b"1ST", b"__CURSOR", b"A=B", b"X" * 65, b"NEW\nLINE"]
)
def test_what_is_no_name_of_a_field_is_refused(name: bytes) -> None:
    """No journal file may hold it (systemd.journal-fields(7))."""
    with pytest.raises(ValueError, match="no field can be named"):
        JournalFile().add(entry([(name, b"x")]))


def test_an_entry_without_a_time_a_boot_or_data_is_refused() -> None:
    """It would make a file that does not verify."""
    whole = entry([(b"MESSAGE", b"x")])
    for broken in (Entry((), whole.fields), Entry(whole.address, ()), Entry(whole.address, whole.fields[1:])):
        with pytest.raises(ValueError, match="without"):
            JournalFile().add(broken)


def test_times_that_run_back_and_numbers_that_begin_again_still_verify(tmp_path: Path) -> None:
    """As after a crash of journald, and over two boots; what had to be moved is counted."""
    other = b"0" * 31 + b"1"
    file = JournalFile()
    for n, monotonic, boot in (
        (7, 900, BOOT),
        (8, 400, BOOT),
        (3, 100, other),
        (4, 200, other),
        (9, 950, BOOT),
    ):
        file.add(entry([(b"MESSAGE", b"x%d" % n)], n=n, monotonic=monotonic, boot=boot))
    path = tmp_path / "x.journal"
    path.write_bytes(b"".join(file.chunks(file_id=os.urandom(16), machine_id=bytes(16))))
    verified(path)

    assert 1 == file.moved
    assert {b"x7", b"x8", b"x3", b"x4", b"x9"} == {one.first(b"MESSAGE") for one in read_back(path)}


def test_a_journal_file_without_entries_verifies(tmp_path: Path) -> None:
    """Nothing was logged: that is an answer too."""
    path = written(tmp_path, [])
    verified(path)

    assert [] == read_back(path)


def test_a_changed_byte_is_found_by_verify(tmp_path: Path) -> None:
    """So that passing means something."""
    path = written(tmp_path, [entry([(b"MESSAGE", b"the truth")])])
    path.write_bytes(path.read_bytes().replace(b"the truth", b"the trick"))
    command = ["journalctl", f"--file={path}", "--verify"]

    assert 0 != subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def test_the_hash_is_that_of_its_author() -> None:
    """The vectors of lookup3.c, driver5()."""
    assert 0x17770551CE7226E6 == hash64(b"Four score and seven years ago")
    assert 0xDEADBEEFDEADBEEF == hash64(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"MESSAGE=x\n",
        b"MESSAGE=x",
        b"MESSAGE\n\x05\0\0\0\0\0\0\0abc",
        b"MESSAGE\n\x05\0",
        b"MESSAGE\n" + b"\xff" * 8 + b"abc\n\n",
        b"MESSAGE=" + b"x" * 2_000_000 + b"\n\n",
    ],
)
def test_a_stream_that_ends_too_early_or_claims_too_much_is_refused(data: bytes) -> None:
    """Journalctl was killed, or what it prints is none of its format."""
    with pytest.raises(MalformedInput):
        list(entries(io.BytesIO(data), largest=1_000_000))
