"""Whole stops of real processes that were once called contained, and were not."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

from breakglass.clock import SystemClock
from breakglass.model.plan import TwoPersonRule
from breakglass.usecases.connections import card_or_none
from breakglass.usecases.inspect import plan_stop
from breakglass.usecases.prepare import StopRequest
from breakglass.usecases.site import open_site
from breakglass_host import tree
from tests.cli.ground import Ground, cgroup_root, live_agent, remove
from tests.review.conftest import _CGROUPS, AGENTS

CLOCK = SystemClock()


def stop(ground: Ground, agent: str, folder: Path) -> tuple[int, dict[str, object]]:
    """Plan, sign twice, stop from a script; return the exit code and the report."""
    folder.mkdir()
    plan = folder / "plan.json"
    assert 0 == ground.run("plan", agent, "-o", str(plan)).returncode
    for person in ("alice", "bob"):
        assert 0 == ground.run("sign", str(plan), "--yes", person=person).returncode
    names = [part for person in ("alice", "bob") for part in ("--signature", str(folder / f"{person}.sig"))]
    done = ground.run("stop", "--plan", str(plan), *names, "--json")
    return done.returncode, json.loads(done.stdout)


def test_an_inventory_that_names_a_cgroup_that_does_not_exist_is_not_contained(
    ground: Ground, tmp_path: Path
) -> None:
    """A misspelt name: "populated 0, and nothing of the agent is left", while the agent works elsewhere."""
    code, report = stop(ground, f"agent-{AGENTS - 2}", tmp_path / "p")

    assert (4, "unknown") == (code, report["verdict"])


def test_what_an_earlier_stop_froze_and_did_not_end_is_ended_before_it_is_called_contained(
    ground: Ground, tmp_path: Path
) -> None:
    """Its processes lie frozen in the other incident's cgroup, where the named one does not show them."""
    root, name = cgroup_root(), f"{_CGROUPS}-{AGENTS - 3}"
    assert root is not None
    hold = root / f"breakglass-inc-old-{tree.short(f'cgroup:{name}')}"
    with live_agent(_CGROUPS, AGENTS - 3) as process:
        hold.mkdir()
        try:
            (hold / "cgroup.freeze").write_text("1")
            for pid in (root / name.lstrip("/") / "cgroup.procs").read_text().split():
                (hold / "cgroup.procs").write_text(pid)

            code, report = stop(ground, f"agent-{AGENTS - 3}", tmp_path / "p")
            until = time.monotonic() + 2
            while process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            ended = process.poll() is not None
        finally:
            for file, text in (("cgroup.kill", "1"), ("cgroup.freeze", "0")):
                with contextlib.suppress(OSError):
                    (hold / file).write_text(text)
            remove(hold)

    assert (0, "contained", True) == (code, report["verdict"], ended), report["open"]


def test_a_drill_never_says_that_the_two_person_rule_is_enforced(ground: Ground) -> None:
    """Whoever runs it could have made its roster and the anchor that vouches for it."""
    own = open_site(None, ground.environ(), CLOCK, card_or_none)
    settings = replace(own.kit.settings, two_person_rule=TwoPersonRule.ENFORCED)
    claims = replace(own, kit=replace(own.kit, settings=settings))
    request = StopRequest(f"agent-{AGENTS - 2}", "", "r", "alice", None, CLOCK.now())

    plan, _ = plan_stop(claims, request, "inc-1", os.urandom, out=None)

    assert plan.drill
    assert TwoPersonRule.ADVISORY is plan.two_person_rule


def test_an_executor_without_its_log_key_asks_nobody_to_sign(ground: Ground, tmp_path: Path) -> None:
    """Two people would sign a stop that then could not be sealed, and begin again."""
    plan = tmp_path / "plan.json"
    assert 0 == ground.run("plan", f"agent-{AGENTS - 2}", "-o", str(plan)).returncode
    for person in ("alice", "bob"):
        assert 0 == ground.run("sign", str(plan), "--yes", person=person).returncode
    names = [part for person in ("alice", "bob") for part in ("--signature", str(tmp_path / f"{person}.sig"))]
    log = ground.folder / "log"
    log.chmod(0o644)
    try:
        done = ground.run("stop", "--plan", str(plan), *names, "--keep", str(tmp_path / "kept"))
    finally:
        log.chmod(0o600)

    assert 5 == done.returncode
    assert "others may use the private key" in done.stderr
    assert b'"plan.claimed"' not in (tmp_path / "kept" / "journal.jsonl").read_bytes()
