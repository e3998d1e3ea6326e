"""Whole stops of what brings an agent its work: it fights for its schedules and queues to the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from breakglass.clock import SystemClock
from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass_gcp.calls import Calls
from breakglass_gcp.pace import Pace
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire
from tests.gcp.project_fleet import LOCATION, Cloud, project_fleet, said

URL = "https://bot.example.com/work"
ROLES = (
    "roles/pubsub.editor",
    "roles/cloudscheduler.admin",
    "roles/cloudtasks.admin",
    "roles/eventarc.admin",
    "roles/iam.serviceAccountUser",
)


def lay_out(cloud: Cloud, account: str) -> None:
    """Make a job, a queue, a pushed subscription and a trigger, all of them as the agent."""
    place, token = f"projects/{cloud.project}/locations/{LOCATION}", {"service_account_email": account}
    topic = f"projects/{cloud.project}/topics/work"
    http = {"uri": URL, "oidc_token": token}
    job = {"name": f"{place}/jobs/nightly", "schedule": "* * * * *", "http_target": http}
    cloud.admin.call("scheduler", "create_job", {"parent": place, "job": job})
    cloud.admin.call("tasks", "create_queue", {"parent": place, "queue": {"name": f"{place}/queues/work"}})
    cloud.admin.call("topics", "create_topic", {"name": topic})
    inbox = {
        "name": f"projects/{cloud.project}/subscriptions/inbox",
        "topic": topic,
        "push_config": {"push_endpoint": URL, "oidc_token": token},
    }
    cloud.admin.call("subscriptions", "create_subscription", inbox)
    trigger = {"destination": {"http_endpoint": {"uri": URL}}, "service_account": account}
    asked = {"parent": place, "trigger_id": "uploads", "trigger": trigger}
    cloud.admin.operate("eventarc", "create_trigger", asked)


@contextmanager
def fighting(cloud: Cloud, account: str) -> Iterator[list[str]]:
    """Let the agent put everything back as fast as it can, with its own token, until it is refused."""
    settings = GcpSettings.of({"endpoints": {"grpc": cloud.sandbox.grpc, "rest": cloud.sandbox.rest}})
    token, over, won = cloud.token(account), threading.Event(), list[str]()
    calls = Calls(Wire(settings, lambda: token, drill=True), SystemClock(), Pace(SystemClock(), {}))
    place, start = f"projects/{cloud.project}/locations/{LOCATION}", f"projects/{cloud.project}"
    push = {"push_endpoint": URL, "oidc_token": {"service_account_email": account}}
    labels = {"trigger": {"name": f"{place}/triggers/uploads"}, "update_mask": {"paths": ["labels"]}}
    moves: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("scheduler", "resume_job", {"name": f"{place}/jobs/nightly"}),
        ("tasks", "resume_queue", {"name": f"{place}/queues/work"}),
        (
            "subscriptions",
            "modify_push_config",
            {"subscription": f"{start}/subscriptions/inbox", "push_config": push},
        ),
        ("eventarc", "update_trigger", labels),
    )

    def fight() -> None:
        while not over.wait(0.05):
            for service, method, asked in moves:
                try:
                    calls.call(service, method, asked)
                    won.append(method)
                except ProviderError:
                    continue

    thread = threading.Thread(target=fight, daemon=True)
    thread.start()
    try:
        yield won
    finally:
        over.set()
        thread.join()
        calls.close()


def test_an_agent_that_puts_its_triggers_back_loses_them_and_gets_every_message_afterwards(
    cloud: Cloud,
) -> None:
    """It wins rounds until its account is disabled; then nothing is delivered, and all of it waits."""
    account = cloud.account("bot", *ROLES)
    lay_out(cloud, account)
    before = cloud.state()
    cloud.control("platform", on=True)
    reach = cloud.reach(
        service_accounts=[account],
        accept_blast_radius=[account],
        scheduler_jobs=[f"{LOCATION}/nightly"],
        task_queues=[f"{LOCATION}/work"],
        subscriptions=["inbox"],
        topics=["work"],
        eventarc_triggers=[f"{LOCATION}/uploads"],
    )
    with project_fleet(cloud, reach) as ours:
        with fighting(cloud, account) as won:
            _, done = ours.stop()
        stopped = len(cloud.control("effects"))
        sent = [f"message {n}" for n in range(20)]
        cloud.control("pubsub.publish", topic="work", messages=sent)
        cloud.control("tasks.enqueue", queue=f"{LOCATION}/work", bodies=sent, url=URL, account=account)
        cloud.control("platform", ticks=5)
        late = cloud.control("effects")[stopped:]
        waiting = [one["data"] for one in cloud.control("pubsub.backlog", subscription="inbox")]
        cloud.control("platform", on=False)
        _, back = ours.restore()

    mine = ("gcp.scheduler.", "gcp.tasks.", "gcp.pubsub.", "gcp.eventarc.")
    steps = [one for one in done.report.steps if one.action.startswith(mine)]
    assert {Verdict.CONTAINED} == {one.verdict for one in steps}, said(done.report)
    assert 9 == len(steps), said(done.report)
    assert won, "the agent never fought"
    assert ([], sent) == (late, waiting)
    assert Verdict.CONTAINED is back.verdict, said(back)
    kept = ("scheduler", "tasks", "pubsub", "eventarc")
    assert {name: before[name] for name in kept} == {name: cloud.state()[name] for name in kept}
    cloud.control("platform", ticks=3)
    got = [one["message"] for one in cloud.control("delivery.received")]
    assert sorted(sent) == sorted(one["data"] for one in got if one["kind"] == "push" and one["data"] in sent)
    assert sorted(sent) == sorted(one["body"] for one in got if one["kind"] == "task")
