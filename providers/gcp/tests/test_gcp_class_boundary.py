"""``gcp.iam.class_boundary`` on the sandbox: one write for all, a layer more, and proof of nothing."""

from __future__ import annotations

from typing import Any

import pytest

from breakglass.canon import Json
from breakglass.errors import ProviderError, Throttled
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.boundary_gcp import (
    ARMED,
    arm,
    bind,
    binding_name,
    boundary,
    calls,
    elsewhere,
    engine_of,
    may_bind,
    naming,
    pool_set,
    say,
    shown,
    works,
)
from providers.gcp.tests.deny_gcp import organisation
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo
from providers.gcp.tests.test_gcp_preflight import of, refused

ACTION = "gcp.iam.class_boundary"
BEYOND = "what is granted in other projects"


def test_three_principals_are_bound_by_one_write_and_few_reads(rig: Rig) -> None:
    """Five reads and five writes a minute are all there is; title and description stay."""
    name = arm(rig)
    emails = [rig.account(f"bot-{n}") for n in range(3)]
    provider = rig.provider(service_accounts=[*emails], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    action.observe(step.target)
    close(action, step.target)
    provider.discover()

    assert shown(rig)["expression"] == naming(*emails)
    assert shown(rig)["title"] == "stopped agents"
    assert calls(rig, "UpdatePolicyBinding") == 1
    assert calls(rig, "GetPolicyBinding") <= 3
    assert calls(rig, "GetPrincipalAccessBoundaryPolicy") == 1


def test_a_token_is_refused_in_another_project_and_works_again_after_the_restore(rig: Rig) -> None:
    """What another project grants goes with the boundary, and comes back with it."""
    name = arm(rig)
    bot = rig.account("bot")
    other = elsewhere(rig, f"serviceAccount:{bot}")
    token = rig.token(bot)
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    before = works(rig, token, other)
    prior, _ = close(provider.actions[ACTION], step.target)
    during = works(rig, token, other)
    later = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    done = undo(later.actions[ACTION], step.target, prior)

    assert (before, during, works(rig, token, other)) == (True, False, True)
    assert list(done.objects.values()).count(Outcome.RESTORED) == 1
    assert shown(rig)["expression"] == ARMED


def test_it_proves_nothing_and_closes_no_door(rig: Rig) -> None:
    """An engine's door to what other projects grant stays open, and no proof of the step can be had."""
    name = arm(rig)
    bot = engine_of(rig)
    provider = rig.provider(principals=[bot], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    _, state = close(action, step.target)
    judged = action.judge(step.target, state)
    doors = [one for one in provider.discover().doors if one.door.name.startswith(BEYOND)]

    assert (step.best_grade, action.spec.best_grade) == (Grade.NONE, Grade.NONE)
    assert (judged.verdict, judged.grade) == (Verdict.CONTAINED, Grade.NONE)
    assert "proves nothing" in judged.reason
    assert action.probe(step.target) is None
    assert [one.closed_by for one in doors] == [()]


def test_it_is_moot_only_where_each_of_its_principals_has_a_step_of_its_own(rig: Rig) -> None:
    """An account that is disabled needs no boundary; an engine that nothing else stops keeps it open."""
    name = arm(rig)
    bot = rig.account("bot")
    alone = proposal(rig.provider(service_accounts=[bot], class_boundary_binding=name), ACTION)
    engine = rig.provider(service_accounts=[bot], principals=[engine_of(rig)], class_boundary_binding=name)

    assert len(alone.moot_by) == 1
    assert proposal(engine, ACTION).moot_by == ()


def test_who_was_named_before_stays_named(rig: Rig) -> None:
    """Another stop uses the same binding: each takes out its own."""
    name = arm(rig)
    first, second = rig.account("first"), rig.account("second")
    say(rig, naming(first))
    provider = rig.provider(service_accounts=[first, second], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    during = shown(rig)["expression"]
    later = rig.provider(service_accounts=[first, second], class_boundary_binding=name)
    undo(later.actions[ACTION], restoring(step.target, ago_s=5000), prior)

    assert during == naming(first, second)
    assert shown(rig)["expression"] == naming(first)


def test_a_restore_waits_for_tokens_of_identities_that_nothing_disables(rig: Rig) -> None:
    """Taking them out would give their tokens their power in other projects back."""
    name = arm(rig)
    provider = rig.provider(principals=[engine_of(rig)], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    during = shown(rig)
    with pytest.raises(ProviderError, match="tokens from before the stop"):
        undo(provider.actions[ACTION], restoring(step.target, ago_s=60), prior)

    assert shown(rig) == during


def test_a_crash_between_the_write_and_its_record_loses_nothing(rig: Rig) -> None:
    """The answer is lost: who goes on sees them bound, and the restore has what the intent recorded."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    intent = action.observe(step.target)
    lost = {"method": "*UpdatePolicyBinding", "project": rig.project, "code": "DEADLINE_EXCEEDED"}
    rig.control("faults", {"faults": [{**lost, "times": 1, "after": True}]})
    with pytest.raises(ProviderError):
        action.apply(step.target, intent, "token")
    rig.control("faults", {"faults": []})
    again = rig.provider(service_accounts=[bot], class_boundary_binding=name).actions[ACTION]
    _, state = close(again, step.target)
    done = again.revert(restoring(step.target, ago_s=5000), intent, state)

    assert list(done.objects.values()).count(Outcome.RESTORED) == 1
    assert shown(rig)["expression"] == ARMED


def test_a_conflict_is_read_again_and_written_again(rig: Rig) -> None:
    """Somebody else extended it between the read and the write: both are in it."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    state = action.observe(step.target)
    say(rig, naming("other@example.com"))
    action.apply(step.target, state, "token")

    assert shown(rig)["expression"] == naming("other@example.com", bot)
    assert calls(rig, "UpdatePolicyBinding") == 2


def test_somebody_else_writing_all_the_time_is_a_conflict_and_never_contained(rig: Rig) -> None:
    """The etag is not given up to win."""
    name = arm(rig)
    provider = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    fault = {"method": "*UpdatePolicyBinding", "project": rig.project, "code": "ABORTED", "times": 100}
    rig.control("faults", {"faults": [fault]})
    state = action.observe(step.target)
    with pytest.raises(Conflict):
        action.apply(step.target, state, "token")
    rig.control("faults", {"faults": []})

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED


def test_a_spent_quota_is_throttling_and_never_contained(rig: Rig) -> None:
    """The agent uses up the writes of this minute: arming took one."""
    name = arm(rig)
    provider = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name)
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    state = action.observe(step.target)
    for n in range(4):
        missing = {"name": f"projects/{rig.project}/locations/global/policyBindings/no-{n}"}
        with pytest.raises(ProviderError):
            rig.admin.call("policy_bindings", "update_policy_binding", {"policy_binding": missing})
    with pytest.raises(Throttled):
        action.apply(step.target, state, "token")

    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED
    assert shown(rig)["expression"] == ARMED


def test_a_spent_quota_of_reads_leaves_the_boundary_out_and_the_plan_says_so(rig: Rig) -> None:
    """The agent can spend it: a layer that proves nothing makes no plan incomplete by that."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    for _ in range(5):
        rig.admin.call("policy_bindings", "get_policy_binding", {"name": name})
    found = provider.discover()

    assert ["cannot be read" in one.reason for one in found.not_touched if name in one.resource] == [True]
    assert [one for one in found.incomplete if "policy_bindings" in one] == []
    assert "gcp.iam.disable_service_account" in {one.action for one in found.proposals}


def test_a_restore_leaves_a_condition_alone_that_somebody_rewrote(rig: Rig) -> None:
    """Drift is told, and nothing is written."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    rewritten = "principal.subject == 'somebody@example.com'"
    say(rig, rewritten)
    later = rig.provider(class_boundary_binding=name).actions[ACTION]
    done = undo(later, restoring(step.target, ago_s=5000), prior)

    assert list(done.objects.values()).count(Outcome.DRIFTED) == 1
    assert Outcome.RESTORED not in done.objects.values()
    assert shown(rig)["expression"] == rewritten


def test_a_restore_takes_out_its_own_alone_and_says_that_others_came(rig: Rig) -> None:
    """A stop of another agent extended the same binding meanwhile."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    say(rig, naming(bot, "other@example.com"))
    later = rig.provider(class_boundary_binding=name).actions[ACTION]
    done = undo(later, restoring(step.target, ago_s=5000), prior)

    assert list(done.objects.values()).count(Outcome.RESTORED) == 1
    assert "somebody else" in done.reason
    assert shown(rig)["expression"] == naming("other@example.com")


def test_a_restore_revives_no_binding_that_is_gone(rig: Rig) -> None:
    """Somebody deleted it: that is told, and it is not made again."""
    name = arm(rig)
    bot = rig.account("bot")
    provider = rig.provider(service_accounts=[bot], class_boundary_binding=name)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    rig.admin.operate("policy_bindings", "delete_policy_binding", {"name": name})
    later = rig.provider(class_boundary_binding=name).actions[ACTION]
    done = undo(later, restoring(step.target, ago_s=5000), prior)

    assert Outcome.DRIFTED in done.objects.values()
    assert rig.control("state", {})["iam_boundaries"] == {}


@pytest.mark.parametrize(
    ("details", "more", "why"),
    [
        ({"rules": []}, {}, "cannot be read"),
        ({"enforcement_version": "99"}, {}, "enforcement version 99"),
        ({}, {"condition": {}, "target": {"principal_set": "POOL"}}, "it has no condition"),
        ({}, {"condition": {"expression": "principal.subject == 'a@b.c'"}}, "not one that a stop may extend"),
        (
            {},
            {"condition": {"expression": f"{ARMED} || principal.subject == 'x'"}},
            "not one that a stop may extend",
        ),
        (
            {},
            {"target": {"principal_set": "//iam.googleapis.com/locations/global/workforcePools/x"}},
            "neither",
        ),
        (
            {},
            {"target": {"principal_set": "//cloudresourcemanager.googleapis.com/projects/other"}},
            "neither",
        ),
    ],
)
def test_a_binding_that_cannot_be_used_is_said_before_anybody_signs(
    rig: Rig, details: dict[str, Any], more: dict[str, Any], why: str
) -> None:
    """Each with what to do instead."""
    if more.get("target") == {"principal_set": "POOL"}:
        # Without a condition it would bind the executor too, if it were for the project's set.
        more = {**more, "target": {"principal_set": pool_set(rig)}}
    name = arm(rig, details=details, **more)
    found = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any(why in one.reason for one in found.not_touched), found.not_touched


@pytest.mark.parametrize("where", ["project by id", "project by number", "folder above", "organisation"])
def test_a_boundary_that_allows_where_the_agent_works_is_not_used(rig: Rig, where: str) -> None:
    """It would leave the agent everything that it has here."""
    folder = f"folders/{rig.number}"
    rig.control("resourcemanager.place", {"folder": folder})
    allowed = {
        "project by id": f"projects/{rig.project}",
        "project by number": f"projects/{rig.number}",
        "folder above": folder,
        "organisation": organisation(rig),
    }[where]
    resources = [f"//cloudresourcemanager.googleapis.com/{allowed}"]
    name = arm(rig, details={"rules": [{"resources": resources, "effect": "ALLOW"}]})
    found = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any(f"its policy allows {allowed}" in one.reason for one in found.not_touched), found.not_touched


def test_a_binding_that_nobody_made_is_said(rig: Rig) -> None:
    """The inventory names one that is not there."""
    may_bind(rig)
    names: dict[str, Json] = {"service_accounts": [rig.account("bot")]}
    found = rig.provider(**names, class_boundary_binding=binding_name(rig)).discover()

    assert any("no such policy binding" in one.reason for one in found.not_touched)


def test_a_boundary_that_the_executor_may_not_read_is_not_used(rig: Rig) -> None:
    """It holds the project's role alone, and the organisation told it nothing."""
    bind(rig, boundary(rig))
    names: dict[str, Json] = {"service_accounts": [rig.account("bot")]}
    found = rig.provider(**names, class_boundary_binding=binding_name(rig)).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any("cannot be read" in one.reason for one in found.not_touched), found.not_touched


def test_preflight_asks_the_organisation_for_the_right_over_the_boundary(rig: Rig) -> None:
    """The project's role says nothing of it; with the right it is allowed, without it refused alone."""
    name = arm(rig)
    provider = rig.provider(service_accounts=[rig.account("bot")], class_boundary_binding=name)
    steps = of(provider, ACTION)
    allowed = refused(provider.preflight(steps))
    where = organisation(rig)
    held = rig.admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
    mine = rig.email("executor")
    bindings = [
        {**one, "members": [who for who in one["members"] if mine not in who]} for one in held["bindings"]
    ]
    rig.admin.rest(
        "projects", "POST", f"v3/{where}:setIamPolicy", body={"policy": {**held, "bindings": bindings}}
    )
    [said] = refused(provider.preflight(steps))

    assert allowed == []
    assert "iam.principalaccessboundarypolicies.bind" in said
    assert "resourcemanager.projects.updatePolicyBinding" not in said
