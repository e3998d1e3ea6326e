"""``gcp.iam.disable_workload_pool`` on the sandbox: the pool, because a provider leaves tokens alive."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.pools_gcp import make_pool
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.iam.disable_workload_pool"
POOL = "ci-agents"


def make(rig: Rig, pool: str = POOL) -> str:
    """Make a pool with one provider; return the principal of a subject in it."""
    parent = f"v1/projects/{rig.project}/locations/global/workloadIdentityPools"
    make_pool(rig.admin, rig.project, pool)
    issuer = {
        "oidc": {"issuerUri": "https://ci.example.com"},
        "attributeMapping": {"google.subject": "assertion.sub"},
    }
    query = {"workloadIdentityPoolProviderId": "ci"}
    rig.admin.rest("iam_rest", "POST", f"{parent}/{pool}/providers", query=query, body=issuer)
    wait_until(lambda: "providers/ci" in str(rig.control("state", {})["wif"]))
    return f"principal://iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/{pool}/subject/bot"


def wait_until(true: Callable[[], bool]) -> None:
    """Wait until an operation has ended."""
    for _ in range(1500):
        if true():
            return
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def is_disabled(rig: Rig, pool: str = POOL) -> bool:
    """Ask as the owner."""
    path = f"v1/projects/{rig.project}/locations/global/workloadIdentityPools/{pool}"
    return rig.admin.rest("iam_rest", "GET", path).get("disabled") is True


def test_tokens_that_were_issued_before_are_refused(rig: Rig) -> None:
    """And the refusal as the agent is the proof."""
    principal = make(rig)
    rig.grant(principal, "roles/viewer")
    rig.secrets.keep_token("ci", rig.token(principal))
    agent = rig.calls_as(rig.token(principal))
    agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    provider = rig.provider(
        workload_pools=[POOL], principals=[principal], agent_credentials={principal: "ci"}
    )
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    before = action.probe(step.target)
    close(action, step.target)
    after = action.probe(step.target)

    assert step.best_grade is Grade.REFUSED_AS_AGENT
    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    assert after is not None
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT), after.reason
    with pytest.raises(Unauthenticated):
        agent.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    agent.close()


def test_a_disabled_provider_alone_is_not_enough(rig: Rig) -> None:
    """Its tokens live on, and the step is not contained by it."""
    principal = make(rig)
    agent = rig.calls_as(rig.token(principal))
    path = f"v1/projects/{rig.project}/locations/global/workloadIdentityPools/{POOL}/providers/ci"
    rig.admin.rest("iam_rest", "PATCH", path, query={"updateMask": "disabled"}, body={"disabled": True})
    wait_until(lambda: "'disabled': True" in str(rig.control("state", {})["wif"]))
    provider = rig.provider(workload_pools=[POOL], principals=[principal])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    asked = {"resource": f"projects/{rig.project}", "permissions": ["resourcemanager.projects.get"]}
    agent.call("projects", "test_iam_permissions", asked)
    agent.close()

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED


def test_restore_waits_for_the_tokens_and_then_enables_the_pool(rig: Rig) -> None:
    """Enabled, it makes every token of before work again that has not ended."""
    principal = make(rig)
    provider = rig.provider(workload_pools=[POOL], principals=[principal])
    before = rig.control("state", {})["wif"]
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    with pytest.raises(ProviderError, match="live until"):
        undo(action, restoring(step.target, ago_s=60), prior)
    still = is_disabled(rig)
    done = undo(action, restoring(step.target, ago_s=5000), prior)

    assert still
    assert done.objects == {"pool": Outcome.RESTORED}
    assert step.target.params["tokens_choices"] == ["wait"]
    assert rig.control("state", {})["wif"] == before


def test_without_the_moment_of_the_stop_nothing_is_enabled(rig: Rig) -> None:
    """How long its tokens live is then not known."""
    principal = make(rig)
    provider = rig.provider(workload_pools=[POOL], principals=[principal])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    with pytest.raises(Denied):
        undo(action, step.target, prior)

    assert is_disabled(rig)


def test_a_pool_that_was_off_stays_off(rig: Rig) -> None:
    """What was disabled before the stop is not enabled by its restore."""
    make(rig)
    path = f"v1/projects/{rig.project}/locations/global/workloadIdentityPools/{POOL}"
    rig.admin.rest("iam_rest", "PATCH", path, query={"updateMask": "disabled"}, body={"disabled": True})
    wait_until(lambda: is_disabled(rig))
    provider = rig.provider(workload_pools=[POOL])
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    done = undo(provider.actions[ACTION], restoring(step.target, ago_s=5000), prior)

    assert done.objects == {"pool": Outcome.ALREADY}
    assert is_disabled(rig)


def test_a_pool_that_others_come_through_is_refused_without_acceptance(rig: Rig) -> None:
    """A set on the project, and another account that workloads of the pool may act as."""
    principal = make(rig)
    everybody = principal.replace("principal://", "principalSet://").rpartition("/subject")[0] + "/*"
    other = rig.account("deploy")
    resource = f"projects/-/serviceAccounts/{other}"
    policy = rig.admin.call("iam_admin", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/iam.workloadIdentityUser", members=[everybody])
    rig.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})
    names: dict[str, Json] = {"workload_pools": [POOL], "principals": [principal]}
    refused = rig.provider(**names).discover()
    accepted = rig.provider(**names, accept_blast_radius=[f"pool:{POOL}"]).discover()

    assert ACTION not in [one.action for one in refused.proposals]
    assert any(other in one.reason and f"pool:{POOL}" in one.reason for one in refused.not_touched)
    assert any(one.door.verdict is Verdict.NOT_CONTAINED for one in refused.doors)
    step = next(one for one in accepted.proposals if one.action == ACTION)
    assert any(other in one for one in step.affects)


def test_the_agents_own_way_in_is_nobody_elses(rig: Rig) -> None:
    """A set of the pool that may act as the agent's account is the agent."""
    principal = make(rig)
    everybody = principal.replace("principal://", "principalSet://").rpartition("/subject")[0] + "/*"
    email = rig.account("bot")
    resource = f"projects/-/serviceAccounts/{email}"
    policy = rig.admin.call("iam_admin", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/iam.workloadIdentityUser", members=[everybody])
    rig.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})
    found = rig.provider(workload_pools=[POOL], principals=[principal], service_accounts=[email]).discover()

    assert ACTION in [one.action for one in found.proposals]


def test_a_pool_that_is_not_there_is_said(rig: Rig) -> None:
    """And a cluster's own pool, which Google manages."""
    found = rig.provider(workload_pools=["nobody"]).discover()

    assert any("nobody" in one.resource for one in found.not_touched)
