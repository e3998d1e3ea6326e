"""A file is set aside and put back byte for byte, whatever the agent does to the path in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import canonical
from breakglass.errors import ProviderError, Unsettled
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_host import setaside
from breakglass_host.setaside import Place
from providers.host.tests.rig_b import AGENT_UID, connection, public_folder
from tests.backends import need

CONTENT = b"*/5 * * * * /opt/bot/run --token s3cr3t-tok\x00\xff\n"


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    with public_folder() as path:
        yield path


@pytest.fixture
def lair(tmp_path: Path) -> Path:
    """Make a folder that the agent owns, with a file of its own in it."""
    need("host", os.geteuid() == 0, "giving files to the agent's user needs root")
    folder = tmp_path / "lair"
    folder.mkdir()
    file = folder / "token"
    file.write_bytes(CONTENT)
    file.chmod(0o640)
    os.utime(file, ns=(1_600_000_000_123_456_789, 1_600_000_000_123_456_789))
    for path in (folder, file):
        os.chown(path, AGENT_UID, AGENT_UID)
    return folder


def place(tmp_path: Path, path: Path, *, copy: bool = True, tightens: bool = False) -> Place:
    """Return the place of `path` in one incident."""
    return Place(str(path), "inc-1", connection(tmp_path / "incident").sealed, copy, tightens)


def about(path: Path) -> tuple[object, ...]:
    """Return all that must be equal after a restore."""
    found = path.lstat()
    attributes = {name: os.getxattr(path, name) for name in os.listxattr(path)} if path.is_file() else {}
    return path.read_bytes(), found.st_mode, found.st_uid, found.st_gid, found.st_mtime_ns, attributes


def put_aside(where: Place, rounds: int = 1) -> State:
    """Record and set aside, as the engine does; return the union of prior states."""
    union: dict[str, object] = {}
    for _ in range(rounds):
        before = setaside.observe(where)
        union = {**before.objects, **union}
        setaside.apply(where, before)
    return State(union)  # type: ignore[arg-type]  # objects of states


def is_absent(where: Place) -> bool:
    """Return True when a complete read finds nothing at the path."""
    state = setaside.observe(where)
    found = state.objects[where.path]
    return state.complete and isinstance(found, dict) and found["present"] is False


@pytest.mark.parametrize("copy", [True, False])
def test_a_file_is_put_back_byte_for_byte(tmp_path: Path, lair: Path, copy: bool) -> None:  # noqa: FBT001 - both ways
    """Bytes, mode, owner, time and attributes, and it is the same inode."""
    file = lair / "token"
    os.setxattr(file, "user.note", b"kept \x00\xff")
    before, inode = about(file), file.stat().st_ino
    where = place(tmp_path, file, copy=copy, tightens=not copy)
    prior = put_aside(where)

    assert is_absent(where)
    assert (Outcome.RESTORED, "is back, the same file") == setaside.put_back(where, prior)
    assert (before, inode) == (about(file), file.stat().st_ino)
    assert Outcome.ALREADY == setaside.put_back(where, prior)[0]
    assert [] == [*tmp_path.glob(".breakglass*")]


def test_neither_content_nor_a_plain_digest_of_it_is_recorded(tmp_path: Path, lair: Path) -> None:
    """A short secret could be guessed from its digest."""
    import hashlib

    state = setaside.observe(place(tmp_path, lair / "token", copy=False))
    written = canonical(dict(state.objects))

    assert b"s3cr3t" not in written
    assert hashlib.sha256(CONTENT).hexdigest().encode() not in written
    assert [] == [f for f in (tmp_path / "incident" / "sealed").iterdir() if f.read_bytes() == CONTENT]
    assert state == setaside.observe(place(tmp_path, lair / "token", copy=False))


def test_where_it_lies_aside_the_agent_cannot_reach_it(tmp_path: Path, lair: Path) -> None:
    """The vault lies in the nearest folder that the agent cannot write in, and lets nobody enter."""
    where = place(tmp_path, lair / "token")
    put_aside(where)
    found = setaside.observe(where).objects[where.path]

    assert isinstance(found, dict)
    aside = found["aside"]
    assert isinstance(aside, list)
    assert isinstance(aside[0], dict)
    vault = Path(str(aside[0]["at"])).parent
    assert tmp_path == vault.parent
    assert (0, 0o40700) == (vault.stat().st_uid, vault.stat().st_mode)


def test_a_file_that_comes_back_is_recorded_and_moved_too(tmp_path: Path, lair: Path) -> None:
    """Only the first-seen one is put back, and no version is lost."""
    file = lair / "token"
    where = place(tmp_path, file)
    first = put_aside(where)
    file.write_bytes(b"the agent's second try")
    second = put_aside(where)
    union = State({**second.objects, **first.objects})

    assert is_absent(where)
    assert 3 == len(union.objects)
    assert Outcome.RESTORED == setaside.put_back(where, union)[0]
    assert CONTENT == file.read_bytes()
    kept = [f.read_bytes() for f in tmp_path.glob(".breakglass-aside/*")]
    assert [b"the agent's second try"] == kept


def test_restore_never_replaces_something_new(tmp_path: Path, lair: Path) -> None:
    """It is left alone, and the old file stays aside."""
    file = lair / "token"
    where = place(tmp_path, file)
    prior = put_aside(where)
    file.write_bytes(b"an operator wrote this")

    assert (Outcome.DRIFTED, "something new stands there") == setaside.put_back(where, prior)
    assert b"an operator wrote this" == file.read_bytes()
    file.unlink()
    assert Outcome.RESTORED == setaside.put_back(where, prior)[0]


def test_what_was_written_through_an_open_descriptor_is_not_put_back(tmp_path: Path, lair: Path) -> None:
    """The sealed copy is; the altered one stays aside as evidence."""
    file = lair / "token"
    before = about(file)
    where = place(tmp_path, file)
    with file.open("ab") as held:
        prior = put_aside(where)
        held.write(b"* * * * * evil\n")

    assert (Outcome.RESTORED, "is back, made again from the sealed copy") == setaside.put_back(where, prior)
    assert before == about(file)
    assert Outcome.ALREADY == setaside.put_back(where, prior)[0]
    assert [CONTENT + b"* * * * * evil\n"] == [f.read_bytes() for f in tmp_path.glob(".breakglass-aside/*")]


def test_a_credential_that_was_written_to_while_aside_is_left_alone(tmp_path: Path, lair: Path) -> None:
    """No copy was kept of it, so nothing can say what it was."""
    with (lair / "token").open("ab") as held:
        where = place(tmp_path, lair / "token", copy=False)
        prior = put_aside(where)
        held.write(b"more")

    assert Outcome.DRIFTED == setaside.put_back(where, prior)[0]
    assert not (lair / "token").exists()


def test_a_link_in_its_place_is_moved_and_never_followed(tmp_path: Path, lair: Path) -> None:
    """What it points to is not the agent's."""
    victim = tmp_path / "shadow"
    victim.write_bytes(b"root's own")
    file = lair / "token"
    file.unlink()
    file.symlink_to(victim)
    where = place(tmp_path, file, tightens=True)
    prior = put_aside(where)

    assert (b"root's own", 0o644) == (victim.read_bytes(), victim.stat().st_mode & 0o777)
    assert not file.is_symlink()
    assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
    assert str(victim) == str(file.readlink())


