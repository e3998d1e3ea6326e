"""The same from a script, without a terminal: plain lines, no prompts, signatures given or exit 5."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.ground import Ground


def _signed_plan(ground: Ground, agent: str, folder: Path, *people: str) -> list[str]:
    """Make a plan, let people sign it, and return the arguments of the stop."""
    folder.mkdir()
    plan = folder / "plan.json"
    made = ground.run("plan", agent, "-o", str(plan))
    assert 0 == made.returncode, made.stderr
    for person in people:
        signed = ground.run("sign", str(plan), "--yes", person=person)
        assert 0 == signed.returncode, signed.stderr
    names = [part for person in people for part in ("--signature", str(folder / f"{person}.sig"))]
    return ["--plan", str(plan), *names]


def test_a_script_stops_an_agent_with_a_plan_and_two_signatures(
    ground: Ground, agent: str, tmp_path: Path
) -> None:
    """Exactly that plan runs: JSON on stdout, one plain line an event on stderr, exit 0."""
    arguments = _signed_plan(ground, agent, tmp_path / "p", "alice", "bob")

    done = ground.run("stop", *arguments, "--json", "--keep", str(tmp_path / "kept"))

    assert 0 == done.returncode, done.stderr
    report = json.loads(done.stdout)
    assert "contained" == report["verdict"]
    assert ["alice", "bob"] == sorted(signer["person"] for signer in report["signers"])
    assert report["timings"]["isolate_s"] is not None
    assert "\x1b" not in done.stderr
    assert " proven    host local  host.cgroup.kill_tree" in done.stderr


def test_one_signature_is_refused_and_names_who_is_missing(
    ground: Ground, agent: str, tmp_path: Path
) -> None:
    """Exit 5, nothing changed, no incident made."""
    arguments = _signed_plan(ground, agent, tmp_path / "p", "alice")

    done = ground.run("stop", *arguments, "--keep", str(tmp_path / "kept"))

    assert 5 == done.returncode
    assert "1 of 2 persons signed" in done.stderr
    assert "nothing was changed" in done.stderr
    assert not (tmp_path / "kept").exists()


def test_the_same_plan_runs_only_once(ground: Ground, agent: str, tmp_path: Path) -> None:
    """A replayed nonce is refused with exit 5."""
    arguments = _signed_plan(ground, agent, tmp_path / "p", "alice", "bob")
    ground.run("stop", *arguments, "--keep", str(tmp_path / "one"))

    again = ground.run("stop", *arguments, "--keep", str(tmp_path / "two"))

    assert 5 == again.returncode
    assert "nothing was changed" in again.stderr


def test_a_plan_with_one_byte_changed_is_refused(ground: Ground, agent: str, tmp_path: Path) -> None:
    """The signatures do not cover it any more."""
    arguments = _signed_plan(ground, agent, tmp_path / "p", "alice", "bob")
    plan = tmp_path / "p/plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"reason":"not stated"', b'"reason":"not statef"'))

    assert 5 == ground.run("stop", *arguments).returncode


def test_without_a_terminal_nobody_is_asked(ground: Ground, agent: str) -> None:
    """Stop says what to do instead, with exit 5; --yes does not sign."""
    for arguments in (("stop", agent), ("stop", agent, "--yes")):
        done = ground.run(*arguments, person="alice")

        assert 5 == done.returncode, arguments
        assert "there is no terminal" in done.stderr


def test_a_script_restores_on_two_signatures_of_their_own(ground: Ground, agent: str, tmp_path: Path) -> None:
    """Restore plans and exits 5, naming what to sign; resume then carries it out, and not before."""
    kept = tmp_path / "kept"
    stopped = ground.run(
        "stop", *_signed_plan(ground, agent, tmp_path / "p", "alice", "bob"), "--keep", str(kept)
    )
    assert 0 == stopped.returncode, stopped.stderr

    planned = ground.run("restore", str(kept), "--as", "alice")
    plan = kept / "runs" / "1-restore" / "plan.json"
    too_early = ground.run("resume", str(kept))
    for person in ("alice", "bob"):
        assert 0 == ground.run("sign", str(plan), "--yes", person=person).returncode
    restored = ground.run("resume", str(kept), "--json")

    assert (5, 5) == (planned.returncode, too_early.returncode)
    assert f"breakglass sign {plan}" in planned.stderr.replace("\n", "").replace("  ", "")
    assert 0 == restored.returncode, restored.stderr
    assert ("restore", "contained") == tuple(json.loads(restored.stdout)[key] for key in ("verb", "verdict"))


def test_signing_without_a_terminal_needs_the_word_yes(ground: Ground, agent: str, tmp_path: Path) -> None:
    """The typed name cannot be asked for, so nothing is signed."""
    _signed_plan(ground, agent, tmp_path / "p")

    done = ground.run("sign", str(tmp_path / "p/plan.json"), person="alice")

    assert 5 == done.returncode
    assert "" == done.stdout
    assert not (tmp_path / "p/alice.sig").exists()


def test_a_plan_goes_through_a_pipe(ground: Ground, agent: str, tmp_path: Path) -> None:
    """`plan --json | sign -` works on bytes; the approval comes out of stdout."""
    _signed_plan(ground, agent, tmp_path / "p")

    done = ground.run("sign", "-", "--yes", person="bob", stdin=(tmp_path / "p/plan.json").read_text())

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("bg1s.")


def test_somebody_without_a_key_here_cannot_sign(ground: Ground, agent: str, tmp_path: Path) -> None:
    """The remedy says how to bring the key."""
    _signed_plan(ground, agent, tmp_path / "p")

    done = ground.run("sign", str(tmp_path / "p/plan.json"), "--as", "bob", "--yes", person="alice")

    assert 5 == done.returncode
    assert "none of the person's keys is here" in done.stderr


def test_what_was_recorded_can_be_shown_and_verified(ground: Ground, agent: str, tmp_path: Path) -> None:
    """Status, report in each format, journal verify; and damage is exit 7."""
    arguments = _signed_plan(ground, agent, tmp_path / "p", "alice", "bob")
    kept = tmp_path / "kept"
    ground.run("stop", *arguments, "--keep", str(kept))

    status = json.loads(ground.run("status", str(kept), "--json").stdout)
    text = ground.run("report", str(kept))
    markdown = ground.run("report", str(kept), "--format", "markdown")
    document = ground.run("report", str(kept), "--json")
    whole = ground.run("journal", "verify", str(kept))
    (kept / "journal.jsonl").write_bytes((kept / "journal.jsonl").read_bytes()[:-1])
    damaged = ground.run("journal", "verify", str(kept))

    assert ["contained"] == [item["verdict"] for item in status]
    assert text.stdout.startswith("CONTAINED")
    assert markdown.stdout.startswith("# Stop of agent\\-")
    assert json.loads(document.stdout) == json.loads((kept / "report.json").read_bytes())
    assert (0, 7) == (whole.returncode, damaged.returncode)
    assert "DAMAGED" in damaged.stdout


def test_an_alert_says_when_harm_began(ground: Ground, agent: str, tmp_path: Path) -> None:
    """Its times are observed; an alert about another agent is refused."""
    alert = tmp_path / "alert.json"
    body = {
        "v": 1,
        "agent": agent,
        "source": "monitor",
        "started_at": "2026-11-20T03:07:56.000Z",
        "detected_at": "2026-11-20T03:12:08.000Z",
        "what": "it floods the queue",
    }
    alert.write_text(json.dumps(body))

    shown = ground.run("plan", agent, "--alert", str(alert))
    another = "agent-0" if agent != "agent-0" else "agent-1"
    other = ground.run("plan", another, "--alert", str(alert))

    assert "detected  2026-11-20T03:12:08.000Z (observed, monitor)" in shown.stdout
    assert "reason    it floods the queue" in shown.stdout
    assert 2 == other.returncode


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("stop",), "name an agent, or a plan"),
        (("plan", "agent-o"), 'did you mean "agent-'),
        (("plan", "agent-0", "--runbook", "runawy"), "runaway"),
        (("plan", "agent-0", "--detected-at", "yesterday"), "not a UTC time"),
        (("providers", "show", "hots"), "did you mean 'host'?"),
        (("status", "inc-nowhere"), "no incident"),
        (("approve", "bg1.broken", "--yes"), "paste it again"),
        (("frobnicate",), "No such command"),
    ],
)
def test_a_mistake_gets_one_clear_answer_and_exit_2(
    ground: Ground, arguments: tuple[str, ...], said: str
) -> None:
    """What is wrong, what was expected, and no traceback."""
    done = ground.run(*arguments, person="alice")

    assert 2 == done.returncode, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_name_with_markup_and_escapes_cannot_act(ground: Ground) -> None:
    """It is shown as it is, or spelt out."""
    done = ground.run("plan", "[red]x[/red]\x1b[2J")

    assert 2 == done.returncode
    assert "[red]" in done.stderr
    assert "\x1b" not in done.stderr
