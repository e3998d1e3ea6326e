"""Whole stops that may not keep a subscription from expiring: what contains it is proven all the same."""

from __future__ import annotations

from breakglass.model.action import Verdict
from breakglass_gcp.actions import pubsub_keep
from tests.gcp.project_fleet import Cloud, project_fleet, said


def test_a_subscription_that_cannot_be_kept_makes_no_stop_worse_and_its_step_says_so(cloud: Cloud) -> None:
    """Google refuses the change of the expiration; the push is cut, and the verdict is of that alone."""
    account = cloud.account("bot", "roles/pubsub.editor")
    topic, name = f"projects/{cloud.project}/topics/work", f"projects/{cloud.project}/subscriptions/inbox"
    cloud.admin.call("topics", "create_topic", {"name": topic})
    push = {"push_endpoint": "https://bot.example.com/work"}
    cloud.admin.call(
        "subscriptions", "create_subscription", {"name": name, "topic": topic, "push_config": push}
    )
    before = cloud.state()
    with project_fleet(cloud, cloud.reach(service_accounts=[account], subscriptions=["inbox"])) as ours:
        cloud.control("faults", faults=[{"method": "*UpdateSubscription", "code": "PERMISSION_DENIED"}])
        _, done = ours.stop()
        cloud.control("faults", faults=[])
        _, back = ours.restore()

    [inbox] = [one for one in done.report.steps if one.action == pubsub_keep.SPEC.name]
    assert inbox.verdict is Verdict.UNKNOWN, said(done.report)
    assert "does not matter any more" in inbox.reason
    assert "refused" in inbox.reason
    assert done.report.verdict is Verdict.CONTAINED, said(done.report)
    assert back.verdict is Verdict.CONTAINED, said(back)
    assert cloud.state()["pubsub"] == before["pubsub"]
