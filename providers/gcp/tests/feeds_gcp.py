"""What the tests of schedules, queues, subscriptions and triggers share: layout, the platform, looks."""

from __future__ import annotations

from typing import Any

from breakglass.model.resource import Resource
from breakglass.provider import Action
from providers.gcp.tests.rig_gcp import LOCATION, Rig

URL = "https://bot.example.com/work"


def job(rig: Rig, name: str = "nightly", **more: Any) -> str:  # noqa: ANN401 - fields of the API
    """Make a job that calls the agent; return its name."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    target = {"uri": f"{URL}?key=hunter2", "headers": {"x-key": "hunter2"}, "body": b"hunter2"}
    made = {"name": f"{parent}/jobs/{name}", "schedule": "* * * * *", "http_target": target, **more}
    return str(rig.admin.call("scheduler", "create_job", {"parent": parent, "job": made}).name)


def queue(rig: Rig, name: str = "work", **more: Any) -> str:  # noqa: ANN401 - as above
    """Make a queue; return its name."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    made = {"name": f"{parent}/queues/{name}", **more}
    return str(rig.admin.call("tasks", "create_queue", {"parent": parent, "queue": made}).name)


def topic(rig: Rig, name: str = "work") -> str:
    """Make a topic; return its name."""
    full = f"projects/{rig.project}/topics/{name}"
    return str(rig.admin.call("topics", "create_topic", {"name": full}).name)


def subscription(rig: Rig, name: str = "inbox", *, of: str = "work", **more: Any) -> str:  # noqa: ANN401 - as above
    """Make a subscription; return its name."""
    full, of = f"projects/{rig.project}/subscriptions/{name}", f"projects/{rig.project}/topics/{of}"
    return str(
        rig.admin.call("subscriptions", "create_subscription", {"name": full, "topic": of, **more}).name
    )


def pushing(account: str = "", url: str = URL) -> dict[str, Any]:
    """Return a push configuration."""
    token = {"oidc_token": {"service_account_email": account, "audience": "bot"}} if account else {}
    return {"push_endpoint": url, **token}


def trigger(rig: Rig, name: str = "uploads", account: str = "") -> Any:  # noqa: ANN401 - a Trigger
    """Make a trigger that calls the agent; return it."""
    parent = f"projects/{rig.project}/locations/{LOCATION}"
    made = {
        "name": f"{parent}/triggers/{name}",
        "event_filters": [{"attribute": "type", "value": "google.cloud.storage.object.v1.finalized"}],
        "destination": {"http_endpoint": {"uri": URL}},
        "service_account": account,
    }
    rig.admin.operate("eventarc", "create_trigger", {"parent": parent, "trigger": made, "trigger_id": name})
    return rig.admin.call("eventarc", "get_trigger", {"name": made["name"]})


def publish(rig: Rig, *messages: str, to: str = "work") -> list[str]:
    """Publish as somebody whom nothing of this is about."""
    return list(rig.control("pubsub.publish", {"topic": to, "messages": list(messages)})["ids"])


def backlog(rig: Rig, name: str = "inbox") -> list[str]:
    """Return what waits in a subscription."""
    held = rig.control("pubsub.backlog", {"subscription": name})
    return [one["data"] for one in held if not one["acked"]]


def tick(rig: Rig, times: int = 1) -> None:
    """Let the platform work."""
    told = rig.control("platform", {"ticks": times})
    assert not told["failed"], told["failed"]


def effects(rig: Rig, channel: str) -> int:
    """Return how often something happened."""
    return len(rig.control("effects", {"channel": channel}))


def received(rig: Rig, kind: str) -> list[str]:
    """Return what the agent's server was sent, by kind."""
    got = [one["message"] for one in rig.control("delivery.received", {})]
    return [one.get("data", one.get("body", "")) for one in got if one["kind"] == kind]


def verdict(action: Action, target: Resource) -> str:
    """Return what is judged of it now."""
    return action.judge(target, action.observe(target)).verdict.value


def still(rig: Rig) -> Any:  # noqa: ANN401 - JSON
    """Return all that a restore must bring back equal."""
    return rig.control("state", {})
