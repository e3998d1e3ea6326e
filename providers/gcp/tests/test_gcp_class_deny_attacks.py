"""A class deny that reaches or denies less than it seems to closes nothing that the agent could go on by."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.model.action import Grade, Verdict
from breakglass_gcp.actions.deny_baseline import BASELINE
from providers.gcp.tests.deny_gcp import (
    ACCOUNT,
    arm,
    arm_above,
    organisation,
    read,
    rule,
)
from providers.gcp.tests.pools_gcp import make_pool
from providers.gcp.tests.rig_gcp import EXECUTOR, LOCATION, Rig, close, proposal
from providers.gcp.tests.test_gcp_preflight import step

ACTION = "gcp.iam.deny_class"
HERE, BEYOND = "what is granted elsewhere to", "what is granted in other projects"
GROUP = "principalSet://goog/group/platform@example.com"
OTHER_POOL = (
    "principalSet://iam.googleapis.com/projects/7/locations/global/workloadIdentityPools/theirs/attribute.a/b"
)


def federated(rig: Rig, number: str = "") -> str:
    """Return a principal of a pool that the inventory does not name."""
    where = f"projects/{number or rig.number}/locations/global/workloadIdentityPools/ci"
    return f"principal://iam.googleapis.com/{where}/subject/bot"


def engine_of(rig: Rig, number: str) -> str:
    """Return the identity of an engine in an organisation of this number."""
    place = f"projects/{rig.number}/locations/{LOCATION}/reasoningEngines/9"
    return f"principal://agents.global.org-{number}.system.id.goog/resources/aiplatform/{place}"


def doors(rig: Rig, **settings: Json) -> dict[str, list[tuple[str, ...]]]:
    """Return by the beginning of its name what closes each door of what is granted elsewhere."""
    found = rig.provider(**settings).discover().doors
    return {
        start: [one.closed_by for one in found if one.door.name.startswith(start)] for start in (HERE, BEYOND)
    }


def left(rig: Rig, **settings: Json) -> str:
    """Return what is said of a policy that cannot be used."""
    found = rig.provider(**settings).discover()
    assert ACTION not in [one.action for one in found.proposals]
    [said] = [one.reason for one in found.not_touched if one.resource.startswith("deny policy")]
    return said


def test_a_policy_on_the_project_closes_nothing_of_what_other_projects_grant(rig: Rig) -> None:
    """It is inherited downwards: in another project the agent goes on."""
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE]))
    found = doors(rig, principals=[federated(rig)], class_deny_policy=name)

    assert found == {HERE: [("deny_class",)], BEYOND: [()]}


def test_the_door_to_other_projects_is_real(rig: Rig) -> None:
    """Denied in its own project, the identity still publishes in another one."""
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE]))
    bot = federated(rig)
    made = rig.sandbox.control("project", {})["project"]
    resource = f"projects/{made}"
    policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/pubsub.publisher", members=[bot])
    rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
    rig.grant(bot, "roles/pubsub.publisher")
    provider = rig.provider(principals=[bot], class_deny_policy=name)
    close(provider.actions[ACTION], proposal(provider, ACTION).target)
    agent = rig.calls_as(rig.token(bot))
    asked = ["pubsub.topics.publish"]
    here, there = (
        list(
            agent.call(
                "projects", "test_iam_permissions", {"resource": one, "permissions": asked}
            ).permissions
        )
        for one in (f"projects/{rig.project}", resource)
    )
    agent.close()

    assert (here, there) == ([], asked)


def test_a_policy_on_the_organisation_closes_both(rig: Rig) -> None:
    """It is that of the identities too: the federated one's project's, and the engine's by its name."""
    number = organisation(rig).partition("/")[2]
    name = arm_above(rig, organisation(rig))
    found = doors(rig, principals=[federated(rig), engine_of(rig, number)], class_deny_policy=name)

    assert found == {HERE: [("deny_class",)], BEYOND: [("deny_class",)]}


def test_identities_of_another_organisation_keep_their_door(rig: Rig) -> None:
    """Where they are at home nothing was denied; nor is where nobody knows whose they are."""
    name = arm_above(rig, organisation(rig))
    workforce = "principal://iam.googleapis.com/locations/global/workforcePools/staff/subject/bot"
    for one in (engine_of(rig, "1"), federated(rig, "7"), workforce):
        assert doors(rig, principals=[one], class_deny_policy=name)[BEYOND] == [()], one
    both = doors(rig, principals=[federated(rig), workforce], class_deny_policy=name)

    assert both[BEYOND] == [("deny_class",), ()]


