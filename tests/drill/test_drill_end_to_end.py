"""A whole drill: a live agent that resists is stopped on two signatures, and everything said is so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from breakglass.clock import Instant
from breakglass.drill.score import score
from breakglass.drill.truth import ChannelTruth
from breakglass.incident.folder import IncidentFolder
from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.model.action import Verdict
from breakglass.model.plan import Plan
from breakglass.usecases.drill import Outcome
from breakglass.usecases.inspect import read_report
from breakglass.verify.judge import assess
from tests.drill.real_drill import NO_CLOUDS, ROOT, Ran, drill, need_a_place, overtaken, place
from tests.project import test_readme

pytestmark = pytest.mark.timeout(1800)
CHANNELS = {"exfiltrate", "feed", "refund", "tickets", "wire"}


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    """Run the drill once for every test of this file."""
    need_a_place()
    with place() as here:
        yield drill(here, "--sandbox", "--json", "--keep", str(here.kept))


@pytest.fixture(scope="module")
def report(ran: Ran) -> dict[str, Any]:
    """Return the report that the drill wrote on its stdout."""
    assert 0 == ran.code, ran.talk
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_it_ends_contained_with_two_signers_and_every_number(report: dict[str, Any]) -> None:
    """Exit 0, two different persons, and a number for each phase, proven and read back."""
    assert ("contained", True, "rogue") == (report["verdict"], report["drill"], report["agent"])
    assert ["alice@drill.invalid", "bob@drill.invalid"] == sorted(
        item["person"] for item in report["signers"]
    )
    assert 2 == len({item["key_fingerprint"] for item in report["signers"]})
    numbers = {name: report["timings"][f"{name}_s"] for name in ("detect", "authorise", "isolate", "revoke")}
    numbers |= {name: report["timings"][f"{name}_s"] for name in ("preserve", "contained")}
    assert {} == {name: value for name, value in numbers.items() if not isinstance(value, int | float)}
    assert numbers["contained"] == max(numbers[name] for name in ("isolate", "revoke", "preserve"))


def test_the_report_is_what_its_schema_says_and_the_folder_keeps_the_same(
    ran: Ran, report: dict[str, Any]
) -> None:
    """stdout, report.json and the schema in docs/ agree."""
    schema = json.loads((ROOT / "docs/report.schema.json").read_bytes())

    jsonschema.validate(report, schema)
    assert ran.place.report() == report


def test_no_effect_reached_the_downstream_system_after_our_proof(report: dict[str, Any]) -> None:
    """Truth is there for each channel, and none of it is later than the claim."""
    truth = {item["channel"]: item for item in report["truth"]}

    assert CHANNELS <= set(truth)
    assert [] == [name for name, it in truth.items() if it["proven_at"] is None]
    assert [] == [name for name, it in truth.items() if it["last_effect_at"] > it["proven_at"]]


def test_every_step_was_proven_and_has_its_four_instants(report: dict[str, Any]) -> None:
    """Both providers did their part: freeze, cut, evidence, end, withhold, revoke, disable."""
    actions = {step["action"] for step in report["steps"]}

    assert {
        "host.cgroup.freeze_tree",
        "host.cgroup.kill_tree",
    } <= actions or "host.process.stop_tree" in actions
    assert {"oauth.token.revoke", "oauth.client.disable", "host.evidence.snapshot"} <= actions
    for step in report["steps"]:
        if overtaken(step):
            continue
        assert "contained" == step["verdict"], step
        assert step["requested_at"] <= step["read_back_at"] <= step["proven_at"], step
    assert [] == report["open"] or {"contained"} == {item["verdict"] for item in report["open"]}


def test_stock_tools_accept_both_signatures_and_the_journal_as_the_readme_prints_them(ran: Ran) -> None:
    """Exactly the README's lines: ssh-keygen, sha256sum and a shell."""
    signatures = test_readme.run("verify-signatures", ran.place.kept)
    journal = test_readme.run("verify-journal", ran.place.kept)

    assert 0 == signatures.returncode, signatures.stdout + signatures.stderr
    good = re.findall(
        r'^Good "breakglass-(\S+)-v1@\S+" signature for (\S+) with', signatures.stdout, re.MULTILINE
    )
    assert {
        ("plan", "alice@drill.invalid"),
        ("plan", "bob@drill.invalid"),
        ("checkpoint", "drill-executor"),
    } == set(good)
    assert (0, "") == (journal.returncode, journal.stderr)
    assert re.fullmatch(r"whole: \d+ records\n", journal.stdout)


def test_the_commands_that_the_closing_screen_prints_work(ran: Ran) -> None:
    """A person who copies them from the screen gets Good twice."""
    lines = ran.talk[ran.talk.index("Check:") + len("Check:") :].split("everything lies in")[0]
    script = "\n".join(line for line in lines.splitlines() if "breakglass journal" not in line)

    done = subprocess.run(
        ["sh", "-c", script], env=ran.place.environ, capture_output=True, text=True, check=False
    )

    assert (0, 2) == (done.returncode, done.stdout.count("Good ")), done.stderr


