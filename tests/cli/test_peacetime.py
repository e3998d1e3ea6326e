"""What is agreed in peacetime: keys, roster, kit, inventory, runbooks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.ground import Ground


@pytest.fixture
def copy(ground: Ground, tmp_path: Path) -> Path:
    """Return a copy of the signed kit that a test may spoil."""
    kit = tmp_path / "kit"
    shutil.copytree(ground.folder / "kit", kit)
    shutil.copy(ground.folder / "anchor", tmp_path / "anchor")
    return kit


def test_a_signed_kit_is_whole(ground: Ground) -> None:
    """Exit 0, who signed, pinned by the anchor beside it."""
    done = ground.run("kit", "check", "--json")

    assert 0 == done.returncode, done.stderr
    facts = json.loads(done.stdout)
    assert (["alice", "bob"], ["alice", "bob"], True) == (
        facts["kit_signers"],
        facts["roster_signers"],
        facts["pinned"],
    )


def test_a_draft_lists_only_the_missing_signatures(ground: Ground, copy: Path) -> None:
    """Exit 5, and two names that are still missing of three."""
    shutil.rmtree(copy / "kit.1")

    done = ground.run("kit", "check", str(copy))

    assert 5 == done.returncode
    assert "kit.json version 1: 0 of 2 persons signed" in done.stderr


def test_a_mistake_in_the_kit_is_named_with_file_and_line(ground: Ground, copy: Path) -> None:
    """A misspelt key gets its place and a suggestion; exit 2."""
    agent = copy / "agents/agent-0.yaml"
    agent.write_text(agent.read_text().replace("owner: tests", "ownr: tests"))

    done = ground.run("kit", "check", str(copy))

    assert 2 == done.returncode
    assert "agents/agent-0.yaml:2:1" in done.stderr
    assert 'did you mean "owner"?' in done.stderr


def test_a_file_that_was_swapped_after_signing_is_noticed(ground: Ground, copy: Path) -> None:
    """Exit 5: the kit is not as it was sealed."""
    agent = copy / "agents/agent-0.yaml"
    agent.write_text(agent.read_text().replace("owner: tests", "owner: mallory"))

    assert 5 == ground.run("kit", "check", str(copy)).returncode


def test_a_roster_changes_in_a_new_version_on_two_signatures(ground: Ground, copy: Path) -> None:
    """Proposed, checked as unsigned, signed by two, checked as whole."""
    key = (ground.folder / "log.pub").read_text().strip()

    proposed = ground.run("roster", "propose", str(copy), "--add", f"dave={key}", "--role", "dave=responder")
    unsigned = ground.run("roster", "check", str(copy), "--json")
    for name in ("alice", "bob"):
        assert 0 == ground.run("roster", "sign", str(copy), person=name).returncode
    signed = ground.run("roster", "check", str(copy), "--json")

    if proposed.returncode == 2:  # the log key may not be a person's: then the linter said so
        assert "log" in proposed.stderr
        return
    assert (0, 5, 0) == (proposed.returncode, unsigned.returncode, signed.returncode), proposed.stderr
    assert ["alice", "bob", "carol", "dave"] == sorted(json.loads(signed.stdout)["people"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing was asked for"),
        (("--add", "dave"), "is not NAME=VALUE"),
        (("--role", "alice=king"), "none of: responder"),
        (("--remove", "zoe"), "there is no 'zoe'"),
        (("--store", "pocket", "--remove", "alice"), "none of: ssh-agent"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(
    ground: Ground, copy: Path, arguments: tuple[str, ...], said: str
) -> None:
    """Exit 2, and the roster is as it was."""
    before = (copy / "roster.json").read_bytes()

    done = ground.run("roster", "propose", str(copy), *arguments)

    assert 2 == done.returncode
    assert said in " ".join(done.stderr.split())
    assert before == (copy / "roster.json").read_bytes()


def test_a_person_makes_an_encrypted_key_at_a_terminal(ground: Ground, tmp_path: Path) -> None:
    """The passphrase is asked twice and never shown; the public line goes to stdout."""
    with ground.terminal("alice", "operator", "new", "--file", str(tmp_path / "key")) as terminal:
        terminal.expect("new passphrase")
        terminal.type("correct horse battery\n")
        terminal.expect("once more")
        terminal.type("correct horse battery\n")

        assert 0 == terminal.end()
    assert "ssh-ed25519 " in terminal.shown
    assert "correct horse" not in terminal.shown
    assert b"ENCRYPTED" not in (tmp_path / "key").read_bytes()[:40]
    assert 0 == (tmp_path / "key").stat().st_mode & 0o077


def test_two_passphrases_that_differ_make_no_key(ground: Ground, tmp_path: Path) -> None:
    """Exit 2 and no file."""
    with ground.terminal("alice", "operator", "new", "--file", str(tmp_path / "key")) as terminal:
        terminal.expect("new passphrase")
        terminal.type("correct horse battery\n")
        terminal.expect("once more")
        terminal.type("another horse\n")

        assert 2 == terminal.end()
    assert not (tmp_path / "key").exists()


def test_the_keys_that_are_here_are_shown_with_whose_they_are(ground: Ground) -> None:
    """The ssh-agent's key belongs to alice."""
    shown = json.loads(ground.run("operator", "show", "--json", person="alice").stdout)

    assert [("alice", True)] == [(key["person"], key["usable"]) for key in shown["keys"]]


def test_agents_are_listed_checked_and_looked_at(ground: Ground, agent: str) -> None:
    """The inventory, and what is really there, in JSON and in words."""
    listed = json.loads(ground.run("agents", "list", "--json").stdout)
    checked = ground.run("agents", "check", agent)
    found = json.loads(ground.run("agents", "discover", agent, "--json").stdout)
    words = ground.run("agents", "discover", agent)

    assert agent in [item["agent"] for item in listed]
    assert 0 == checked.returncode
    assert "host.cgroup.freeze_tree" in [one["action"] for one in found[0]["proposals"]]
    assert "host local (host)" in words.stdout


def test_a_runbook_is_shown_and_a_wrong_one_is_named_by_line(ground: Ground, tmp_path: Path) -> None:
    """Four ship; a file with an unknown key gets file:line and exit 2."""
    listed = ground.run("runbook", "list")
    shown = ground.run("runbook", "show", "runaway")
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("v: 1\nname: mine\ntitel: x\n")
    checked = ground.run("runbook", "check", str(wrong))

    for name in ("prompt-injection", "runaway", "credential-compromise", "policy-service-failure"):
        assert name in listed.stdout
    assert "what happened" in shown.stdout
    assert 2 == checked.returncode
    assert f"{wrong}:3:1" in checked.stderr.replace("\n  ", "")


def test_a_provider_says_what_it_can_do_and_by_whose_word(ground: Ground) -> None:
    """Each action with permissions, undo, proof and source."""
    shown = ground.run("providers", "show", "host")
    checked = ground.run("providers", "check")

    assert "host.cgroup.freeze_tree" in shown.stdout
    assert "source" in shown.stdout
    assert (0, 0) == (shown.returncode, checked.returncode), checked.stdout