def test_a_folder_above_the_project_covers_the_project_alone(rig: Rig) -> None:
    """What other folders grant it does not reach; the policy is used, and denies."""
    folder = rig.control("resourcemanager.place", {"folder": f"folders/{rig.number}"})["folder"]
    name = arm_above(rig, folder)
    found = doors(rig, principals=[federated(rig)], class_deny_policy=name)

    assert found == {HERE: [("deny_class",)], BEYOND: [()]}


def test_a_folder_that_is_not_above_the_project_is_not_used(rig: Rig) -> None:
    """Its deny would be inherited by others, and by nothing of the agent's here."""
    folder = f"folders/{rig.number}9"
    rig.control("resourcemanager.place", {"folder": folder, "project": ""})
    name = arm_above(rig, folder)

    assert "not above this project" in left(rig, principals=[federated(rig)], class_deny_policy=name)


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "RESOURCE_EXHAUSTED"])
def test_an_ancestry_that_nobody_may_read_covers_nothing_and_takes_no_deny_away(rig: Rig, code: str) -> None:
    """Unknown is not yes, and the plan says it; an agent that uses up that quota is denied all the same."""
    name = arm_above(rig, organisation(rig))
    rig.control("faults", {"faults": [{"method": "*getAncestry", "project": rig.project, "code": code}]})
    asked: dict[str, Json] = {"principals": [federated(rig)], "class_deny_policy": name}
    found, closed = rig.provider(**asked).discover(), doors(rig, **asked)
    rig.control("faults", {"faults": []})

    assert any("is above this project is unknown" in one.reason for one in found.not_touched)
    assert "deny_class" in {one.key for one in found.proposals}
    assert closed == {HERE: [()], BEYOND: [()]}


def test_an_account_that_is_disabled_needs_no_policy_of_the_organisation(rig: Rig) -> None:
    """No token of it works anywhere: neither door is opened for it."""
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE]))
    found = doors(rig, service_accounts=[rig.account("bot")], class_deny_policy=name)

    assert found == {HERE: [], BEYOND: []}


def test_a_pool_of_the_same_name_in_another_project_is_somebody_elses_to_disable(rig: Rig) -> None:
    """Disabling the pool here ends nothing of an identity that comes through the one there."""
    make_pool(rig.admin, rig.project, "ci-pool")
    own, others = (federated(rig, number).replace("/ci/", "/ci-pool/") for number in ("", "7"))

    assert doors(rig, principals=[own], workload_pools=["ci-pool"])[HERE] == []
    assert doors(rig, principals=[others], workload_pools=["ci-pool"])[HERE] == [()]


@pytest.mark.parametrize(
    "spared",
    [
        GROUP,
        "principalSet://goog/cloudIdentityCustomerId/C01Abc35",
        "principalSet://cloudresourcemanager.googleapis.com/projects/7/type/ServiceAgent",
    ],
)
def test_a_spared_set_that_the_agent_may_be_in_is_unknown_and_closes_nothing(rig: Rig, spared: str) -> None:
    """Who is in a group is not known here: the deny is made, and is no proof when it is read back."""
    own = f"{ACCOUNT}{rig.email(EXECUTOR)}"
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE], exception_principals=[own, spared]))
    names: dict[str, Json] = {"principals": [federated(rig)], "class_deny_policy": name}
    provider = rig.provider(**names)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    close(action, step.target)
    judgement = action.judge(step.target, action.observe(step.target))
    said = [one.reason for one in provider.discover().not_touched if "spares" in one.resource]

    assert step.best_grade is Grade.NONE
    assert f"spares {spared}" in judgement.reason
    assert federated(rig) in read(rig).rules[0].deny_rule.denied_principals
    assert doors(rig, **names) == {HERE: [()], BEYOND: [()]}
    assert [spared in one for one in said] == [True]


