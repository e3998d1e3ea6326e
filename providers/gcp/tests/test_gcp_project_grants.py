"""``gcp.projects.remove_grants`` on the sandbox: rights of identities that there is nothing to disable of."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.actions.deny_baseline import BASELINE
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.deny_gcp import arm, policy_name, rule
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import Rig, close, proposal, undo

ACTION = "gcp.projects.remove_grants"
ENGINE = "principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/7/locations/eu/reasoningEngines/9"
ANN = "user:ann@example.com"
UNTIL = "request.time < timestamp('2090-01-01T00:00:00Z')"


def lay_out(rig: Rig) -> None:
    """Grant the agent's identity a role, another with somebody else, and one with a condition."""
    rig.grant(ENGINE, "roles/viewer", "roles/pubsub.publisher")
    resource = f"projects/{rig.project}"
    asked = {"resource": resource, "options": {"requested_policy_version": 3}}
    policy = rig.admin.call("projects", "get_iam_policy", asked)
    policy.bindings.add(role="roles/storage.objectUser", members=[ANN, ENGINE, "user:bob@example.com"])
    late = policy.bindings.add(role="roles/storage.objectUser", members=[ENGINE])
    late.condition.title, late.condition.expression = "until", UNTIL
    policy.bindings.add(role="roles/browser", members=[ANN])
    policy.version = 3
    rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})


def policy_of(rig: Rig) -> Json:
    """Return the project's policy without its etag."""
    found: Json = rig.control("state", {})["resource_manager"]
    return found


def test_every_grant_goes_in_one_write_and_comes_back_byte_for_byte(rig: Rig) -> None:
    """Also a conditional one; who shares a binding keeps it."""
    lay_out(rig)
    before = policy_of(rig)
    provider = rig.provider(principals=[ENGINE])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    written = len(rig.control("audit", {}))
    prior, last = close(action, step.target)
    during = str(policy_of(rig))
    writes = len(rig.control("audit", {})) - written
    done = undo(action, restoring(step.target, ago_s=5000), prior)

    assert len(prior) == 4
    assert writes == 1
    assert last.objects == {}
    assert ENGINE not in during
    assert during.count(ANN) == 2
    assert policy_of(rig) == before
    assert set(done.objects.values()) == {Outcome.RESTORED}


def test_the_agent_is_refused_with_its_own_token(rig: Rig) -> None:
    """What worked when the stop was planned is refused."""
    rig.grant(ENGINE, "roles/viewer")
    rig.secrets.keep_token("engine", rig.token(ENGINE))
    provider = rig.provider(principals=[ENGINE], agent_credentials={ENGINE: "engine"})
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    before = action.probe(step.target)
    close(action, step.target)
    after = action.probe(step.target)

    assert (step.best_grade, step.settle_s) == (Grade.REFUSED_AS_AGENT, 0.12)
    assert before is not None
    assert before.verdict is Verdict.NOT_CONTAINED
    assert after is not None
    assert (after.verdict, after.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT), after.reason


def test_who_adds_itself_back_is_taken_out_again_and_does_not_get_that_back(rig: Rig) -> None:
    """With another identity's rights over IAM it makes itself an owner between two rounds."""
    lay_out(rig)
    before = policy_of(rig)
    provider = rig.provider(principals=[ENGINE])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    rig.grant(ENGINE, "roles/owner")
    seen = action.judge(step.target, action.observe(step.target))
    more, _ = close(action, step.target)
    done = undo(action, restoring(step.target, ago_s=5000), {**more, **prior})

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert done.objects[f"roles/owner {ENGINE}"] is Outcome.ENDED
    assert policy_of(rig) == before


def test_conflicts_without_end_are_never_contained(rig: Rig) -> None:
    """Somebody writes the policy all the time."""
    rig.grant(ENGINE, "roles/viewer")
    provider = rig.provider(principals=[ENGINE])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    fault = {"method": "*SetIamPolicy", "project": rig.project, "code": "ABORTED", "times": 100}
    rig.control("faults", {"faults": [fault]})
    state = action.observe(step.target)
    with pytest.raises(Conflict):
        action.apply(step.target, state, "token")
    rig.control("faults", {"faults": []})

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED


def test_the_restore_waits_for_the_end_of_the_tokens(rig: Rig) -> None:
    """A token of before would have its rights again."""
    rig.grant(ENGINE, "roles/viewer")
    provider = rig.provider(principals=[ENGINE])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    with pytest.raises(ProviderError, match="live until"):
        undo(action, restoring(step.target, ago_s=60), prior)
    with pytest.raises(Denied, match="not known"):
        undo(action, step.target, prior)

    assert ENGINE not in str(policy_of(rig))


def test_a_role_that_is_gone_keeps_no_other_from_coming_back(rig: Rig) -> None:
    """One binding cannot be written any more; the others are."""
    gone = rig.role("agentRole", ["pubsub.topics.publish"])
    rig.grant(ENGINE, gone, "roles/viewer")
    provider = rig.provider(principals=[ENGINE])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    rig.admin.call("iam_admin", "delete_role", {"name": gone})
    done = undo(action, restoring(step.target, ago_s=5000), prior)

    assert done.objects[f"roles/viewer {ENGINE}"] is Outcome.RESTORED
    assert done.objects[f"{gone} {ENGINE}"] in {Outcome.DRIFTED, Outcome.RESTORED}


def test_what_may_be_granted_elsewhere_is_an_open_door(rig: Rig) -> None:
    """Folders, groups and resources are not looked at; a class deny that denies what matters closes that."""
    rig.grant(ENGINE, "roles/viewer")
    rig.grant("principalSet://agents.global.org-1.system.id.goog/attribute.x/y", "roles/browser")
    bare = rig.provider(principals=[ENGINE]).discover()
    arm(rig, rule(rig, denied_permissions=list(BASELINE)))
    covered = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig)).discover()
    doors = {one.door.name.partition(" to ")[0]: one for one in bare.doors}
    closed = {one.door.name.partition(" to ")[0]: one.closed_by for one in covered.doors}
    beyond = "what is granted in other projects, on folders and the organisation"

    assert {one.verdict for one in (door.door for door in doors.values())} == {Verdict.UNKNOWN}
    assert set(doors) == {"what is granted elsewhere", "grants", beyond}
    assert closed == {one: () if one == beyond else ("deny_class",) for one in doors}


def test_a_class_deny_that_forgets_what_matters_closes_nothing_of_what_is_granted_elsewhere(rig: Rig) -> None:
    """The plan names what is missing, and the door stays open."""
    rig.grant(ENGINE, "roles/viewer")
    arm(rig, rule(rig, denied_permissions=[one for one in BASELINE if "objects" not in one]))

    found = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig)).discover()

    assert {one.closed_by for one in found.doors} == {()}
    [said] = [one for one in found.not_touched if "class deny" in one.resource]
    assert "storage.googleapis.com/objects.create, storage.googleapis.com/objects.get" in said.reason


def test_accounts_that_are_disabled_keep_their_roles(rig: Rig) -> None:
    """Their own step stops them at once; there is nothing to take away."""
    email = rig.account("bot", roles=["roles/viewer"])
    found = rig.provider(service_accounts=[email]).discover()

    assert ACTION not in [one.action for one in found.proposals]


def test_an_engine_is_read_for_the_identity_that_it_acts_as(rig: Rig) -> None:
    """An engine that is not there has none; one that cannot be read is said."""
    found = rig.provider(agent_engines=["europe-west1/123"], principals=[ENGINE]).discover()

    assert ACTION in [one.action for one in found.proposals]
