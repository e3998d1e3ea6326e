"""A stop at two terminals: the typed name, the pasted request, the second signature, no, and Ctrl-C."""

from __future__ import annotations

import json
import random
import re
import string
from pathlib import Path

from tests.cli.ground import Ground
from tests.cli.terminal import ESCAPES, Terminal

NAME = "Type the agent's name to sign as"
WAITING = "can be pasted here."


def _signed_by_first(first: Terminal, agent: str) -> str:
    """Type the name at the first terminal and return the request that is shown."""
    first.expect(f"{NAME} alice")
    first.type(f"{agent}\n")
    shown = first.expect(WAITING)
    found = re.search(r"^(bg1\.\S+)$", shown, re.MULTILINE)
    assert found is not None, shown
    return found[1]


def _folder(ground: Ground, agent: str) -> Path:
    for path in reversed(ground.incidents()):
        plan = json.loads((path / "plan.json").read_bytes())
        if plan["agent"] == agent:
            return path
    raise AssertionError(f"no incident of {agent}")


def test_two_people_at_two_terminals_stop_an_agent(ground: Ground, agent: str) -> None:
    """Name typed, request taken from the exchange, approved, run, proven: exit 0 with the verdict."""
    with ground.terminal("alice", "stop", agent, "--reason", "it floods the queue") as first:
        _signed_by_first(first, agent)
        with ground.terminal("bob", "approve", _folder(ground, agent).name) as second:
            screen = second.expect(f"{NAME} bob")
            second.type(f"{agent}\n")
            second.expect("signed as bob")

            assert 0 == second.end()
        first.expect("Signed 2 of 2: bob")
        first.expect("CONTAINED")

        assert 0 == first.end()
    assert "it floods the queue" in screen
    assert "not independently checked" in screen
    words = re.findall(r"words +([a-z]+(?: +[a-z]+){5})", screen)
    assert words, screen
    assert " ".join(words[0].split()) in " ".join(first.shown.split())


def test_a_request_and_an_approval_travel_as_pasted_strings(ground: Ground, agent: str) -> None:
    """Without a shared folder: one string goes to the second operator, one comes back, in two lines."""
    with ground.terminal("alice", "stop", agent) as first:
        request = _signed_by_first(first, agent)
        answer = ground.run("approve", request, "--yes", person="bob")
        approval = answer.stdout.strip()
        first.type(f"{approval[:100]}\n{approval[100:]}\n")
        first.expect("took the approval of bob")
        first.expect("CONTAINED")

        assert 0 == first.end()
    assert 0 == answer.returncode, answer.stderr


def test_a_request_longer_than_a_line_of_a_terminal_is_pasted_whole(ground: Ground, agent: str) -> None:
    """Terminals cut lines off after 4095 bytes; a request may have 8192."""
    reason = "".join(random.Random(7).choices(string.ascii_letters + string.digits, k=1990))
    with ground.terminal("alice", "stop", agent, "--reason", reason) as first:
        request = _signed_by_first(first, agent)
        with ground.terminal("bob", "approve", "-") as second:
            second.expect("then Enter:")
            second.type(f"{request}\n")
            second.expect(f"{NAME} bob")
            second.type(f"{agent}\n")
            second.expect("send this string back")

            assert 0 == second.end()
        approval = re.search(r"^(bg1s\.\S+)$", second.shown, re.MULTILINE)
        assert approval is not None
        first.type(f"{approval[1]}\n")
        first.expect("CONTAINED")

        assert 0 == first.end()
    assert 4096 < len(request)


def test_a_wrong_name_signs_nothing(ground: Ground, agent: str) -> None:
    """Three wrong names end it with exit 5, and nobody's signature is there."""
    with ground.terminal("alice", "stop", agent) as first:
        for _ in range(3):
            first.expect(f"{NAME} alice")
            first.type("agent-x\n")
            first.expect(f"that is not {agent}")

        assert 5 == first.end()
    assert "nothing was changed" in first.shown
    assert [] == list(_folder(ground, agent).glob("alice.sig"))


def test_a_wrong_name_at_the_second_terminal_signs_nothing(ground: Ground, agent: str) -> None:
    """The second person is asked in the same way."""
    with ground.terminal("alice", "stop", agent) as first:
        request = _signed_by_first(first, agent)
        with ground.terminal("bob", "approve", request) as second:
            second.expect(f"{NAME} bob")
            second.type("something else\n")
            second.expect("that is not")
            second.type("\x04")

            assert 5 == second.end()
        first.interrupt()

        assert 5 == first.end()
    assert [] == list(_folder(ground, agent).glob("bob.sig"))