def test_beside_a_spared_group_each_identitys_own_token_must_be_refused(rig: Rig) -> None:
    """One whose token is held proves itself, and nobody else."""
    one, two = federated(rig), federated(rig).replace("bot", "other")
    rig.grant(one, "roles/viewer")
    rig.grant(two, "roles/viewer")
    own = f"{ACCOUNT}{rig.email(EXECUTOR)}"
    get = "cloudresourcemanager.googleapis.com/projects.get"
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE, get], exception_principals=[own, GROUP]))
    rig.secrets.keep_token("one", rig.token(one))
    rig.secrets.keep_token("two", rig.token(two))
    names: dict[str, Json] = {"principals": [one, two], "class_deny_policy": name}
    half = rig.provider(**names, agent_credentials={one: "one"})
    whole = rig.provider(**names, agent_credentials={one: "one", two: "two"})
    step, action = proposal(whole, ACTION), whole.actions[ACTION]
    half_grade = proposal(half, ACTION).best_grade
    close(action, step.target)
    proven = action.probe(step.target)
    rig.secrets.keep_token("two", "void")
    lost = (
        rig.provider(**names, agent_credentials={one: "one", two: "two"}).actions[ACTION].probe(step.target)
    )

    assert half_grade is Grade.NONE
    assert step.best_grade is Grade.REFUSED_AS_AGENT
    assert proven is not None
    assert (proven.verdict, proven.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT), proven.reason
    assert lost is not None
    assert lost.verdict is Verdict.UNKNOWN


def test_a_spared_set_of_a_pool_that_is_not_the_agents_spares_nobody_of_it(rig: Rig) -> None:
    """Its name tells whose pool it is."""
    own = f"{ACCOUNT}{rig.email(EXECUTOR)}"
    name = arm(rig, rule(rig, denied_permissions=[*BASELINE], exception_principals=[own, OTHER_POOL]))

    assert doors(rig, principals=[federated(rig)], class_deny_policy=name)[HERE] == [("deny_class",)]


@pytest.mark.parametrize(
    "more",
    [
        {"exception_permissions": ["storage.googleapis.com/objects.*"]},
        {
            "denied_permissions": [
                *(one for one in BASELINE if "objects" not in one),
                "storage.googleapis.com/objects.*",
            ],
            "exception_permissions": ["storage.googleapis.com/objects.get"],
        },
        {"exception_permissions": ["iam.googleapis.com/*.*"]},
    ],
    ids=["group excepted from one", "one excepted from a group", "all of a service"],
)
def test_a_policy_whose_exceptions_are_groups_closes_nothing(rig: Rig, more: dict[str, object]) -> None:
    """It denies almost nothing of what it lists."""
    name = arm(rig, rule(rig, **{"denied_permissions": [*BASELINE], **more}))

    assert doors(rig, principals=[federated(rig)], class_deny_policy=name)[HERE] == [()]


def test_a_right_on_the_project_is_none_over_a_policy_of_the_organisation(rig: Rig) -> None:
    """Before anyone signs, it is asked for where the policy hangs."""
    where = organisation(rig)
    name = arm_above(rig, where)
    provider = rig.provider(principals=[federated(rig)], class_deny_policy=name)
    found = step(0, ACTION, proposal(provider, ACTION).target)
    [allowed] = provider.preflight([found])
    policy = rig.admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
    mine = f"serviceAccount:{rig.email(EXECUTOR)}"
    kept = [one for one in policy["bindings"] if mine not in one["members"]]
    rig.admin.rest(
        "projects", "POST", f"v3/{where}:setIamPolicy", body={"policy": {**policy, "bindings": kept}}
    )
    [refused] = provider.preflight([found])

    assert allowed.ok
    assert not refused.ok
    assert "iam.denypolicies.update" in refused.message


def test_an_organisation_that_is_too_busy_to_tell_rights_takes_no_deny_away(rig: Rig) -> None:
    """Somebody else may be what keeps it busy: the step is tried, and the plan says what is not known."""
    provider = rig.provider(principals=[federated(rig)], class_deny_policy=arm_above(rig, organisation(rig)))
    found = step(0, ACTION, proposal(provider, ACTION).target)
    busy = {"method": "*Organizations/TestIamPermissions", "code": "RESOURCE_EXHAUSTED"}
    rig.control("faults", {"faults": [busy]})

    [said] = provider.preflight([found])
    rig.control("faults", {"faults": []})

    assert said.ok
    assert "not known: iam.denypolicies" in said.message
