"""A class deny policy that spares or forgets: what it does not deny, it does not stand for."""

from __future__ import annotations

import pytest

from breakglass.errors import Denied
from providers.gcp.tests.deny_gcp import ACCOUNT, arm, arm_above, organisation, policy_name, rule
from providers.gcp.tests.feeds_gcp import subscription, topic
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, proposal

ACTION = "gcp.iam.deny_class"


@pytest.mark.parametrize("where", ["-", "{}"])
def test_a_rule_that_spares_the_agents_account_by_whatever_name_is_not_used(rig: Rig, where: str) -> None:
    """The name may have the project in it, where the documents write a dash."""
    bot = rig.account("bot")
    spared = f"principal://iam.googleapis.com/projects/{where.format(rig.project)}/serviceAccounts/{bot}"
    arm(rig, rule(rig, exception_principals=[f"{ACCOUNT}{rig.email(EXECUTOR)}", spared]))

    found = rig.provider(service_accounts=[bot], class_deny_policy=policy_name(rig)).discover()

    assert ACTION not in {one.action for one in found.proposals}
    assert any("it spares principals of the agent's" in one.reason for one in found.not_touched)


def test_what_a_set_may_pull_is_denied_by_a_policy_that_stands_for_all_that_is_granted(rig: Rig) -> None:
    """No grant names the agent, and no step takes one from it: the policy alone keeps it from messages."""
    bots = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/shared"
    bot = f"principal://{bots}/subject/bot"
    topic(rig)
    name = subscription(rig)
    everybody = {"role": "roles/pubsub.subscriber", "members": [f"principalSet://{bots}/*"]}
    policy = {"version": 3, "bindings": [everybody]}
    rig.admin.call("subscriptions", "set_iam_policy", {"resource": name, "policy": policy})
    above = arm_above(rig, organisation(rig))
    found = rig.provider(principals=[bot], subscriptions=["inbox"], class_deny_policy=above)
    closed = {one.door.name: one.closed_by for one in found.discover().doors}
    step = proposal(found, ACTION)
    pull = {"subscription": name, "max_messages": 1}
    agent = rig.calls_as(rig.token(bot))
    agent.call("subscriptions", "pull", pull)

    close(found.actions[ACTION], step.target)

    assert closed[f"what is granted elsewhere to {bot}"] == (step.key,)
    with pytest.raises(Denied):
        agent.call("subscriptions", "pull", pull)
