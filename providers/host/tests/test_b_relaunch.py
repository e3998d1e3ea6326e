"""The lists of who may use cron and at keep the agent's user out, and get their bytes back."""

from __future__ import annotations

import pwd
from pathlib import Path

import pytest

from breakglass.canon import Json
from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.model.resource import Resource
from breakglass.provider import Outcome
from breakglass_host.actions import relaunch
from breakglass_host.actions.relaunch import BlockRelaunch
from providers.host.tests.rig_b import connection, stop

BEFORE = b"# who may not\nalias\n\nbackup"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """Make a folder with a list of at's, without a newline at its end."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "at.deny").write_bytes(BEFORE)
    (folder / "at.deny").chmod(0o640)
    return folder


def target(etc: Path, *, cron_is_open: bool = True) -> Resource:
    """Return the target for account bot."""
    params: dict[str, Json] = {
        "account": "bot",
        "cron_deny": str(etc / "cron.deny"),
        "at_deny": str(etc / "at.deny"),
        "cron_is_open": cron_is_open,
    }
    return Resource("schedule-lists", "user bot", "cron and at for user bot", params)


def test_the_user_is_entered_and_every_byte_comes_back(tmp_path: Path, etc: Path) -> None:
    """A list that was not there is made, and removed again."""
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    about = (etc / "at.deny").stat()
    assert Verdict.NOT_CONTAINED is action.judge(where, action.observe(where)).verdict
    prior = stop(action, where, rounds=2)

    assert (BEFORE + b"\nbot\n", b"bot\n") == (
        (etc / "at.deny").read_bytes(),
        (etc / "cron.deny").read_bytes(),
    )
    assert Verdict.CONTAINED is action.judge(where, action.observe(where)).verdict
    done = action.revert(where, prior, action.observe(where))
    assert Outcome.RESTORED is done.objects[str(etc / "at.deny")]
    assert ["at.deny"] == sorted(path.name for path in etc.iterdir())
    found = (etc / "at.deny").stat()
    assert (BEFORE, about.st_mode, about.st_mtime_ns) == (
        (etc / "at.deny").read_bytes(),
        found.st_mode,
        found.st_mtime_ns,
    )
    assert {Outcome.ALREADY} == set(action.revert(where, prior, action.observe(where)).objects.values())


def test_where_an_allow_list_decides_the_user_is_taken_out_of_it(tmp_path: Path, etc: Path) -> None:
    """The deny list is then not even read by cron."""
    (etc / "cron.allow").write_bytes(b"alice\nbot \nbob\n")
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    prior = stop(action, where, rounds=2)

    assert b"alice\nbob\n" == (etc / "cron.allow").read_bytes()
    assert not (etc / "cron.deny").exists()
    assert Verdict.CONTAINED is action.judge(where, action.observe(where)).verdict
    action.revert(where, prior, action.observe(where))
    assert b"alice\nbot \nbob\n" == (etc / "cron.allow").read_bytes()


def test_no_deny_list_is_made_where_none_means_that_only_root_is_let_in(tmp_path: Path, etc: Path) -> None:
    """An at.deny with one name in it would let everybody else in."""
    (etc / "at.deny").unlink()
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    stop(action, where, rounds=2)

    assert ["cron.deny"] == sorted(path.name for path in etc.iterdir())
    assert Verdict.CONTAINED is action.judge(where, action.observe(where)).verdict


def test_who_may_use_a_cron_without_lists_is_unknown_outside_of_debian(tmp_path: Path, etc: Path) -> None:
    """And nothing is made that could let others in."""
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc, cron_is_open=False)
    stop(action, where)

    assert not (etc / "cron.deny").exists()
    assert Verdict.UNKNOWN is action.judge(where, action.observe(where)).verdict


def test_a_list_that_somebody_edited_since_is_left_alone(tmp_path: Path, etc: Path) -> None:
    """Their line would be lost."""
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    prior = stop(action, where)
    with (etc / "at.deny").open("ab") as file:
        file.write(b"mallory\n")
    done = action.revert(where, prior, action.observe(where))

    assert Outcome.DRIFTED is done.objects[str(etc / "at.deny")]
    assert (etc / "at.deny").read_bytes().endswith(b"bot\nmallory\n")


def test_a_list_that_changes_between_reading_and_writing_is_read_again(tmp_path: Path, etc: Path) -> None:
    """No edit of an operator is overwritten."""
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    before = action.observe(where)
    (etc / "at.deny").write_bytes(BEFORE + b"\noperator\n")

    with pytest.raises(Transient):
        action.apply(where, before, "t")


def test_a_list_that_keeps_the_user_out_already_stays_as_it_is(tmp_path: Path, etc: Path) -> None:
    """Restore leaves it so: it was off before the stop."""
    (etc / "at.deny").write_bytes(b"bot\n")
    (etc / "cron.deny").write_bytes(b"bot\n")
    action, where = BlockRelaunch(connection(tmp_path / "incident")), target(etc)
    prior = action.observe(where)

    assert Verdict.CONTAINED is action.judge(where, prior).verdict
    assert {Outcome.ALREADY} == set(action.revert(where, prior, prior).objects.values())
    assert b"bot\n" == (etc / "at.deny").read_bytes()


def test_a_user_without_a_name_cannot_stand_in_a_list(tmp_path: Path) -> None:
    """It is said, not skipped."""
    found = relaunch.propose(connection(tmp_path / "incident", {"user": "47113"}), None, "kill")

    assert ((), 1) == (found.proposals, len(found.not_touched))


def test_an_account_that_is_the_agent_s_gets_a_step(tmp_path: Path, etc: Path) -> None:
    """With lists of its own named, the proof is a read-back."""
    name = pwd.getpwuid(9).pw_name
    settings = {"user": name, "cron_deny": str(etc / "cron.deny"), "at_deny": str(etc / "at.deny")}
    found = relaunch.propose(connection(tmp_path / "incident", settings), None, "kill")  # type: ignore[arg-type]  # texts are JSON

    assert [f"relaunch:{name}"] == [step.key for step in found.proposals]
    assert found.proposals[0].best_grade is not None
