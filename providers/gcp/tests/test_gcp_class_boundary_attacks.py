"""Who fights a class boundary, or hides behind what it does not reach, gets no wrong answer."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass_gcp.settings import complaints
from providers.gcp.tests.boundary_gcp import (
    ARMED,
    arm,
    bind,
    boundary,
    elsewhere,
    engine_of,
    federated,
    naming,
    pool_set,
    say,
    shown,
    works,
)
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, proposal
from providers.gcp.tests.test_gcp_preflight import of, refused

ACTION = "gcp.iam.class_boundary"


def test_a_principal_that_is_taken_out_again_is_seen_and_put_back(rig: Rig) -> None:
    """Somebody with the agent's rights over bindings writes the condition as it was."""
    name = arm(rig)
    bot = rig.account("bot")
    asked: dict[str, Json] = {"service_accounts": [bot], "class_boundary_binding": name}
    provider = rig.provider(**asked)
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)
    say(rig, ARMED)
    again = rig.provider(**asked).actions[ACTION]
    seen = again.judge(step.target, again.observe(step.target))
    close(again, step.target)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert bot in seen.reason
    assert shown(rig)["expression"] == naming(bot)


@pytest.mark.parametrize(
    "rewritten", ["principal.subject == 'x'", f"!({ARMED})", ARMED.replace(", ", ",") + " "]
)
def test_a_condition_that_somebody_rewrote_is_not_overwritten(rig: Rig, rewritten: str) -> None:
    """Whom it meant nobody here knows: the step stays open, and says why."""
    name = arm(rig)
    asked: dict[str, Json] = {"service_accounts": [rig.account("bot")], "class_boundary_binding": name}
    provider = rig.provider(**asked)
    step = proposal(provider, ACTION)
    say(rig, rewritten)
    action = rig.provider(**asked).actions[ACTION]
    state = action.observe(step.target)
    with pytest.raises(ProviderError, match="changed the condition"):
        action.apply(step.target, state, "token")

    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED
    assert shown(rig)["expression"] == rewritten


def test_a_binding_that_is_made_anew_for_another_boundary_is_not_extended(rig: Rig) -> None:
    """Under the same name, for one that allows the project: naming them there would help the agent."""
    name = arm(rig)
    asked: dict[str, Json] = {"service_accounts": [rig.account("bot")], "class_boundary_binding": name}
    step = proposal(rig.provider(**asked), ACTION)
    rig.admin.operate("policy_bindings", "delete_policy_binding", {"name": name})
    allowed = [f"//cloudresourcemanager.googleapis.com/projects/{rig.project}"]
    bind(rig, boundary(rig, "all", rules=[{"resources": allowed, "effect": "ALLOW"}]))
    action = rig.provider(**asked).actions[ACTION]
    state = action.observe(step.target)
    with pytest.raises(ProviderError, match="made anew"):
        action.apply(step.target, state, "token")

    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED
    assert shown(rig)["expression"] == ARMED


