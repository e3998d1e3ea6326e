"""A spool folder is closed to the agent's user, to its last folder, and opened again as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Outcome
from breakglass_host.actions import spool
from breakglass_host.actions.spool import PauseSpool
from providers.host.tests.rig_b import AGENT_UID, connection, public_folder, stop
from tests.backends import need


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    with public_folder() as path:
        yield path


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    """Make a spool folder of the agent's with an item and a folder in it."""
    need("host", os.geteuid() == 0, "giving folders to the agent's user needs root")
    folder = tmp_path / "jobs"
    (folder / "new" / "deep").mkdir(parents=True)
    (folder / "item-1").write_bytes(b"work")
    (folder / "new" / "item-2").write_bytes(b"more work")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, AGENT_UID, AGENT_UID)
    folder.chmod(0o2775)
    return folder


def target(tmp_path: Path, queue: Path) -> Resource:
    """Return what is proposed for the folder."""
    settings = {"user": str(AGENT_UID), "spools": [str(queue)]}
    found = spool.propose(connection(tmp_path / "incident", settings), None, "kill")  # type: ignore[arg-type]  # lists of text are JSON
    return found.proposals[0].target


def rights(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return mode and owner of the folder and all in it."""
    return {
        str(path): (path.stat().st_mode, path.stat().st_uid, path.stat().st_gid)
        for path in (folder, *folder.rglob("*"))
    }


def test_a_paused_folder_is_refused_to_the_agent_and_opened_again(tmp_path: Path, queue: Path) -> None:
    """Listing and creating were allowed before, are refused now, and every right comes back."""
    action, where, before = (
        PauseSpool(connection(tmp_path / "incident")),
        target(tmp_path, queue),
        rights(queue),
    )
    could = action.probe(where)
    prior = stop(action, where)
    cannot = action.probe(where)

    assert could is not None
    assert Verdict.NOT_CONTAINED is could.verdict
    assert cannot is not None
    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (cannot.verdict, cannot.grade)
    assert Verdict.CONTAINED is action.judge(where, action.observe(where)).verdict
    done = action.revert(where, prior, action.observe(where))
    assert {Outcome.RESTORED} == set(done.objects.values())
    assert before == rights(queue)
    assert {Outcome.ALREADY} == set(action.revert(where, prior, action.observe(where)).objects.values())


def test_a_process_that_stands_inside_an_inner_folder_is_shut_out_too(tmp_path: Path, queue: Path) -> None:
    """It never passes the outer folder again, so the inner one must be closed itself."""
    script = (
        "import os, sys\n"
        f"os.chdir({str(queue / 'new')!r}); os.setgroups([]); os.setresgid(*[{AGENT_UID}]*3);"
        f" os.setresuid(*[{AGENT_UID}]*3)\n"
        "print('in', flush=True); sys.stdin.readline()\n"
        "try: open('item-2').read(); print('read')\n"
        "except PermissionError: print('refused')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as inside:
        assert inside.stdout is not None
        inside.stdout.readline()
        stop(PauseSpool(connection(tmp_path / "incident")), target(tmp_path, queue))
        said, _ = inside.communicate("go\n")

    assert "refused" == said.strip()


def test_a_folder_that_somebody_changed_since_is_left_alone(tmp_path: Path, queue: Path) -> None:
    """Only that one; the others are given back."""
    action, where = PauseSpool(connection(tmp_path / "incident")), target(tmp_path, queue)
    prior = stop(action, where)
    (queue / "new").chmod(0o711)
    done = action.revert(where, prior, action.observe(where))

    assert Outcome.DRIFTED is done.objects[str(queue / "new")]
    assert Outcome.RESTORED is done.objects[str(queue)]
    assert 0o711 == (queue / "new").stat().st_mode & 0o777


def test_a_folder_that_appears_later_is_closed_in_the_next_round(tmp_path: Path, queue: Path) -> None:
    """It was made through a descriptor that was held open."""
    action, where = PauseSpool(connection(tmp_path / "incident")), target(tmp_path, queue)
    stop(action, where)
    (queue / "late").mkdir()
    os.chown(queue / "late", AGENT_UID, AGENT_UID)

    assert Verdict.NOT_CONTAINED is action.judge(where, action.observe(where)).verdict
    stop(action, where)
    assert Verdict.CONTAINED is action.judge(where, action.observe(where)).verdict


def test_a_link_to_another_folder_is_not_followed(tmp_path: Path, queue: Path) -> None:
    """Neither below the spool nor in its place."""
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    (queue / "out").symlink_to(other)
    action, where = PauseSpool(connection(tmp_path / "incident")), target(tmp_path, queue)
    stop(action, where)

    assert 0o755 == other.stat().st_mode & 0o777


def test_a_spool_swapped_for_a_link_is_not_followed(tmp_path: Path, queue: Path) -> None:
    """The recorded folder is another than what the path means now."""
    action, where = PauseSpool(connection(tmp_path / "incident")), target(tmp_path, queue)
    before = action.observe(where)
    other = tmp_path / "other"
    other.mkdir(mode=0o755)
    queue.rename(tmp_path / "moved")
    queue.symlink_to(other)
    with pytest.raises(Exception, match="link"):
        action.apply(where, before, "t")

    assert 0o755 == other.stat().st_mode & 0o777


@pytest.mark.parametrize("name", ["/", "/var", "/var/spool", "spool", "/srv/a\tb"])
def test_what_half_of_the_machine_works_in_is_refused(tmp_path: Path, name: str) -> None:
    """And what nobody can read."""
    found = spool.propose(connection(tmp_path / "incident", {"user": "1", "spools": [name]}), None, "kill")

    assert ((), 1) == (found.proposals, len(found.doors))


def test_neighbours_of_a_spool_are_named(tmp_path: Path, queue: Path) -> None:
    """Before anyone signs."""
    settings = {"user": str(AGENT_UID), "spools": [str(queue)]}
    found = spool.propose(connection(tmp_path / "incident", settings), None, "kill")  # type: ignore[arg-type]  # lists of text are JSON

    assert (
        f"group {AGENT_UID}, which may use {queue}",
        f"everybody, who may use {queue}",
    ) == found.proposals[0].affects
