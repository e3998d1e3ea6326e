"""Who controls the agent attacks the stop of its work: by vetoes, by what it plants, by what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions import pubsub_snapshot, run_job_invokers, run_scaling, run_worker_pools
from breakglass_gcp.calls import Calls
from breakglass_gcp.discover.gather import gather
from breakglass_gcp.discover.labels import LABEL
from providers.gcp.tests.feeds_gcp import backlog, publish, subscription, topic, trigger
from providers.gcp.tests.rig_gcp import AGENT, LOCATION, Rig, close, proposal, undo
from providers.gcp.tests.rig_run import Run


@pytest.fixture
def bot(rig: Rig) -> str:
    """Return the agent's account, which may do everything in the project."""
    return rig.account("bot", roles=["roles/owner"])


@pytest.fixture
def agent(rig: Rig, bot: str) -> Calls:
    """Return the agent's own calls."""
    return rig.calls_as(rig.token(bot))


def run_service(rig: Rig, by: Calls, name: str, account: str = "", **more: Any) -> str:  # noqa: ANN401 - fields of the API
    """Deploy a Cloud Run service; return its name."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    template = {"containers": [{"image": "x"}], "service_account": account}
    asked = {"parent": parent, "service_id": name, "service": {"template": template, **more}}
    assert by.operate("run_services", "create_service", asked)
    return f"{parent}/services/{name}"


def test_the_subscription_of_the_agents_own_trigger_is_no_veto(rig: Rig, bot: str) -> None:
    """Eventarc makes it, and pushes with the trigger's account: it is the trigger."""
    trigger(rig, account=bot)
    provider = rig.provider(service_accounts=[bot], eventarc_triggers=[f"{LOCATION}/uploads"])
    found = gather(provider.project).found

    assert found.sharers == {}


def test_a_strangers_trigger_is_one_other_user_and_not_two(rig: Rig, bot: str) -> None:
    """Its own subscription says nothing more, and a trigger that is not the agent's stays a user."""
    trigger(rig, account=bot)

    found = gather(rig.provider(service_accounts=[bot]).project).found

    assert found.sharers == {bot: (f"Eventarc trigger {LOCATION}/uploads",)}


def test_what_a_function_of_the_agents_consists_of_is_no_veto(rig: Rig, bot: str) -> None:
    """Its Cloud Run service acts as the same account, and so does its trigger."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    function = {
        "name": f"{parent}/functions/bot",
        "environment": "GEN_2",
        "build_config": {"runtime": "python312", "entry_point": "main"},
        "service_config": {"service_account_email": bot},
    }
    asked = {"parent": parent, "function_id": "bot", "function": function}
    assert rig.admin.operate("functions", "create_function", asked)

    found = gather(rig.provider(service_accounts=[bot], functions=[f"{LOCATION}/bot"]).project).found

    assert found.sharers == {}


def test_an_agent_that_makes_others_use_its_account_has_no_veto(rig: Rig, bot: str, agent: Calls) -> None:
    """A subscription tells no time, and a service was made long ago: the audit log says who changed them."""
    topic(rig)
    name = subscription(rig, "innocent")
    web = run_service(rig, rig.admin, "web")
    push = {"push_endpoint": "https://x.example/", "oidc_token": {"service_account_email": bot}}
    agent.call("subscriptions", "modify_push_config", {"subscription": name, "push_config": push})
    live = agent.call("run_services", "get_service", {"name": web})
    live.template.service_account = bot
    assert agent.operate("run_services", "update_service", {"service": live})

    gathered = gather(rig.provider(service_accounts=[bot]).project)

    assert gathered.found.sharers == {}
    assert set(gathered.found.late_sharers[bot]) == {
        f"Cloud Run service {LOCATION}/web",
        "subscription innocent",
    }
    said = {one.door.name for one in gathered.proposed.doors}
    assert {f"Cloud Run service {LOCATION}/web", "subscription innocent"} <= said


def test_an_innocent_that_the_agent_only_named_like_its_own_keeps_its_veto(
    rig: Rig, bot: str, agent: Calls
) -> None:
    """What the agent changed is told by kind and place, not by the last part of a name."""
    run_service(rig, rig.admin, "web", bot)
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    agent.call("tasks", "create_queue", {"parent": parent, "queue": {"name": f"{parent}/queues/web"}})
    queue = {"name": f"{parent}/queues/web", "rate_limits": {"max_dispatches_per_second": 5}}
    agent.call("tasks", "update_queue", {"queue": queue})

    found = gather(rig.provider(service_accounts=[bot]).project).found

    assert found.sharers == {bot: (f"Cloud Run service {LOCATION}/web",)}


def test_code_that_the_agent_planted_in_a_namesake_is_a_door(rig: Rig, bot: str, agent: Calls) -> None:
    """A queue of the agent's with the name of somebody's service hides no change of that service."""
    web = run_service(rig, rig.admin, "web", rig.account("web"))
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    agent.call("tasks", "create_queue", {"parent": parent, "queue": {"name": f"{parent}/queues/web"}})
    live = agent.call("run_services", "get_service", {"name": web})
    live.template.containers[0].image = "evil"
    assert agent.operate("run_services", "update_service", {"service": live})

    doors = gather(rig.provider(service_accounts=[bot]).project).proposed.doors

    assert (f"code of {web}", Verdict.NOT_CONTAINED) in {(one.door.name, one.door.verdict) for one in doors}


def test_whatever_is_taken_down_for_a_label_says_so_before_anyone_signs(
    rig: Rig, bot: str, agent: Calls
) -> None:
    """Whoever may set labels could have somebody else's service stopped; the agent most of all."""
    web = run_service(rig, rig.admin, "web", rig.account("web"))
    live = agent.call("run_services", "get_service", {"name": web})
    live.labels[LABEL] = AGENT
    assert agent.operate("run_services", "update_service", {"service": live})

    steps = rig.provider(service_accounts=[bot]).discover().proposals

    told = [one.affects for one in steps if one.action == run_scaling.SPEC.name]
    assert len(told) == 1
    assert any("labelled" in said and "changed by the agent itself" in said for said in told[0])