def test_an_engines_identity_is_named_as_conditions_call_it(rig: Rig) -> None:
    """From ``resources/`` on; its token is refused where another project lets it look."""
    name = arm(rig)
    bot = engine_of(rig)
    other, token = elsewhere(rig, bot), rig.token(bot)
    provider = rig.provider(principals=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    before = works(rig, token, other)
    close(provider.actions[ACTION], step.target)

    assert shown(rig)["expression"] == naming(f"resources/{bot.partition('/resources/')[2]}")
    assert (before, works(rig, token, other)) == (True, False)


def test_a_federated_identity_is_named_by_a_binding_of_its_own_pool_alone(rig: Rig) -> None:
    """In the project's set the same subject may come from another pool: that one is somebody else."""
    one, other = federated(rig), federated(rig, "staff")
    place = elsewhere(rig, one)
    token, bystander = rig.token(one), rig.token(other)
    stood = elsewhere(rig, other)
    name = arm(rig, target={"principal_set": pool_set(rig)})
    provider = rig.provider(principals=[one], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)

    assert shown(rig)["expression"] == naming("bot")
    assert not works(rig, token, place)
    assert works(rig, bystander, stood)


def test_a_federated_identity_is_left_out_of_a_binding_of_the_project(rig: Rig) -> None:
    """And that is said, with what to do."""
    name = arm(rig)
    found = rig.provider(principals=[federated(rig)], class_boundary_binding=name).discover()
    said = [one.reason for one in found.not_touched if one.resource.startswith("whom the policy binding")]

    assert ACTION not in [one.action for one in found.proposals]
    assert [federated(rig) in one and "its own pool" in one for one in said] == [True]


@pytest.mark.parametrize("subject", ["x'] || principal.subject in ['y", "bot\\", "breakglass-nobody", 'a"b'])
def test_a_subject_that_breaks_out_of_the_condition_is_not_written(rig: Rig, subject: str) -> None:
    """Whoever chooses the subjects of a pool chooses no condition."""
    name = arm(rig, target={"principal_set": pool_set(rig)})
    bot = federated(rig).removesuffix("bot") + subject
    if " " not in subject:
        found = rig.provider(principals=[bot], class_boundary_binding=name).discover()
        assert ACTION not in [one.action for one in found.proposals]
        assert any("cannot name" in one.resource for one in found.not_touched)
    else:
        assert complaints({"project": rig.project, "project_number": rig.number, "principals": [bot]})


def test_identities_of_other_projects_are_not_in_its_set_and_are_said(rig: Rig) -> None:
    """The account of another project and an engine of another one."""
    name = arm(rig)
    away = ["bot@another-project.iam.gserviceaccount.com"]
    own = rig.account("bot")
    provider = rig.provider(
        service_accounts=[own, *away],
        principals=[engine_of(rig, "7")],
        class_boundary_binding=name,
        accept_blast_radius=[*away],
    )
    step = proposal(provider, ACTION)
    said = [one.reason for one in provider.discover().not_touched if one.resource.startswith("whom the")]

    assert step.target.params["subjects"] == [own]
    assert [away[0] in one and engine_of(rig, "7") in one for one in said] == [True]


def test_where_not_all_fit_those_with_a_step_of_their_own_do_without(rig: Rig) -> None:
    """A condition has 250 characters: an engine that nothing else stops goes first."""
    name = arm(rig)
    emails = [rig.account(f"a-rather-long-name-{n}") for n in range(4)]
    bot = engine_of(rig)
    provider = rig.provider(service_accounts=[*emails], principals=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)

    assert step.target.params["principals"] == [bot]


def test_more_than_a_condition_holds_is_said(rig: Rig) -> None:
    """Three engines do not fit, and no part of them is bound in silence."""
    name = arm(rig)
    bots = [f"{engine_of(rig)}{n}" for n in range(3)]
    found = rig.provider(principals=[*bots], class_boundary_binding=name).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any("250 characters" in one.reason for one in found.not_touched), found.not_touched


def test_a_permission_outside_of_its_version_still_works_and_nothing_claims_otherwise(rig: Rig) -> None:
    """What is read back says that they are bound; the grade says that this is no proof."""
    name = arm(rig)
    bot = rig.account("bot")
    other, token = elsewhere(rig, f"serviceAccount:{bot}"), rig.token(bot)
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    _, state = close(action, step.target)
    rig.control("settings", {"pab_passes": ["resourcemanager.projects.get"]})
    try:
        still = works(rig, token, other)
    finally:
        rig.control("settings", {"pab_passes": []})

    assert still
    assert (action.judge(step.target, state).grade, step.best_grade) == (Grade.NONE, Grade.NONE)


def test_another_boundary_that_allows_a_project_leaves_it_open_and_nothing_claims_otherwise(rig: Rig) -> None:
    """Boundaries add up ("Principal access boundary policies", Define eligible resources)."""
    name = arm(rig)
    bot = rig.account("bot")
    other, token = elsewhere(rig, f"serviceAccount:{bot}"), rig.token(bot)
    rules = [{"resources": [f"//cloudresourcemanager.googleapis.com/{other}"], "effect": "ALLOW"}]
    whole = {"expression": f"principal.subject == '{bot}'"}
    bind(rig, boundary(rig, "one", rules=rules), name="theirs", condition=whole)
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)

    assert works(rig, token, other)
    assert step.best_grade is Grade.NONE


def test_the_executor_is_never_bound_by_its_own_stop(rig: Rig) -> None:
    """Preflight refuses the step alone where it names the executor."""
    name = arm(rig)
    me = rig.email(EXECUTOR)
    rig.grant(f"serviceAccount:{me}", "roles/iam.serviceAccountTokenCreator")
    provider = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name, **{"as": me})
    [step] = of(provider, ACTION)
    params: dict[str, Any] = {**step.target.params, "principals": [me], "subjects": [me]}
    named = provider.project.target("gcp-policy-binding", name, name, **params)
    object.__setattr__(step, "target", named)

    assert ["cut off the executor" in one for one in refused(provider.preflight([step]))] == [True]


@pytest.mark.parametrize(
    "name",
    [
        "organizations/1/locations/global/policyBindings/agents",
        "projects/another-project/locations/global/policyBindings/agents",
        "projects/{project}/locations/global/policyBindings/Agents",
        "projects/{project}/locations/global/policyBindings/agents/x",
    ],
)
def test_a_binding_of_something_else_is_refused_where_the_inventory_is_read(rig: Rig, name: str) -> None:
    """Its rights would be others, and so would be those whom it names."""
    entry: dict[str, Json] = {"project": rig.project, "project_number": rig.number}
    right = f"projects/{rig.number}/locations/global/policyBindings/agents"

    assert complaints({**entry, "class_boundary_binding": name.format(project=rig.project)})
    assert complaints({**entry, "class_boundary_binding": right}) == []
