"""A credential file is withheld from the agent's user and given back as it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakglass.canon import canonical
from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal
from breakglass_host.actions import credential_files
from breakglass_host.actions.credential_files import WithholdCredential
from providers.host.tests.rig_b import AGENT_UID, connection, public_folder, stop
from tests.backends import need


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Return a folder that other users can reach."""
    with public_folder() as path:
        yield path


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """Make a credential file of the agent's, in a folder that it can reach."""
    need("host", os.geteuid() == 0, "giving files to the agent's user needs root")
    folder = tmp_path / "home"
    folder.mkdir()
    file = folder / "token"
    file.write_bytes(b"tok-s3cr3t-0123456789")
    file.chmod(0o600)
    for path in (folder, file):
        os.chown(path, AGENT_UID, AGENT_UID)
    return file


def proposed(tmp_path: Path, *paths: str, **issuers: str) -> tuple[Proposal, ...]:
    """Return what is proposed for credential files of the agent's user."""
    settings = {"user": str(AGENT_UID), "credential_files": [*paths], "credential_issuers": issuers}
    found = credential_files.propose(connection(tmp_path / "incident", settings), "freeze:x", "kill:x")  # type: ignore[arg-type]  # lists of text are JSON
    return found.proposals


def test_a_withheld_file_is_refused_to_the_agent_s_user_and_comes_back(tmp_path: Path, token: Path) -> None:
    """It could be read before, cannot be now, and is the same file after the restore."""
    (step,) = proposed(tmp_path, str(token))
    action = WithholdCredential(connection(tmp_path / "incident"))
    before, inode = (token.read_bytes(), token.stat().st_mode, token.stat().st_uid), token.stat().st_ino
    open_to_it = action.probe(step.target)
    prior = stop(action, step.target)
    refused = action.probe(step.target)

    assert open_to_it is not None
    assert (Verdict.NOT_CONTAINED, Grade.REFUSED_AS_AGENT) == (open_to_it.verdict, open_to_it.grade)
    assert refused is not None
    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (refused.verdict, refused.grade)
    assert Verdict.CONTAINED is action.judge(step.target, action.observe(step.target)).verdict
    done = action.revert(step.target, prior, action.observe(step.target))
    assert {str(token): Outcome.RESTORED} == done.objects
    assert (*before, inode) == (
        token.read_bytes(),
        token.stat().st_mode,
        token.stat().st_uid,
        token.stat().st_ino,
    )


def test_the_probe_leaves_our_own_rights_alone(tmp_path: Path, token: Path) -> None:
    """Only a thread took the agent's place."""
    (step,) = proposed(tmp_path, str(token))
    WithholdCredential(connection(tmp_path / "incident")).probe(step.target)

    assert (0, 0, os.getgroups()) == (os.geteuid(), os.getegid(), os.getgroups())
    assert "Uid:\t0\t0\t0\t0" in Path("/proc/self/status").read_text()


def test_the_content_is_in_no_state_and_in_no_sealed_file(tmp_path: Path, token: Path) -> None:
    """Only a commitment under a key that the sealed store keeps."""
    (step,) = proposed(tmp_path, str(token))
    action = WithholdCredential(connection(tmp_path / "incident"))
    prior = stop(action, step.target)

    assert b"s3cr3t" not in canonical(dict(prior.objects))
    kept = [file for file in (tmp_path / "incident").rglob("*") if file.is_file()]
    assert [] == [file for file in kept if b"s3cr3t" in file.read_bytes()]


def test_a_step_names_its_issuer_and_what_it_withholds(tmp_path: Path, token: Path) -> None:
    """So that the core can say: still valid at ISSUER."""
    (step,) = proposed(tmp_path, str(token), **{str(token): "https://issuer.example"})

    assert ("https://issuer.example", (f"file:{token}",)) == (step.target.params["issuer"], step.withholds)
    assert credential_files.SPEC.withholds_only
    assert step.best_grade is None


@pytest.mark.parametrize(
    "name", ["/srv/a\x1b[31mb", "/srv/a\nb", "relative", "/srv/../etc/shadow", "/srv/\u202egnp"]
)
def test_a_name_that_nobody_can_read_is_refused_in_words(tmp_path: Path, name: str) -> None:
    """It becomes a door that is open, with the name escaped."""
    settings = {"user": str(AGENT_UID), "credential_files": [name]}
    found = credential_files.propose(connection(tmp_path / "incident", settings), None, "kill")  # type: ignore[arg-type]  # lists of text are JSON

    assert () == found.proposals
    assert 1 == len(found.doors)
    assert found.doors[0].door.name.isascii()
    assert found.doors[0].door.name.isprintable()
    assert Verdict.NOT_CONTAINED is found.doors[0].door.verdict


def test_markup_in_a_name_is_only_text(tmp_path: Path) -> None:
    """Brackets are printable; the screens escape them."""
    (step,) = proposed(tmp_path, "/srv/[red]token[/red]")

    assert "/srv/[red]token[/red]" == step.target.id


def test_a_link_that_was_set_aside_does_not_count_as_withheld(tmp_path: Path, token: Path) -> None:
    """What it pointed to can still be read under its own name."""
    real = token.with_name("real")
    token.rename(real)
    token.symlink_to(real)
    (step,) = proposed(tmp_path, str(token))
    action = WithholdCredential(connection(tmp_path / "incident"))
    stop(action, step.target)
    found = action.judge(step.target, action.observe(step.target))

    assert Verdict.NOT_CONTAINED is found.verdict
    assert "link" in found.reason


def test_a_file_that_the_agent_writes_again_is_not_contained_until_it_is_moved_too(
    tmp_path: Path, token: Path
) -> None:
    """The engine's next round takes it."""
    (step,) = proposed(tmp_path, str(token))
    action = WithholdCredential(connection(tmp_path / "incident"))
    stop(action, step.target)
    token.write_bytes(b"again")

    assert Verdict.NOT_CONTAINED is action.judge(step.target, action.observe(step.target)).verdict
    stop(action, step.target)
    assert Verdict.CONTAINED is action.judge(step.target, action.observe(step.target)).verdict


def test_a_missing_file_is_nothing_to_withhold(tmp_path: Path, token: Path) -> None:
    """And a path that cannot be read is unknown, not contained."""
    token.unlink()
    (step,) = proposed(tmp_path, str(token))
    action = WithholdCredential(connection(tmp_path / "incident"))

    assert "no file stands there" == action.judge(step.target, action.observe(step.target)).reason
    assert Verdict.UNKNOWN is action.judge(step.target, State({}, complete=False)).verdict


def test_without_a_user_of_the_agent_s_own_there_is_no_probe(tmp_path: Path) -> None:
    """The plan then promises a read-back alone."""
    settings = {"cgroup": "/does/not/exist", "credential_files": ["/srv/token"]}
    found = credential_files.propose(connection(tmp_path / "incident", settings), None, "kill")  # type: ignore[arg-type]  # lists of text are JSON
    action = WithholdCredential(connection(tmp_path / "incident"))

    assert Grade.READ_BACK is found.proposals[0].best_grade
    assert action.probe(Resource("credential-file", "/srv/token", "x", {})) is None