def test_a_job_with_the_longest_name_is_the_agents_too(rig: Rig, bot: str, agent: Calls) -> None:
    """Cloud Scheduler takes 500 characters: none is too long to be seen, nor to be planned."""
    parent, name = f"projects/{rig.project}/locations/{LOCATION}", "a" * 500
    job = {"name": f"{parent}/jobs/{name}", "schedule": "* * * * *", "http_target": {"uri": "https://x.y/"}}
    agent.call("scheduler", "create_job", {"parent": parent, "job": job})

    found = rig.provider(service_accounts=[bot]).discover()

    assert f"pause_job:{LOCATION}/{name}" in {one.key for one in found.proposals}


def test_a_backlog_that_the_agent_acknowledged_outlives_the_restore(rig: Rig) -> None:
    """The snapshot may be the only copy of it: it ends by itself within 7 days, and not by our hand."""
    topic(rig)
    name = subscription(rig)
    publish(rig, "one", "two")
    provider = rig.provider(subscriptions=["inbox"])
    found = proposal(provider, pubsub_snapshot.SPEC.name)
    action = provider.actions[found.action]
    prior, state = close(action, found.target)
    rig.admin.call("subscriptions", "seek", {"subscription": name, "time": "2100-01-01T00:00:00Z"})
    assert backlog(rig) == []

    undo(action, found.target, prior)

    taken: Any = state.objects["snapshot"]
    rig.admin.call("subscriptions", "seek", {"subscription": name, "snapshot": taken["name"]})
    assert backlog(rig) == ["one", "two"]


def test_a_starter_that_came_after_the_plan_does_not_come_back(rig: Rig) -> None:
    """The agent plants a grant while people sign: the stop takes it, and the restore leaves it off."""
    run = Run.new(rig)
    run.job()
    provider = rig.provider(service_accounts=[run.account], run_jobs=[f"{LOCATION}/bot"])
    found = proposal(provider, run_job_invokers.SPEC.name)
    action = provider.actions[found.action]
    job = run.name("jobs")
    policy = rig.admin.call("run_jobs", "get_iam_policy", {"resource": job})
    policy.bindings.add(role="roles/run.invoker", members=["user:mallory@evil.example"])
    rig.admin.call("run_jobs", "set_iam_policy", {"resource": job, "policy": policy})

    prior, _ = close(action, found.target)
    undone = undo(action, found.target, prior)

    left = rig.admin.call("run_jobs", "get_iam_policy", {"resource": job})
    assert "mallory" not in str(left)
    assert set(undone.objects.values()) == {Outcome.ENDED}


def test_a_service_that_was_deployed_again_since_is_not_started_by_the_restore(rig: Rig) -> None:
    """The agent's last act may be a new revision: what would start is not what was stopped."""
    run = Run.new(rig)
    run.service()
    provider = rig.provider(run_services=[f"{LOCATION}/bot"])
    found = proposal(provider, run_scaling.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    planted = {"service_account": run.account, "timeout": "9s", "containers": [{"image": "evil"}]}
    run.update_service("template", template=planted)

    undone = undo(action, found.target, prior)

    assert undone.objects["scaling"] is Outcome.DRIFTED
    assert run.live_service().scaling.scaling_mode.name == "MANUAL"


def test_a_pool_that_was_deployed_again_since_is_not_started_by_the_restore(rig: Rig) -> None:
    """As of a service."""
    run = Run.new(rig)
    run.pool(scaling={"manual_instance_count": 2})
    provider = rig.provider(worker_pools=[f"{LOCATION}/bot"])
    found = proposal(provider, run_worker_pools.SPEC.name)
    action = provider.actions[found.action]
    prior, _ = close(action, found.target)
    live = rig.admin.call("run_pools", "get_worker_pool", {"name": run.name("workerPools")})
    live.template.labels["planted"] = "yes"
    assert rig.admin.operate("run_pools", "update_worker_pool", {"worker_pool": live})

    undone = undo(action, found.target, prior)

    assert undone.objects["scaling"] is Outcome.DRIFTED