def test_a_folder_that_became_a_link_is_refused(tmp_path: Path, lair: Path) -> None:
    """The agent owns the folder above and points it to somebody else's file of the same name."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "token").write_bytes(b"not the agent's")
    where = place(tmp_path, lair / "token")
    before = setaside.observe(where)
    lair.rename(tmp_path / "moved")
    lair.symlink_to(theirs)
    now = setaside.observe(where)

    assert not now.complete
    with pytest.raises(Unsettled):
        setaside.apply(where, before)
    assert b"not the agent's" == (theirs / "token").read_bytes()


def test_a_file_that_was_swapped_after_the_reading_is_recorded_first(tmp_path: Path, lair: Path) -> None:
    """Nothing is moved before its prior state is written."""
    where = place(tmp_path, lair / "token")
    before = setaside.observe(where)
    (lair / "other").write_bytes(b"new")
    (lair / "other").rename(lair / "token")

    with pytest.raises(Unsettled):
        setaside.apply(where, before)
    assert b"new" == (lair / "token").read_bytes()


@pytest.mark.parametrize("flag", ["+i", "+a"])
def test_an_immutable_file_is_moved_and_is_immutable_again(tmp_path: Path, lair: Path, flag: str) -> None:
    """The flags come back last."""
    file = lair / "token"
    if subprocess.run(["chattr", flag, str(file)], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no attributes")
    shown = subprocess.run(["lsattr", str(file)], check=True, capture_output=True).stdout
    before = about(file)
    where = place(tmp_path, file, tightens=True)
    try:
        prior = put_aside(where)
        assert is_absent(where)
        assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
        assert shown == subprocess.run(["lsattr", str(file)], check=True, capture_output=True).stdout
        assert before == about(file)
        assert Outcome.ALREADY == setaside.put_back(where, prior)[0]
    finally:
        for path in (file, *tmp_path.glob(".breakglass-aside/*")):
            subprocess.run(["chattr", "-i", "-a", str(path)], check=False, capture_output=True)


def test_a_file_in_an_immutable_folder_is_moved_and_the_folder_locked_again(
    tmp_path: Path, lair: Path
) -> None:
    """Before and after the restore."""
    if subprocess.run(["chattr", "+i", str(lair)], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no attributes")
    where = place(tmp_path, lair / "token")
    try:
        prior = put_aside(where)
        assert is_absent(where)
        with pytest.raises(PermissionError):
            (lair / "new").touch()
        assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
        with pytest.raises(PermissionError):
            (lair / "new").touch()
    finally:
        subprocess.run(["chattr", "-i", str(lair)], check=False, capture_output=True)


def test_another_hard_link_cannot_be_read_while_a_credential_is_withheld(tmp_path: Path, lair: Path) -> None:
    """The rights are the inode's; they come back with it."""
    os.link(lair / "token", lair / "second-name")
    where = place(tmp_path, lair / "token", copy=False, tightens=True)
    prior = put_aside(where)
    found = (lair / "second-name").stat()

    assert (0, 0) == (found.st_uid, found.st_mode & 0o777)
    assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
    found = (lair / "second-name").stat()
    assert (AGENT_UID, 0o640) == (found.st_uid, found.st_mode & 0o777)


