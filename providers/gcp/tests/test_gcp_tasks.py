"""Queues of tasks: paused with all that waits in them, and resumed with all of it."""

from __future__ import annotations

import pytest

from breakglass.errors import Transient
from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions import tasks
from providers.gcp.tests.feeds_gcp import URL, effects, queue, received, still, tick, verdict
from providers.gcp.tests.rig_gcp import LOCATION, Rig, close, proposal, undo

ENTRY = f"{LOCATION}/work"


def enqueue(rig: Rig, *bodies: str, account: str = "") -> None:
    """Add tasks."""
    rig.control("tasks.enqueue", {"queue": ENTRY, "bodies": list(bodies), "url": URL, "account": account})


def waiting(rig: Rig) -> list[str]:
    """Return the bodies of the tasks that wait."""
    return list(rig.control("tasks.waiting", {"queue": ENTRY}))


def test_a_paused_queue_dispatches_nothing_keeps_every_task_and_sends_each_once_after_the_restore(
    rig: Rig,
) -> None:
    """Tasks come before, during and after the stop; none is lost, none is sent twice."""
    queue(rig)
    before = still(rig)
    enqueue(rig, *(f"before {n}" for n in range(20)))
    provider = rig.provider(task_queues=[ENTRY])
    found = proposal(provider, tasks.SPEC.name)
    action = provider.actions[found.action]

    prior, _ = close(action, found.target)
    enqueue(rig, *(f"during {n}" for n in range(20)))
    tick(rig, 3)

    assert effects(rig, "tasks:work") == 0
    assert len(waiting(rig)) == 40
    assert undo(action, found.target, prior).objects == {"queue": Outcome.RESTORED}
    assert still(rig) == before
    enqueue(rig, "after")
    tick(rig, 3)
    wanted = [*(f"before {n}" for n in range(20)), *(f"during {n}" for n in range(20)), "after"]
    assert sorted(received(rig, "task")) == sorted(wanted)
    assert waiting(rig) == []


def test_an_attempt_that_was_dispatched_runs_on_and_the_plan_says_so(rig: Rig) -> None:
    """Pausing its queue does not end it."""
    queue(rig)
    rig.control("tasks.attempt_s", {"queue": ENTRY, "seconds": 60})
    enqueue(rig, "one")
    tick(rig)
    provider = rig.provider(task_queues=[ENTRY])
    found = proposal(provider, tasks.SPEC.name)
    doors = [one.door for one in provider.discover().doors]

    close(provider.actions[found.action], found.target)
    before = effects(rig, "attempt:work")
    tick(rig, 2)

    assert effects(rig, "attempt:work") == before + 2
    assert [(one.name, one.verdict) for one in doors if "dispatched" in one.name] == [
        (f"attempts that task queue {ENTRY} dispatched before", Verdict.CONTAINED)
    ]


def test_tasks_of_a_disabled_account_are_refused_and_kept(rig: Rig) -> None:
    """No token is given for it, whatever the queue does."""
    account = rig.account("bot")
    queue(rig)
    enqueue(rig, "one", account=account)
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{account}"})

    tick(rig)

    assert effects(rig, "tasks:work") == 0
    assert waiting(rig) == ["one"]


def test_a_queue_is_dispatched_at_its_rate_and_the_step_names_it(rig: Rig) -> None:
    """Who restores many queues at once wants to know."""
    queue(rig, rate_limits={"max_dispatches_per_second": 5})
    enqueue(rig, *(str(n) for n in range(50)))
    provider = rig.provider(task_queues=[ENTRY])

    tick(rig)

    assert 0 < effects(rig, "tasks:work") < 10
    told = proposal(provider, tasks.SPEC.name).affects
    assert told == ("dispatches up to 5 tasks a second again once it is resumed",)


def test_a_queue_that_was_off_stays_off(rig: Rig) -> None:
    """ResumeQueue would start a disabled one, too."""
    name = queue(rig)
    rig.admin.call("tasks", "pause_queue", {"name": name})
    provider = rig.provider(task_queues=[ENTRY])
    found = proposal(provider, tasks.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    assert undo(action, found.target, prior).objects == {"queue": Outcome.ALREADY}

    rig.control("tasks.state", {"queue": ENTRY, "state": "DISABLED"})
    prior, _ = close(action, found.target)

    assert undo(action, found.target, prior).objects == {"queue": Outcome.ALREADY}
    assert verdict(action, found.target) == "contained"


def test_an_agent_that_resumes_its_queue_is_seen_and_one_that_changes_it_keeps_it_paused(rig: Rig) -> None:
    """A queue that is not as the stop left it is not resumed."""
    agent = rig.account("bot", roles=["roles/cloudtasks.admin"])
    name = queue(rig)
    provider = rig.provider(task_queues=[ENTRY])
    found = proposal(provider, tasks.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    calls = rig.calls_as(rig.token(agent))

    calls.call("tasks", "resume_queue", {"name": name})
    assert verdict(action, found.target) == "not_contained"
    close(action, found.target)
    faster = {"name": name, "rate_limits": {"max_dispatches_per_second": 400}}
    calls.call("tasks", "update_queue", {"queue": faster, "update_mask": {"paths": ["rate_limits"]}})

    assert undo(action, found.target, prior).objects == {"queue": Outcome.DRIFTED}
    assert verdict(action, found.target) == "contained"


def test_a_lost_answer_and_a_region_that_is_down_are_not_success(rig: Rig) -> None:
    """What is read back decides."""
    queue(rig)
    provider = rig.provider(task_queues=[ENTRY])
    found = proposal(provider, tasks.SPEC.name)
    action = provider.actions[found.action]
    down = {"method": "/google.cloud.tasks.*", "location": LOCATION, "code": "UNAVAILABLE"}
    rig.control("faults", {"faults": [down]})

    with pytest.raises(Transient):
        action.observe(found.target)

    lost = {"method": "*PauseQueue", "code": "UNAVAILABLE", "after": True, "times": 1}
    rig.control("faults", {"faults": [lost]})
    state = action.observe(found.target)
    with pytest.raises(Transient):
        action.apply(found.target, state, "token")
    assert verdict(action, found.target) == "contained"
