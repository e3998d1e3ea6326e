"""The executor is killed in the middle of a stop in Google Cloud: another goes on, nothing is done twice."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import Any

import pytest

from breakglass.journal.history import replay
from breakglass.journal.reader import read_sealed
from breakglass.journal.sealing import verify_folder
from tests.gcp.project_fleet import Cloud, project_fleet, said
from tests.gcp.test_gcp_whole_faults import agent
from tests.hosts.executors import Executors, executors, make_plan
from tests.hosts.fleet import Fleet

KILLED = -signal.SIGKILL
HELD = "agent-key"
DISABLE = "gcp.iam.disable_service_account"
ONCE = ("stop.issued", "run.opened", "plan.claimed", "run.sealed")
CHANGES = ("DisableServiceAccount", "DisableServiceAccountKey", "PauseJob", "PauseQueue")


@pytest.mark.parametrize(
    "die",
    [[["after", 8]], [["before", 18], ["after", 6]], [["after", 30]]],
    ids=["when its steps have begun", "in the middle, and its successor too", "near its end"],
)
def test_a_killed_stop_is_resumed_to_the_same_end_and_put_back_byte_for_byte(
    cloud: Cloud, die: list[list[object]]
) -> None:
    """Contained, each change made once, one whole journal; the restore knows what there was before."""
    found = agent(cloud)
    before = cloud.state()
    with project_fleet(cloud, cloud.reach(**found)) as ours, executors(ours) as one:
        report = killed_and_resumed(ours, one, die)
        assert (0, "contained") == (report["code"], report["verdict"]), report["open"]
        assert {"contained"} == {step["verdict"] for step in report["steps"]}
        made = writes(cloud)
        assert {1} == {made[name] for name in CHANGES}, made
        _, back = ours.restore()

    assert "contained" == back.verdict, said(back)
    assert before == cloud.state()


def test_the_token_that_was_kept_for_proof_dies_with_the_executor_and_nothing_is_claimed_without(
    cloud: Cloud,
) -> None:
    """The key that is held is disabled, too, and says nothing of its account: that is unknown, in words."""
    found = agent(cloud)
    email = found["service_accounts"][0]
    cloud.held[HELD] = cloud.key(email)
    before = cloud.state()
    with (
        project_fleet(cloud, cloud.reach(**found, agent_credentials={email: HELD}), step_s=10) as ours,
        executors(ours) as one,
    ):
        report = killed_and_resumed(ours, one, [["after", 30]])
        steps = {step["action"]: step for step in report["steps"]}
        if (4, "unknown") == (report["code"], report["verdict"]):
            assert "this run holds none" in steps[DISABLE]["reason"]
        else:  # it died after the proof
            assert (0, "contained") == (report["code"], report["verdict"]), report["open"]
        assert {"contained"} == {step["verdict"] for step in report["steps"] if step["action"] != DISABLE}
        name = f"projects/-/serviceAccounts/{email}"
        assert cloud.admin.call("iam_admin", "get_service_account", {"name": name}).disabled
        made = writes(cloud)
        assert (1, 2) == (made["DisableServiceAccount"], made["DisableServiceAccountKey"]), made
        _, back = ours.restore()

    assert "contained" == back.verdict, said(back)
    assert before == cloud.state()


def killed_and_resumed(ours: Fleet, one: Executors, die: list[list[object]]) -> dict[str, Any]:
    """Kill the executor, and each that goes on, then let one end it; return report and exit code."""
    plan = make_plan(ours)
    killed = [one.stop(die=die[0]), *(one.resume(die=again) for again in die[1:])]
    assert [KILLED] * len(die) == [each.code for each in killed], killed
    resumed = one.resume()
    report = json.loads((ours.incident.path / "report.json").read_bytes())
    assert [step.n for step in plan.steps] == [step["number"] for step in report["steps"]]
    assert [] == complaints(ours)
    return {**report, "code": resumed.code}


def writes(cloud: Cloud) -> Counter[str]:
    """Count what the executor changed, by call."""
    return Counter(
        one["method"].rpartition("/")[2]
        for one in cloud.calls()
        if one["code"] == "OK" and not one["read"] and one["principal"].startswith("breakglass-executor@")
    )


def complaints(ours: Fleet) -> list[str]:
    """Say what is wrong with the record itself."""
    key = ours.site.kit.roster.executors[0].log_key
    found = list(verify_folder(ours.incident.path, key).problems)
    records = read_sealed(ours.incident.path).records
    open_: set[object] = set()
    for record in records:
        step = record.body.get("step")
        if record.type == "step.intent":
            open_.add(step)
        elif record.type == "step.accepted":
            if step not in open_:
                found.append(f"record {record.seq}: a change without an intent")
            open_.discard(step)
    found += [f"step {n} is not closed" for n, one in replay(records).items() if not one.closed]
    kinds = [record.type for record in records]
    found += [f"not exactly one {kind}" for kind in ONCE if kinds.count(kind) != 1]
    return found + ([] if "run.resumed" in kinds else ["nobody resumed it"])