def test_a_file_that_is_not_there_is_absent_and_stays_so(tmp_path: Path, lair: Path) -> None:
    """Also when its whole folder has vanished."""
    (lair / "token").unlink()
    where = place(tmp_path, lair / "token")
    prior = put_aside(where)

    assert is_absent(where)
    assert Outcome.ALREADY == setaside.put_back(where, prior)[0]
    lair.rmdir()
    assert is_absent(where)
    setaside.apply(where, prior)


def test_a_file_whose_folder_is_gone_cannot_be_put_back(tmp_path: Path, lair: Path) -> None:
    """It says so, and keeps it."""
    where = place(tmp_path, lair / "token")
    prior = put_aside(where)
    lair.rmdir()

    assert (Outcome.CANNOT, "its folder is gone") == setaside.put_back(where, prior)
    assert [CONTENT] == [f.read_bytes() for f in tmp_path.glob(".breakglass-aside/*")]


def test_a_pipe_is_moved_without_waiting_for_its_other_end(tmp_path: Path, lair: Path) -> None:
    """The agent put one where its credential was."""
    (lair / "token").unlink()
    os.mkfifo(lair / "token")
    where = place(tmp_path, lair / "token", copy=False, tightens=True)
    prior = put_aside(where)

    assert is_absent(where)
    assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
    assert (lair / "token").is_fifo()


def test_where_only_the_agent_s_own_mount_is_left_the_vault_lies_beside(tmp_path: Path, lair: Path) -> None:
    """It may be renamed there, not emptied, and is found again."""
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(lair)], check=False).returncode:
        pytest.skip("no mount can be made here")
    try:
        os.chown(lair, AGENT_UID, AGENT_UID)
        (lair / "token").write_bytes(CONTENT)
        where = place(tmp_path, lair / "token")
        prior = put_aside(where)
        (lair / ".breakglass-aside").rename(lair / "renamed-by-the-agent")

        assert (Outcome.RESTORED, "is back, the same file") == setaside.put_back(where, prior)
    finally:
        subprocess.run(["umount", str(lair)], check=True)


