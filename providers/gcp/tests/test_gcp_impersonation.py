"""``gcp.iam.remove_impersonation`` against the sandbox: who mints as the agent, and as whom it does."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.model.action import Verdict
from breakglass.model.plan import DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Action, Outcome, Proposal
from breakglass_gcp.actions.compute_reading import texts
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, undo

ACTION = "gcp.iam.remove_impersonation"
CREATOR = "roles/iam.serviceAccountTokenCreator"
FRIEND = "user:friend@example.com"


def let(rig: Rig, email: str, role: str, *members: str, **condition: str) -> None:
    """Grant a role on an account, in a binding of its own."""
    resource = f"projects/{rig.project}/serviceAccounts/{email}"
    asked = {"resource": resource, "options": {"requested_policy_version": 3}}
    policy = rig.admin.call("iam_admin", "get_iam_policy", asked)
    binding: dict[str, Any] = {"role": role, "members": list(members)}
    if condition:
        binding["condition"] = condition
        policy.version = 3
    policy.bindings.add(**binding)
    rig.admin.call("iam_admin", "set_iam_policy", {"resource": resource, "policy": policy})


def policy_of(rig: Rig, email: str) -> Any:  # noqa: ANN401 - the sandbox's JSON
    """Return an account's policy as the sandbox keeps it."""
    return rig.control("state")["iam_accounts"][email]["policy"]


def step_of(provider: GcpProvider, email: str) -> tuple[Action, Resource, Proposal]:
    """Return the action and the proposal for the policy of one account."""
    step = next(one for one in provider.discover().proposals if one.key == f"impersonation:{email}")
    return provider.actions[ACTION], step.target, step


def test_everybody_but_the_executor_loses_what_lets_them_mint_and_gets_it_back_byte_for_byte(
    rig: Rig,
) -> None:
    """Conditions, harmless roles and the order of the members are as they were."""
    email, me = rig.account("bot"), rig.email(EXECUTOR)
    rig.grant(f"serviceAccount:{me}", CREATOR)
    let(rig, email, "roles/viewer", FRIEND)
    let(rig, email, CREATOR, FRIEND, f"serviceAccount:{me}", "user:other@example.com")
    let(
        rig,
        email,
        "roles/iam.workloadIdentityUser",
        FRIEND,
        title="t",
        expression="request.time.getHours() >= 0",
    )
    before = policy_of(rig, email)
    provider = rig.provider(**{"as": me}, service_accounts=[email])
    action, target, step = step_of(provider, email)
    assert set(step.affects) == {FRIEND, "user:other@example.com"}
    prior, _ = close(action, target)
    left = policy_of(rig, email)["bindings"]
    assert [(one["role"], one["members"]) for one in left] == [
        ("roles/viewer", [FRIEND]),
        (CREATOR, [f"serviceAccount:{me}"]),
    ]
    assert set(undo(action, target, prior).objects.values()) == {Outcome.RESTORED}
    assert policy_of(rig, email) == before
    assert set(undo(action, target, prior).objects.values()) == {Outcome.ALREADY}


def test_a_custom_role_counts_as_one_that_mints(rig: Rig) -> None:
    """Its name says nothing of what it holds."""
    email = rig.account("bot")
    role = rig.role("harmlessLooking", ["iam.serviceAccounts.getAccessToken"])
    let(rig, email, role, FRIEND)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, email)
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED
    close(action, target)
    assert policy_of(rig, email).get("bindings", []) == []


def test_the_rest_of_the_policy_may_have_changed_until_the_restore(rig: Rig) -> None:
    """Only the members that the stop took away come back; what others did stays."""
    email = rig.account("bot")
    let(rig, email, CREATOR, FRIEND)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, email)
    prior, _ = close(action, target)
    let(rig, email, "roles/viewer", "user:auditor@example.com")
    undo(action, target, prior)
    found = {(one["role"], *one["members"]) for one in policy_of(rig, email)["bindings"]}
    assert found == {(CREATOR, FRIEND), ("roles/viewer", "user:auditor@example.com")}


def test_who_is_let_in_after_the_plan_is_put_out_and_does_not_come_back(rig: Rig) -> None:
    """The agent's friend grants itself the right while the stop runs."""
    email = rig.account("bot")
    let(rig, email, CREATOR, FRIEND)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, email)
    let(rig, email, CREATOR, "user:late@example.com")
    prior, _ = close(action, target)
    assert len(prior) == 2
    outcomes = undo(action, target, prior).objects
    assert sorted(outcomes.values()) == [Outcome.ENDED, Outcome.RESTORED]
    assert [one["members"] for one in policy_of(rig, email)["bindings"]] == [[FRIEND]]


