"""Forged, swapped and shortened folders of incidents: none is taken for what this executor did."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from breakglass.clock import SystemClock
from breakglass.errors import NotAuthorised, RecordDamaged, StopInProgress
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.chain import merkle_root
from breakglass.journal.checkpoint import Checkpoint
from breakglass.journal.ledger import Ledger, Running
from breakglass.journal.reader import read_journal
from breakglass.journal.writer import Journal
from breakglass.model.plan import Plan, plan_digest
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.restore import RestoreRequest, open_restore
from breakglass.usecases.second import refuse_second
from breakglass.usecases.site import Site, open_site
from tests.cli.ground import NOBODY, Ground

CLOCK = SystemClock()


def stopped(ground: Ground, agent: str, folder: Path) -> Path:
    """Stop an agent and return the incident's folder."""
    folder.mkdir()
    plan = folder / "plan.json"
    assert 0 == ground.run("plan", agent, "-o", str(plan)).returncode
    for person in ("alice", "bob"):
        assert 0 == ground.run("sign", str(plan), "--yes", person=person).returncode
    names = [part for person in ("alice", "bob") for part in ("--signature", str(folder / f"{person}.sig"))]
    done = ground.run("stop", "--plan", str(plan), *names, "--keep", str(folder / "kept"))
    assert 0 == done.returncode, done.stderr
    return folder / "kept"


def site(ground: Ground) -> Site:
    """Open the kit as an executor would."""
    return open_site(None, ground.environ(), CLOCK, card_or_none)


def cut(folder: Path, *kinds: str) -> None:
    """Leave out the records of these kinds at the end, at the end of a line."""
    path = folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    while lines and json.loads(lines[-1])["type"] in kinds:
        lines.pop()
    path.write_bytes(b"".join(lines))


