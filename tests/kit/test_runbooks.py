"""The shipped runbooks, and what a runbook may not be."""

from __future__ import annotations

from pathlib import Path

import pytest

from breakglass.canon import canonical, sha256
from breakglass.kit.complaints import Complaints
from breakglass.model.action import Capability
from breakglass.runbook import shipped
from breakglass.runbook.loader import read_runbook
from breakglass.runbook.model import Runbook
from breakglass.runbook.shelf import shelf
from breakglass.shape import encode
from tests.kit.kits import RUNBOOK, refusal, write_kit

NAMES = ("prompt-injection", "runaway", "credential-compromise", "policy-service-failure")
HARMFUL = {
    Capability.STOP_WORKLOADS,
    Capability.CUT_EGRESS,
    Capability.DISABLE_EVENT_SOURCES,
    Capability.PAUSE_QUEUES,
    Capability.BLOCK_RELAUNCH,
}


def read(text: str) -> Runbook:
    complaints = Complaints()
    book = read_runbook(text.encode(), file="x.yaml", stem="hush", complaints=complaints)
    complaints.raise_all("")
    assert book is not None
    return book


def test_four_runbooks_ship_and_no_file_more() -> None:
    """What lies in the folder is what is loaded, by the names that people type."""
    assert NAMES == tuple(shipped())
    assert sorted(NAMES) == sorted(path.stem for path in shelf().iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_all_four_share_the_first_response(name: str) -> None:
    """Stop harmful actions, preserve logs, freeze change; and each revokes, for nothing may stay open."""
    steps = [step.capability for step in shipped()[name].steps]

    assert set(Capability) == set(steps)
    assert HARMFUL <= set(steps[: steps.index(Capability.SNAPSHOT_LOGS)])
    assert steps.index(Capability.SNAPSHOT_LOGS) < steps.index(Capability.FREEZE_CHANGE)


@pytest.mark.parametrize("name", NAMES)
def test_each_carries_a_playbook_in_words(name: str) -> None:
    """What happened, what to look at, impact, next steps, whom to tell: more than a line of each."""
    playbook = shipped()[name].playbook

    assert len(playbook.what_happened) > 100
    for part in (playbook.look_at, playbook.impact, playbook.next_steps, playbook.tell):
        assert len(part) >= 3
        assert all(len(line) > 20 for line in part)


def test_a_lost_credential_is_revoked_first_and_a_loop_is_stopped_first() -> None:
    """The order is what tells the four apart."""
    first = {name: book.steps[0].capability for name, book in shipped().items()}

    assert Capability.REVOKE_CREDENTIALS is first["credential-compromise"]
    assert Capability.STOP_WORKLOADS is first["runaway"]


def test_the_digest_is_of_what_was_parsed() -> None:
    """A comment or another layout is the same runbook; another deadline is another one."""
    book = read(RUNBOOK)

    assert sha256(canonical(encode(book))) == book.sha256
    assert book.sha256 == read("# a note\n" + RUNBOOK.replace("title: Quietly", "title: 'Quietly'")).sha256
    assert book.sha256 != read(RUNBOOK.replace("deadline_s: 30", "deadline_s: 31")).sha256
    assert ("hush", 3, book.sha256) == (book.pin.name, book.pin.version, book.pin.sha256)


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("v: 1", "v: 2", "1:4", "v: 2 is not between 1 and 1"),
        ("runbook: hush", "runbook: Hush", "2:10", 'runbook: "Hush" is not a name of small letters'),
        ("runbook: hush", "runbook: hash", "2:10", 'runbook: "hash" stands in hush.yaml; name both alike'),
        ("title: Quietly", "titel: Q", "4:1", 'unknown key "titel"; did you mean "title"?'),
        ("stop_workloads,", "snapshot_logs,", "7:18", 'capability: "snapshot_logs" stands on line 6 too'),
        ("deadline_s: 30", "deadline_s: 0", "6:46", "deadline_s: 0 is not between 1 and 3600"),
        ("deadline_s: 30", "deadline_s: 3601", "6:46", "deadline_s: 3601 is not between 1 and 3600"),
        ("deadline_s: 30", "deadline: 30", "6:34", 'unknown key "deadline"; did you mean "deadline_s"?'),
        ("probe: true", "probe: yes", "6:57", 'probe: expected true or false, found the text "yes"'),
        ("look_at: [the logs]", "look_at: the logs", "12:12", "look_at: expected a list of texts, found"),
        ("tell: [the owner]", "tell: [5]", "15:10", "tell: expected a text, found the number 5"),
    ],
)
def test_a_mistake_in_a_runbook_is_named_with_place_and_suggestion(
    tmp_path: Path, old: str, new: str, where: str, what: str
) -> None:
    """The same words as for agents, at the file's own lines."""
    folder = write_kit(tmp_path, {"runbooks/hush.yaml": RUNBOOK.replace(old, new, 1)})
    error = refusal(folder)

    assert f"{folder}/runbooks/hush.yaml:{where}" == error.where
    assert error.what.startswith(what)


def test_a_runbook_without_steps_is_refused(tmp_path: Path) -> None:
    """It would stop nothing and say that it did."""
    head, tail = RUNBOOK.split("steps:", 1)
    text = f"{head}steps: []\nplaybook:{tail.split('playbook:')[1]}"

    assert refusal(write_kit(tmp_path, {"runbooks/hush.yaml": text})).what.startswith(
        "steps: a runbook that runs nothing stops nothing"
    )