def test_the_agent_loses_its_grants_on_other_accounts_and_nobody_else_there_does(rig: Rig) -> None:
    """It could mint second tokens there; those that it has live on, and a door says whose."""
    email, other = rig.account("bot"), rig.account("billing")
    let(rig, other, CREATOR, FRIEND, f"serviceAccount:{email}")
    before = policy_of(rig, other)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, other)
    doors = {one.door.name: one.door for one in provider.discover().doors}
    door = doors[f"{other} in gcp"]
    assert (door.kind, door.verdict) == (DoorKind.CAN_MINT, Verdict.UNKNOWN)
    prior, _ = close(action, target)
    assert [one["members"] for one in policy_of(rig, other)["bindings"]] == [[FRIEND]]
    undo(action, target, prior)
    assert policy_of(rig, other) == before


def test_members_of_the_agents_pool_are_the_agents_too(rig: Rig) -> None:
    """A federated workload mints as another account through its own name or its pool's."""
    rig.account("bot")
    other = rig.account("billing")
    start = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools"
    let(rig, other, CREATOR, f"principal://{start}/bots/subject/x", f"principalSet://{start}/people/*")
    provider = rig.provider(service_accounts=[rig.email("bot")], workload_pools=["bots"])
    action, target, _ = step_of(provider, other)
    close(action, target)
    assert [one["members"] for one in policy_of(rig, other)["bindings"]] == [
        [f"principalSet://{start}/people/*"]
    ]


def test_a_shared_account_that_is_left_alone_still_loses_the_agents_other_accounts(rig: Rig) -> None:
    """Nothing else that uses it is hurt by that."""
    email = rig.account("bot")
    shared = rig.control("iam.default_account", {"kind": "compute"})["email"]
    let(rig, shared, CREATOR, f"serviceAccount:{email}", FRIEND)
    provider = rig.provider(service_accounts=[email, shared])
    action, target, _ = step_of(provider, shared)
    close(action, target)
    assert [one["members"] for one in policy_of(rig, shared)["bindings"]] == [[FRIEND]]


def test_a_right_over_the_whole_project_is_an_open_door(rig: Rig) -> None:
    """It may hold tokens and keys of any account, whatever is done now."""
    rig.account("bot", roles=[CREATOR])
    doors = rig.provider(service_accounts=[rig.email("bot")]).discover().doors
    door = next(one.door for one in doors if one.door.name.startswith("all service accounts"))
    assert CREATOR in door.reason


def test_the_executors_account_in_the_agents_reach_is_a_privileged_door(rig: Rig) -> None:
    """Who mints as the executor could undo everything."""
    email, me = rig.account("bot"), rig.email(EXECUTOR)
    rig.grant(f"serviceAccount:{me}", CREATOR)
    let(rig, me, CREATOR, f"serviceAccount:{email}")
    provider = rig.provider(**{"as": me}, service_accounts=[email])
    door = next(one.door for one in provider.discover().doors if one.door.name == f"{me} in gcp")
    assert door.kind is DoorKind.PRIVILEGED


def test_a_policy_that_somebody_writes_all_the_time_is_a_conflict_and_never_contained(rig: Rig) -> None:
    """Five tries within a round; then the engine comes again, until the deadline says unknown."""
    email = rig.account("bot")
    let(rig, email, CREATOR, FRIEND)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, email)
    state = action.observe(target)
    rig.control("faults", {"faults": [{"method": "*SetIamPolicy", "code": "ABORTED"}]})
    with pytest.raises(Conflict):
        action.apply(target, state, "t")
    calls = [one for one in rig.control("calls") if one["method"].endswith("IAM/SetIamPolicy")]
    assert [one["code"] for one in calls[-5:]] == ["ABORTED"] * 5
    rig.control("faults", {"faults": []})
    assert action.judge(target, action.observe(target)).verdict is Verdict.NOT_CONTAINED


def test_an_account_that_is_gone_lets_nobody_mint(rig: Rig) -> None:
    """And at the restore there is nothing to put members back on."""
    email = rig.account("bot")
    let(rig, email, CREATOR, FRIEND)
    provider = rig.provider(service_accounts=[email])
    action, target, _ = step_of(provider, email)
    prior, _ = close(action, target)
    rig.admin.call("iam_admin", "delete_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    assert action.judge(target, action.observe(target)).verdict is Verdict.CONTAINED
    assert set(undo(action, target, prior).objects.values()) == {Outcome.DRIFTED}


def test_a_subject_that_is_named_like_anothers_conditional_grant_takes_its_place_nowhere(rig: Rig) -> None:
    """Its name ends as the plan marks a condition: the restore must tell the two apart."""
    email = rig.account("bot")
    start = f"iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools"
    honest = f"principal://{start}/ci/subject/dev"
    let(rig, email, CREATOR, honest, title="t", expression="request.time.getHours() >= 0")
    before = policy_of(rig, email)["bindings"]
    action, target, step = step_of(rig.provider(service_accounts=[email]), email)
    [signed] = texts(step.target.params["members"])
    let(rig, email, CREATOR, signed.removeprefix(f"{CREATOR} "))

    prior, _ = close(action, target)
    done = undo(action, target, prior)

    assert sorted(done.objects.values()) == [Outcome.ENDED, Outcome.RESTORED]
    assert policy_of(rig, email)["bindings"] == before