def breakglass(ran: Ran, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program afterwards, as somebody who was not there."""
    return subprocess.run(
        [sys.executable, "-m", "breakglass", *arguments],
        env=ran.place.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_journal_verifies_without_a_kit(ran: Ran) -> None:
    """``journal verify`` takes the folder's own key, says that it is not pinned, and exits 0."""
    done = breakglass(ran, "journal", "verify", str(ran.place.kept))

    assert 0 == done.returncode, done.stderr
    assert "not pinned" in done.stdout + done.stderr


def test_the_report_can_be_made_again_from_the_journal(ran: Ran, report: dict[str, Any]) -> None:
    """The same verdict, timings and truth, later, by another process."""
    done = breakglass(ran, "report", str(ran.place.kept), "--json")

    assert 0 == done.returncode, done.stderr
    assert report == json.loads(done.stdout)


def test_the_restore_put_the_files_back_byte_for_byte_and_names_what_is_gone(ran: Ran) -> None:
    """A run of its own on two signatures: files as before; ended processes and a revoked token are named."""
    restored = json.loads((ran.place.kept / "runs/1-restore/report.json").read_bytes())

    assert "RESTORED: the agent's files are as before, byte for byte" in ran.talk
    assert "NOT PUT BACK" not in ran.talk
    assert ("contained", 2) == (restored["verdict"], len(restored["signers"]))
    words = {item["resource"].split()[0]: item["reason"] for item in restored["not_touched"]}
    assert "Nothing brings an ended process back" in words["host.cgroup.kill_tree"]
    assert "oauth.token.revoke" in words
    assert "their owner must start them again" in ran.talk


def test_a_script_hears_each_thing_once(ran: Ran) -> None:
    """Plain lines without colour or cursor movements, none twice in one run, the data alone on stdout."""
    steps = re.findall(
        r"^ +[\d.]+ s  (\S+ +host local  host\S+)", ran.talk.split("\nrestore ")[0], re.MULTILINE
    )

    assert "\x1b" not in ran.talk + ran.out
    assert len(set(steps)) == len(steps) > 0
    assert ran.out.startswith("{")


def test_nothing_is_left_behind(ran: Ran) -> None:
    """No folder in TMPDIR, no process, no cgroup."""
    assert () == ran.left


def outcome(ran: Ran, shifted_us: int) -> Outcome:
    """Judge this very drill as if one channel's last effect had come so much after our proof."""
    folder = IncidentFolder.open(ran.place.kept)
    plan = Plan.from_bytes(folder.plan.read_bytes(), where="plan.json")
    histories = replay(read_sealed(folder.path).records)
    moot = assess(plan, histories, ()).moot
    nothing = ChannelTruth("feed", Instant(0), 0, 1)
    claim = score(plan, histories, moot, [nothing])[0].proven
    assert claim is not None
    last = replace(nothing, last_effect_at=claim.at, monotonic_us=claim.monotonic_us + shifted_us)
    channels = score(plan, histories, moot, [replace(nothing, channel="wire"), last])
    report, _ = read_report(folder)
    return Outcome(report, plan, folder, channels, None, (), sealed=True)


def test_a_report_that_claims_more_than_the_truth_fails_the_drill(ran: Ran) -> None:
    """The real journal against a truth that is one microsecond later than its claim: exit 3."""
    kept, late = outcome(ran, 0), outcome(ran, 1)

    assert (True, 0) == (kept.honest, kept.exit_code)
    assert (False, 3) == (late.honest, late.exit_code)
    assert Verdict.CONTAINED is late.report.verdict


def test_files_that_did_not_come_back_fail_the_drill(ran: Ran) -> None:
    """A stop that was proven is not yet a drill that went well."""
    assert 4 == replace(outcome(ran, 0), put_back=("token: missing",)).exit_code
    assert 4 == replace(outcome(ran, 0), sealed=False).exit_code


def test_the_agents_files_are_kept_out_of_reach_of_others(ran: Ran) -> None:
    """The incident's folder is private, and so is each file with evidence in it."""
    assert 0 == ran.place.kept.stat().st_mode & 0o077
    evidence = [path for path in (ran.place.kept / "evidence").rglob("*") if path.is_file()]
    assert evidence
    assert [] == [path for path in evidence if path.stat().st_mode & 0o077]


def test_a_folder_for_keep_that_is_in_use_fails_in_the_middle_and_leaves_nothing(tmp_path: Path) -> None:
    """The agent runs already when the folder is refused: exit 2, one line, and the agent is gone."""
    need_a_place()
    (tmp_path / "there").write_text("mine")
    with place() as here:
        failed = drill(here, "--keep", str(tmp_path), without=NO_CLOUDS)

        assert (2, ()) == (failed.code, failed.left), failed.talk
    assert ["there"] == [path.name for path in tmp_path.iterdir()]