@pytest.fixture(scope="module")
def kept(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stop one agent; every test works on a copy of what is left of it."""
    from tests.cli.ground import live_agent
    from tests.review.conftest import _CGROUPS, AGENTS

    folder = tmp_path_factory.mktemp("stopped")
    with live_agent(_CGROUPS, AGENTS - 1):
        return stopped(ground, f"agent-{AGENTS - 1}", folder / "one")


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kept, tmp_path / "copy"))


def test_a_sealed_journal_that_was_shortened_is_damage_to_whoever_reads_it(
    ground: Ground, copy: Path
) -> None:
    """`report` and `status` once told of the records that were left, as if they were all."""
    cut(copy, "run.sealed")

    report, status = ground.run("report", str(copy)), ground.run("status", str(copy))

    assert 7 == report.returncode
    assert "CONTAINED" not in report.stdout
    assert "DAMAGED" in status.stdout


def test_a_plan_that_was_swapped_under_its_journal_is_damage(ground: Ground, copy: Path) -> None:
    """A plan without its open doors would make another verdict of the same records."""
    document = json.loads((copy / "plan.json").read_bytes())
    document["reason"] = "swapped"
    (copy / "plan.json").write_bytes(
        json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )

    assert 7 == ground.run("report", str(copy)).returncode
    with pytest.raises(RecordDamaged):
        open_restore(site(ground), IncidentFolder.open(copy), RestoreRequest("r", "alice"), os.urandom)


def test_a_stop_that_was_not_sealed_here_is_not_restored(ground: Ground, copy: Path) -> None:
    """What would be put back is not signed: a forged journal could put back anything, as root."""
    path = copy / "journal.jsonl"
    (copy / "checkpoint").unlink()
    with Journal.reopen(path, CLOCK) as journal:
        journal.append("step.intent", {"step": 0, "round": 9, "token": "", "objects": {"/etc/passwd": 1}})
    lines = read_journal(path).lines
    forged = Checkpoint("drill.invalid/ex/inc-x", len(lines), merkle_root(lines))
    (copy / "checkpoint").write_bytes(forged.to_bytes())

    with pytest.raises(NotAuthorised, match="never sealed such a stop"):
        open_restore(site(ground), IncidentFolder.open(copy), RestoreRequest("r", "alice"), os.urandom)
    assert () == IncidentFolder.open(copy).runs()


def test_a_stop_that_was_sealed_here_is_restored_from_its_own_folder(ground: Ground, copy: Path) -> None:
    """The same without the forgery is asked to be signed."""
    opened = open_restore(site(ground), IncidentFolder.open(copy), RestoreRequest("r", "alice"), os.urandom)
    opened.close()

    assert opened.run.plan.parent is not None


def test_a_run_that_says_that_it_ended_is_not_sealed_unless_it_was_claimed_here(
    ground: Ground, copy: Path
) -> None:
    """`resume` once put the executor's signature under any journal whose last record was run.sealed."""
    document = json.loads((copy / "plan.json").read_bytes())
    document["incident"] = "inc-forged"
    raw = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (copy / "plan.json").write_bytes(raw)
    for name in ("checkpoint", "checkpoint.sig", "journal.jsonl"):
        (copy / name).unlink()
    with Journal.create(copy / "journal.jsonl", CLOCK) as journal:
        journal.append("run.sealed", {"verdict": "contained", "open": []})

    done = ground.run("resume", str(copy))

    assert 5 == done.returncode
    assert not (copy / "checkpoint").exists()


def test_a_folder_that_another_account_made_is_neither_resumed_nor_restored(
    ground: Ground, copy: Path
) -> None:
    """Where the home folder lies in the agent's reach, it can put a folder of its own in the place."""
    for path in (copy, *copy.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    with pytest.raises(NotAuthorised, match="another account"):
        open_restore(site(ground), IncidentFolder.open(copy), RestoreRequest("r", "alice"), os.urandom)
    (copy / "checkpoint").unlink()

    done = ground.run("resume", str(copy))

    assert 5 == done.returncode
    assert "another account" in done.stderr


def test_a_request_that_names_another_server_is_not_asked_with_our_credentials(
    ground: Ground, agent: str, tmp_path: Path
) -> None:
    """`approve --check` of a request that anybody wrote once connected to whatever it named."""
    (tmp_path / "p").mkdir()
    plan = tmp_path / "p/plan.json"
    assert 0 == ground.run("plan", agent, "-o", str(plan)).returncode
    document = json.loads(plan.read_bytes())
    document["reaches"][0]["settings"]["cgroup"] = "/somewhere/else"
    plan.write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())

    done = ground.run("approve", str(plan), "--check", person="alice")

    assert "our kit has no such connection" in " ".join(done.stderr.split())
    assert "every target is as the plan says" not in done.stderr


def unfinished(copy: Path, state: Path, agent: str, name: str) -> Ledger:
    """Return a state folder that knows of a run of this plan that began and did not end."""
    raw = (copy / "plan.json").read_bytes()
    plan = Plan.from_bytes(raw, where="plan")
    ledger = Ledger.open(state, CLOCK, create=True)
    ledger.claim(
        plan_digest(raw), plan.nonce, plan.incident + name, Running(agent, str(copy), CLOCK.now().plus(600))
    )
    (copy / "checkpoint").unlink()
    return ledger


def test_a_second_stop_is_refused_while_the_first_can_be_resumed(
    ground: Ground, copy: Path, tmp_path: Path
) -> None:
    """What the next two tests must not be confused with."""
    ledger = unfinished(copy, tmp_path / "state", "bot", "")

    with pytest.raises(StopInProgress):
        refuse_second(site(ground), ledger, "bot", "inc-2")


@pytest.mark.parametrize("why", ["journal", "signatures", "owner"])
def test_a_run_that_cannot_be_resumed_keeps_nobody_from_stopping_the_agent(
    ground: Ground, copy: Path, tmp_path: Path, why: str
) -> None:
    """Else neither `stop` nor `resume` would do anything until the time of the dead run is over."""
    ledger = unfinished(copy, tmp_path / "state", "bot", "")
    if why == "journal":
        data = (copy / "journal.jsonl").read_bytes()
        (copy / "journal.jsonl").write_bytes(data.replace(b'"seq":2', b'"seq":7'))
    elif why == "signatures":
        for path in copy.glob("*.sig"):
            path.unlink()
    else:
        os.chown(copy, NOBODY, NOBODY)

    refuse_second(site(ground), ledger, "bot", "inc-2")


def test_an_undo_that_was_begun_keeps_nobody_from_stopping_the_agent_again(
    ground: Ground, copy: Path, tmp_path: Path
) -> None:
    """It does harm again while it is being restored: the stop goes first."""
    ledger = unfinished(copy, tmp_path / "state", "bot", "/1-restore")

    refuse_second(site(ground), ledger, "bot", "inc-2")


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o700, NOBODY), (0o1777, NOBODY)])
def test_an_incident_is_not_laid_where_the_agent_could_swap_its_folder(
    tmp_path: Path, mode: int, owner: int
) -> None:
    """BREAKGLASS_HOME in the agent's reach: root would write where a link of the agent's points."""
    parent = tmp_path / "home"
    parent.mkdir()
    os.chown(parent, owner, owner)
    parent.chmod(mode)

    with pytest.raises(NotAuthorised, match="another account"):
        IncidentFolder.create(parent / "inc-1")

    assert not (parent / "inc-1").exists()


@pytest.mark.parametrize(("mode", "owner"), [(0o666, 0), (0o644, NOBODY)])
def test_an_anchor_that_another_account_could_have_written_is_not_trusted(
    ground: Ground, mode: int, owner: int
) -> None:
    """All trust hangs on it."""
    anchor = ground.folder / "anchor"
    before = anchor.stat()
    try:
        os.chown(anchor, owner, owner)
        anchor.chmod(mode)
        with pytest.raises(NotAuthorised, match="the anchor"):
            site(ground).trusted_roster(highest_seen=0)
    finally:
        os.chown(anchor, before.st_uid, before.st_gid)
        anchor.chmod(before.st_mode & 0o777)

    assert site(ground).trusted_roster(highest_seen=0)