def test_a_file_that_is_a_mount_point_is_refused_in_words(tmp_path: Path, lair: Path) -> None:
    """A container's mounted secret cannot be moved away."""
    (tmp_path / "source").write_bytes(b"x")
    mount = ["mount", "--bind", str(tmp_path / "source"), str(lair / "token")]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("no mount can be made here")
    try:
        where = place(tmp_path, lair / "token")
        with pytest.raises(ProviderError):
            put_aside(where)
    finally:
        subprocess.run(["umount", str(lair / "token")], check=True)


def test_a_squatted_name_does_not_keep_the_vault_away(tmp_path: Path, lair: Path) -> None:
    """Somebody made the folder first and left it open."""
    (tmp_path / ".breakglass-aside").mkdir()
    os.chown(tmp_path / ".breakglass-aside", AGENT_UID, AGENT_UID)
    where = place(tmp_path, lair / "token")
    prior = put_aside(where)

    assert [] == [*(tmp_path / ".breakglass-aside").iterdir()]
    assert Outcome.RESTORED == setaside.put_back(where, prior)[0]


FIGHT = """
import os, sys
os.setresgid(*[%(uid)d] * 3); os.setresuid(*[%(uid)d] * 3)
n = 0
while True:
    n += 1
    temporary = "%(folder)s/new"
    try:
        os.symlink("%(victim)s", temporary) if n %% 2 else open(temporary, "w").write("v%%d" %% n)
        os.rename(temporary, "%(folder)s/token")
    except OSError:
        pass
"""


def test_an_agent_that_swaps_the_path_all_the_time_gets_nobody_else_s_file_moved(
    tmp_path: Path, lair: Path
) -> None:
    """Links and files come by turns, as fast as they can; the victim is never touched."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"root's own")
    script = FIGHT % {"uid": AGENT_UID, "folder": lair, "victim": victim}
    fighter = subprocess.Popen([sys.executable, "-c", script])
    where = place(tmp_path, lair / "token", tightens=True)
    before = (victim.stat().st_mode, victim.stat().st_uid, victim.read_bytes())
    moved, end = 0, time.monotonic() + 1.5
    try:
        while time.monotonic() < end:
            try:
                setaside.apply(where, setaside.observe(where))
                moved += 1
            except ProviderError:
                continue
    finally:
        fighter.kill()
        fighter.wait()

    assert before == (victim.stat().st_mode, victim.stat().st_uid, victim.read_bytes())
    assert moved > 0
    put_aside(where)
    assert is_absent(where)


KILLED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from providers.host.tests.rig_b import connection
from breakglass_host import setaside
where = setaside.Place({path!r}, "inc-1", connection(Path({folder!r})).sealed, True, True)
state = setaside.observe(where)
print("ready", flush=True)
sys.stdin.readline()
setaside.apply(where, state)
"""


def test_kill_9_at_any_instant_loses_no_byte(tmp_path: Path, lair: Path) -> None:
    """The prior state is written first; a repeated apply finishes, and the restore is whole."""
    file = lair / "token"
    before = about(file)
    where = place(tmp_path, file, tightens=True)
    script = KILLED.format(
        root=str(Path(__file__).parents[3]), path=str(file), folder=str(tmp_path / "incident")
    )
    for delay_us in range(0, 4000, 400):
        prior = setaside.observe(where)
        victim = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert victim.stdin is not None
        assert victim.stdout is not None
        with victim.stdin, victim.stdout:
            victim.stdout.readline()
            victim.stdin.write(b"go\n")
            victim.stdin.flush()
            time.sleep(delay_us / 1e6)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        setaside.apply(where, setaside.observe(where))

        assert is_absent(where)
        assert Outcome.RESTORED == setaside.put_back(where, prior)[0]
        assert before == about(file)
