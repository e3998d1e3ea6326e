"""A read that never answers is left behind; one that goes on giving pages is not."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from breakglass_host.patient import HangingRead, PatientReader


def pipe(folder: Path) -> Path:
    """Make a named pipe."""
    path = folder / "pipe"
    os.mkfifo(path)
    return path


def test_what_comes_page_by_page_is_read_whole_however_long_it_takes(tmp_path: Path) -> None:
    """The table of ten thousands of connections, on a busy machine: slower in all than the patience."""
    path = pipe(tmp_path)

    def write() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(6):
                file.write(b"page")
                time.sleep(0.1)

    writer = threading.Thread(target=write)
    writer.start()
    reader = PatientReader(0.3)

    assert reader.read(str(path)) == b"page" * 6
    writer.join()
    reader.close()


def test_what_gives_nothing_is_left_behind(tmp_path: Path) -> None:
    """And the next read has a helper of its own."""
    path = pipe(tmp_path)
    reader = PatientReader(0.1)

    with path.open("r+b", buffering=0), pytest.raises(HangingRead):
        reader.read(str(path))
    assert reader.read("/proc/self/comm")
    reader.close()
