"""A sandbox is a program of its own that nothing outlives and that leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from breakglass.errors import ProviderError, Unreachable, Unsupported
from breakglass_kubernetes.drill import KubernetesCloud
from breakglass_kubernetes.sandbox import build
from breakglass_kubernetes.sandbox.process import ApiError, start
from tests.backends import need

PARENT = """
import sys, time
from breakglass_kubernetes.sandbox.process import start
sandbox = start()
print(sandbox.folder, sandbox.server, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _built() -> None:
    """Need the programs."""
    try:
        build.find(os.environ)
    except Unsupported as error:
        need("kubernetes", available=False, why=f"{error.what} ({error.remedy})")


def _until(holds: Callable[[], object], what: str) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def _mentioning(folder: Path) -> list[int]:
    """Return the processes that were started with files of `folder`, or by a program that serves it."""
    found = []
    for said in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"{folder}/".encode() in said.read_bytes():
                found.append(int(said.parent.name))
        except OSError:
            continue
    return found


def test_two_run_side_by_side() -> None:
    """Each with a cluster, an authority and a folder of its own."""
    first = start()
    try:
        second = start()
        try:
            assert first.cluster_uid != second.cluster_uid
            with pytest.raises((ApiError, OSError)):
                type(second)(
                    **{name: getattr(second, name) for name in ("folder", "cluster_uid", "ca_pem")},
                    server=first.server,
                    _control="",
                    _secret="",
                    _process=second._process,  # noqa: SLF001 - a sandbox with another's address
                    _said=second._said,  # noqa: SLF001 - as above
                    _own_folder=False,
                ).call("GET", "/version")
        finally:
            second.close()
        assert first.call("GET", "/version")["gitVersion"].startswith("v1.36.")
    finally:
        first.close()
    for sandbox in (first, second):
        assert not sandbox.folder.exists()
        assert not _mentioning(sandbox.folder)


def test_it_ends_with_a_parent_that_is_killed() -> None:
    """The parent had no chance to end it; its programs and its folder go all the same."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder = Path(parent.stdout.readline().split()[0])
        assert len(_mentioning(folder)) == 3
        parent.kill()
    _until(lambda: not folder.exists(), "its folder is gone")
    _until(lambda: not _mentioning(folder), "its programs have ended")


def test_its_programs_end_when_it_is_killed_itself() -> None:
    """And the next one takes its folder away."""
    sandbox = start()
    os.kill(sandbox._process.pid, signal.SIGKILL)  # noqa: SLF001 - the program, not the object
    _until(lambda: not _mentioning(sandbox.folder), "its programs have ended")
    assert sandbox.folder.exists()

    following = start()
    try:
        assert not sandbox.folder.exists()
    finally:
        following.close()
        sandbox.close()


def test_a_folder_that_was_given_stays_and_must_be_empty(tmp_path: Path) -> None:
    """Its files can be read afterwards; another sandbox does not mix with them."""
    sandbox = start(tmp_path / "kept")
    sandbox.close()

    assert (tmp_path / "kept" / "audit.log").stat().st_size > 0
    with pytest.raises(Unsupported, match="is not empty"):
        start(tmp_path / "kept")


def test_the_program_says_how_to_reach_it_and_what_it_cannot_show(tmp_path: Path) -> None:
    """Its first line is its folder, and Ctrl-C ends it."""
    command = [sys.executable, "-I", "-m", "breakglass_kubernetes.sandbox", "--folder", str(tmp_path / "f")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        first = running.stdout.readline().strip()
        said = ""
        while "Ctrl-C" not in said:
            said += running.stdout.readline()
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)

    assert first == str(tmp_path / "f")
    assert f"KUBECONFIG={first}/admin.kubeconfig" in said
    assert "No container runs and no packet flows" in said
    assert running.returncode == 0
    assert not errors


def test_an_agent_that_cannot_be_laid_out_fails_the_drill(tmp_path: Path) -> None:
    """A ProviderError would only be a note that Kubernetes is not drilled, and the drill would end well."""
    sandbox = start()
    sandbox.close()

    with pytest.raises(Unreachable, match="could not be laid out") as told:
        KubernetesCloud(sandbox, tmp_path).lay_out()

    assert not isinstance(told.value, ProviderError | Unsupported)
