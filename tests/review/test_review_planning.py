"""What an agent or a broken provider can do while the world is read must not prevent the plan of a stop."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from breakglass.errors import BreakglassError, Denied, RecordDamaged
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched, Plan
from breakglass.model.resource import Resource
from breakglass.plan.readable import readable
from breakglass.provider import Discovery, Proposal, ProposedDoor
from breakglass.testing.fake_cloud import SPEC
from breakglass.usecases.connections import Connected
from breakglass.usecases.side_by_side import side_by_side
from breakglass.usecases.site import FileCredentials
from tests.review.test_review_verdict import plan_of, reach

EVIL = "evil\n\x1b[2J\u202e\udcff" + "x" * 5000


def evil_discovery() -> Discovery:
    """Return what was found where an agent chose every name that it could."""
    door = Door(DoorKind.NO_STEP, EVIL, EVIL, EVIL, EVIL, (), Verdict.UNKNOWN)
    return Discovery(
        scope="fake cloud",
        principals=(Resource("user", EVIL, EVIL, {}),),
        proposals=(
            Proposal("good", SPEC.name, Resource("user", "bot", EVIL, {}), affects=(EVIL,)),
            Proposal("odd", SPEC.name, Resource("user", EVIL, "bot", {}), moot_by=("good",)),
            Proposal("params", SPEC.name, Resource("user", "bot-2", "bot", {"path": EVIL})),
        ),
        doors=(ProposedDoor(door),),
        not_touched=(NotTouched(EVIL, EVIL),),
        incomplete=(EVIL,),
    )


def test_names_that_nobody_can_read_spoil_neither_the_plan_nor_the_reach() -> None:
    """The one step whose exact target cannot be written stays an open door; all else is planned."""
    found = replace(reach(SPEC), discovery=readable(evil_discovery()))

    plan = plan_of(found)

    assert plan == Plan.from_bytes(plan.to_bytes(), where="plan")
    assert ["bot"] == [step.target.id for step in plan.steps]
    assert 2 == sum(door.verdict is Verdict.NOT_CONTAINED for door in plan.doors)
    assert "\\u{1b}[2J" in plan.not_touched[0].resource


def test_a_provider_that_never_answers_holds_nobody_up() -> None:
    """Neither the others, nor the end of the process: its thread is a daemon."""
    release = threading.Event()
    started_s = time.monotonic()

    def denied() -> str:
        raise Denied("no")

    def broken() -> str:
        raise KeyError("x")

    calls = {0: lambda: str(release.wait(30)), 1: lambda: "here", 2: denied, 3: broken}
    answers = side_by_side(calls, within_s=0.3)

    assert time.monotonic() - started_s < 20
    assert "here" == answers[1]
    said = {n: answer.what for n, answer in answers.items() if isinstance(answer, BreakglassError)}
    assert {0: "no answer within 0 s", 2: "no", 3: "bug in the provider: KeyError: 'x'"} == said
    release.set()


class BadlyClosed:
    """A provider that fails when it is let go."""

    def close(self) -> None:
        """Fail."""
        raise OSError("gone")


def test_a_connection_that_cannot_be_closed_hides_no_verdict() -> None:
    """The end of a run is told after everything was let go."""
    Connected({0: BadlyClosed()}, {}).close()  # type: ignore[dict-item]  # only `close` is of interest


def test_a_credential_that_another_account_laid_there_is_not_used(tmp_path: Path) -> None:
    """It would be sent to the issuer as the executor's own; a link is not followed either."""
    credentials = FileCredentials(tmp_path)
    for name in ("own", "planted", "open"):
        (tmp_path / name).write_text("secret\n")
        (tmp_path / name).chmod(0o600 if name != "open" else 0o644)
    os.chown(tmp_path / "planted", 65_534, 65_534)
    (tmp_path / "link").symlink_to(tmp_path / "own")

    assert b"secret" == credentials.secret("own")
    for name in ("planted", "open", "link", "../own", "absent"):
        with pytest.raises((Denied, RecordDamaged)):
            credentials.secret(name)