def test_a_refusal_is_shown_and_vetoes_nothing(ground: Ground, agent: str) -> None:
    """A signed no appears at the first terminal; another person can still approve."""
    with ground.terminal("alice", "stop", agent) as first:
        _signed_by_first(first, agent)
        name = _folder(ground, agent).name
        refused = ground.run("reject", name, "--why", "it is the wrong agent", person="bob")
        first.expect("REFUSED by bob: it is the wrong agent")
        approved = ground.run("approve", name, "--yes", person="carol")
        first.expect("CONTAINED")

        assert 0 == first.end()
    assert (0, 0) == (refused.returncode, approved.returncode)
    assert refused.stdout.startswith("bg1r.")


def test_ctrl_c_before_the_second_signature_changes_nothing(ground: Ground, agent: str) -> None:
    """The agent still runs, the journal says that nothing was claimed, exit 5."""
    with ground.terminal("alice", "stop", agent) as first:
        _signed_by_first(first, agent)
        first.interrupt()

        assert 5 == first.end()
    records = (_folder(ground, agent) / "journal.jsonl").read_text()
    assert "nothing was changed" in first.shown
    assert '"type":"plan.claimed"' not in records
    assert '"type":"step.intent"' not in records


def test_ctrl_c_at_the_typed_name_changes_nothing(ground: Ground, agent: str) -> None:
    """Nobody signed and nothing ran."""
    with ground.terminal("alice", "stop", agent) as first:
        first.expect(f"{NAME} alice")
        first.interrupt()

        assert 5 == first.end()
    assert '"type":"plan.claimed"' not in (_folder(ground, agent) / "journal.jsonl").read_text()


def test_ctrl_c_while_it_runs_leaves_a_whole_journal_and_resume_goes_on(ground: Ground, agent: str) -> None:
    """The running calls settle, the exit is no success, and resume ends in the proven state."""
    with ground.terminal("alice", "stop", agent) as first:
        _signed_by_first(first, agent)
        name = _folder(ground, agent).name
        ground.run("approve", name, "--yes", person="bob")
        first.expect("isolate ")
        first.interrupt()
        first.expect("the running calls settle")
        first.expect("resume goes on")

        assert first.end() in (3, 4)
    resumed = ground.run("resume", name)

    assert 0 == resumed.returncode, resumed.stderr
    assert "CONTAINED" in resumed.stdout


WHOLE_PATH = 60
"""A path of a test is longer where tests run side by side, and a path to paste is never broken."""


def test_a_window_of_80_columns_without_colour_shows_everything(ground: Ground, agent: str) -> None:
    """No line is wider than the window, except strings and paths to paste; NO_COLOR leaves no colour."""
    with ground.terminal("alice", "stop", agent, NO_COLOR="1") as first:
        _signed_by_first(first, agent)
        first.interrupt()
        first.end()

    lines = [line.rstrip() for line in first.shown.splitlines() if not line.startswith("bg1.")]
    assert 80 >= max(len(line) for line in lines if max(map(len, line.split()), default=0) < WHOLE_PATH)
    assert [] == [found for found in ESCAPES.findall(first.raw) if found.endswith("m")]
    assert "NOT REVERSIBLE" in first.shown


def test_json_at_a_terminal_ends_in_the_report(ground: Ground, agent: str, tmp_path: Path) -> None:
    """The folder that --keep names is the incident's, and holds what the screen says."""
    kept = tmp_path / "kept"
    with ground.terminal("alice", "stop", agent, "--json", "--yes", "--keep", str(kept)) as first:
        first.expect(WAITING)
        ground.run("approve", str(kept), "--yes", person="bob")

        assert 0 == first.end()
    shown = first.shown[first.shown.rindex('{\n  "incident"') :]
    assert json.loads(shown) == json.loads((kept / "report.json").read_bytes())
    assert "contained" == json.loads(shown)["verdict"]


def test_a_restore_is_signed_by_two_people_of_its_own(ground: Ground, agent: str) -> None:
    """What the stop changed is put back on a plan and two signatures of its own, and says what cannot."""
    with ground.terminal("alice", "stop", agent, "--yes") as stop:
        stop.expect(WAITING)
        name = _folder(ground, agent).name
        ground.run("approve", name, "--yes", person="bob")

        assert 0 == stop.end()
    with ground.terminal("bob", "restore", name, "--reason", "it was mended") as restore:
        screen = restore.expect(f"{NAME} bob")
        restore.type(f"{agent}\n")
        shown = restore.expect(WAITING)
        request = re.search(r"^(bg1\.\S+)$", shown, re.MULTILINE)
        assert request is not None
        approval = ground.run("approve", request[1], "--yes", person="alice").stdout
        restore.type(approval)
        restore.expect("RESTORED")

        assert 0 == restore.end()
    assert f"RESTORE {agent}" in screen
    assert "it was mended" in screen
    assert "cannot be undone" in screen
