"""Whole stops of identities that are no accounts: Agent Engine's own and federated ones, as a class."""

from __future__ import annotations

import json

import pytest

from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass_gcp.drill_layout import calls_as
from providers.gcp.tests.engines_gcp import make_engine
from providers.gcp.tests.pools_gcp import make_pool
from tests.gcp.project_fleet import Cloud, arm, project_fleet, said

POOL = "ci-agents"


def engine(cloud: Cloud) -> tuple[str, str]:
    """Make an engine with an identity of its own; return its entry and its principal."""
    entry, identity = make_engine(cloud.admin, cloud.project, {"identityType": "AGENT_IDENTITY"})
    return entry, f"principal://{identity}"


def pool(cloud: Cloud) -> str:
    """Make a pool; return a principal of it."""
    make_pool(cloud.admin, cloud.project, POOL)
    start = f"principal://iam.googleapis.com/projects/{cloud.number}/locations/global/workloadIdentityPools"
    return f"{start}/{POOL}/subject/bot"


def state(cloud: Cloud) -> dict[str, str]:
    """Return what a restore must bring back equal."""
    found, names = cloud.state(), ("iam_deny", "wif", "resource_manager")
    return {name: json.dumps(found.get(name), sort_keys=True) for name in names}


def test_identities_of_agent_engine_and_of_a_pool_are_stopped_proven_and_put_back(cloud: Cloud) -> None:
    """Each is refused with its own token; policy, pool and grants come back equal."""
    entry, identity = engine(cloud)
    federated = pool(cloud)
    name = arm(cloud)
    for one in (identity, federated):
        cloud.grant(one, "roles/viewer")
        cloud.grant(one, "roles/pubsub.publisher")
    before = state(cloud)
    held = {
        label: json.dumps({"type": "access_token", "token": cloud.token(one)}).encode()
        for label, one in (("engine", identity), ("ci", federated))
    }
    reach = cloud.reach(
        agent_engines=[entry],
        principals=[federated],
        workload_pools=[POOL],
        class_deny_policy=name,
        agent_credentials={identity: "engine", federated: "ci"},
    )
    with project_fleet(cloud, reach, step_s=15, **held) as ours:
        _, done = ours.stop()
        steps = {
            one.action: one for one in done.report.steps if one.action.startswith(("gcp.iam", "gcp.projects"))
        }
        for action in ("gcp.iam.deny_class", "gcp.projects.remove_grants", "gcp.iam.disable_workload_pool"):
            assert (steps[action].verdict, steps[action].grade) == (
                Verdict.CONTAINED,
                Grade.REFUSED_AS_AGENT,
            ), said(done.report)
        during = state(cloud)
        # Five reads and five writes a minute: somebody restores in another minute than that of the stop.
        cloud.sandbox.control("advance", {"seconds": 61})
        try:
            _, back = ours.restore()
        finally:
            cloud.sandbox.control("advance", {"back": True})

    assert identity in during["iam_deny"]
    assert identity not in during["resource_manager"]
    assert Verdict.CONTAINED is back.verdict, said(back)
    assert before == state(cloud)


def test_a_deny_whose_quota_the_agent_used_up_is_never_contained(cloud: Cloud) -> None:
    """Its step is open at the deadline; the others are proven all the same."""
    _, identity = engine(cloud)
    name = arm(cloud)
    cloud.grant(identity, "roles/viewer")
    reach = cloud.reach(principals=[identity], class_deny_policy=name)
    agent = calls_as(cloud.sandbox, cloud.token(cloud.account("spender")))
    with project_fleet(cloud, reach, step_s=12) as ours:
        for n in range(5):
            with pytest.raises(ProviderError):
                agent.call("iam_deny", "update_policy", {"policy": {"name": f"{name}-{n}"}})
        agent.close()
        _, done = ours.stop()

    steps = {one.action: one for one in done.report.steps}
    assert steps["gcp.iam.deny_class"].verdict is not Verdict.CONTAINED, said(done.report)
    assert steps["gcp.projects.remove_grants"].verdict is Verdict.CONTAINED, said(done.report)
    assert done.report.verdict is not Verdict.CONTAINED
    assert identity not in state(cloud)["iam_deny"]


def test_a_class_deny_on_the_project_leaves_the_stop_of_an_engine_unknown(cloud: Cloud) -> None:
    """What another project grants to its identity goes on; a policy on the organisation ends that too."""
    _, identity = engine(cloud)
    cloud.grant(identity, "roles/pubsub.publisher")
    elsewhere = cloud.sandbox.control("project", {})["project"]
    granted(cloud, elsewhere, identity)
    ends = {}
    for where in (f"projects/{cloud.number}", ""):
        reach = cloud.reach(principals=[identity], class_deny_policy=arm(cloud, where))
        with project_fleet(cloud, reach) as ours:
            _, done = ours.stop()
        ends[where] = done.report, may_publish(cloud, elsewhere, identity)
        cloud.sandbox.control("advance", {"seconds": 61})
    cloud.sandbox.control("advance", {"back": True})
    [low, high] = ends.values()

    assert low[0].verdict is Verdict.UNKNOWN, said(low[0])
    assert [one for one in low[0].open if "in other projects" in str(one)], said(low[0])
    assert low[1]
    assert high[0].verdict is Verdict.CONTAINED, said(high[0])
    assert not high[1]


def granted(cloud: Cloud, project: str, member: str) -> None:
    """Let somebody publish in another project."""
    resource = f"projects/{project}"
    policy = cloud.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/pubsub.publisher", members=[member])
    cloud.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})


def may_publish(cloud: Cloud, project: str, principal: str) -> bool:
    """Return whether somebody may publish in another project now."""
    agent = calls_as(cloud.sandbox, cloud.token(principal))
    asked = {"resource": f"projects/{project}", "permissions": ["pubsub.topics.publish"]}
    held = list(agent.call("projects", "test_iam_permissions", asked).permissions)
    agent.close()
    return bool(held)
