"""``gcp.iam.deny_class`` on the sandbox: one write for all, and who fights it gets no wrong answer."""

from __future__ import annotations

import pytest

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError, Throttled
from breakglass.model.action import Grade, Verdict
from breakglass.provider import Outcome
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.deny_gcp import ACCOUNT, DENIED, arm, policy_name, read, rule, write
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig, close, proposal, undo

ACTION = "gcp.iam.deny_class"
ENGINE = "principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/7/locations/eu/reasoningEngines/9"


def calls(rig: Rig, method: str) -> int:
    """Return how often a method of deny policies was called in this project."""
    return sum(1 for one in rig.control("calls") if one["method"].endswith(f"v2.Policies/{method}"))


def denied(rig: Rig) -> list[str]:
    """Return whom the first rule denies, without a call that counts."""
    policies = rig.control("state", {})["iam_deny"]
    found: list[str] = policies["agents"]["rules"][0]["denyRule"].get("deniedPrincipals", [])
    return found


def test_all_principals_are_denied_by_one_write_and_few_reads(rig: Rig) -> None:
    """Accounts and other principals alike; five reads and five writes a minute are all there is."""
    arm(rig)
    emails = [rig.account(f"bot-{n}") for n in range(5)]
    provider = rig.provider(
        service_accounts=[*emails], principals=[ENGINE], class_deny_policy=policy_name(rig)
    )
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    action.observe(step.target)
    close(action, step.target)

    assert sorted(denied(rig)) == sorted([*(f"{ACCOUNT}{one}" for one in emails), ENGINE])
    assert calls(rig, "UpdatePolicy") == 1
    assert calls(rig, "GetPolicy") <= 3


def test_a_thousand_principals_are_one_call(rig: Rig) -> None:
    """However many they are."""
    arm(rig)
    crowd = [f"{ENGINE}{n}" for n in range(1000)]
    provider = rig.provider(principals=[*crowd], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)

    assert len(denied(rig)) == 1000
    assert calls(rig, "UpdatePolicy") == 1


def test_a_denied_agent_is_refused_with_its_own_token(rig: Rig) -> None:
    """A real call that worked when the stop was planned is refused, and the grade says so."""
    arm(rig)
    rig.grant(ENGINE, "roles/viewer")
    rig.secrets.keep_token("engine", rig.token(ENGINE))
    provider = rig.provider(
        principals=[ENGINE], class_deny_policy=policy_name(rig), agent_credentials={ENGINE: "engine"}
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


def test_what_the_agent_never_could_do_proves_nothing(rig: Rig) -> None:
    """A principal without any right is refused anyway: the policy is read back, no more."""
    arm(rig)
    rig.secrets.keep_token("engine", rig.token(ENGINE))
    provider = rig.provider(
        principals=[ENGINE], class_deny_policy=policy_name(rig), agent_credentials={ENGINE: "engine"}
    )

    assert proposal(provider, ACTION).best_grade is Grade.READ_BACK


def test_restore_takes_exactly_those_away_that_the_stop_added(rig: Rig) -> None:
    """Who was denied before stays denied, also where it is the agent's."""
    email = rig.account("bot")
    arm(rig, rule(rig, denied_principals=["principal://goog/subject/eve@example.com", f"{ACCOUNT}{email}"]))
    before = rig.control("state", {})["iam_deny"]
    names: dict[str, Json] = {
        "service_accounts": [email],
        "principals": [ENGINE],
        "class_deny_policy": policy_name(rig),
    }
    provider = rig.provider(**names)
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    during = denied(rig)
    later = rig.provider(**names)
    done = undo(later.actions[ACTION], restoring(step.target, ago_s=5000), prior)

    assert ENGINE in during
    assert rig.control("state", {})["iam_deny"] == before
    assert list(done.objects.values()).count(Outcome.RESTORED) == 1
    assert Outcome.DRIFTED not in done.objects.values()


def test_a_restore_waits_for_tokens_of_identities_that_nothing_disables(rig: Rig) -> None:
    """Lifting the deny would give them their power back."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    prior, _ = close(provider.actions[ACTION], step.target)
    with pytest.raises(ProviderError, match="tokens from before the stop live until"):
        undo(provider.actions[ACTION], restoring(step.target, ago_s=60), prior)

    assert denied(rig) == [ENGINE]


def test_a_policy_that_is_edited_to_deny_less_is_seen_and_put_right(rig: Rig) -> None:
    """Somebody with the agent's rights over deny policies drops a permission during the stop."""
    arm(rig)
    names: dict[str, Json] = {"principals": [ENGINE], "class_deny_policy": policy_name(rig)}
    provider = rig.provider(**names)
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)
    policy = read(rig)
    policy.rules[0].deny_rule.denied_permissions.remove(DENIED[1])
    write(rig, policy)
    again = rig.provider(**names).actions[ACTION]
    seen = again.judge(step.target, again.observe(step.target))
    close(again, step.target)

    assert seen.verdict is Verdict.NOT_CONTAINED
    assert "edited" in seen.reason
    rules = rig.control("state", {})["iam_deny"]["agents"]["rules"]
    assert [one["denyRule"]["deniedPermissions"] for one in rules] == [list(DENIED)]
    assert denied(rig) == [ENGINE]


def test_somebody_else_writing_all_the_time_is_a_conflict_and_never_contained(rig: Rig) -> None:
    """The etag is not given up to win."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    rig.control(
        "faults",
        {"faults": [{"method": "*UpdatePolicy", "project": rig.project, "code": "ABORTED", "times": 100}]},
    )
    state = action.observe(step.target)
    with pytest.raises(Conflict):
        action.apply(step.target, state, "token")
    rig.control("faults", {"faults": []})

    assert action.judge(step.target, action.observe(step.target)).verdict is Verdict.NOT_CONTAINED


def test_a_spent_quota_is_throttling_and_never_contained(rig: Rig) -> None:
    """The agent uses up the five writes of this minute."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    state = action.observe(step.target)
    for n in range(4):
        with pytest.raises(ProviderError):
            rig.admin.call("iam_deny", "update_policy", {"policy": {"name": policy_name(rig, f"no-{n}")}})
    with pytest.raises(Throttled):
        action.apply(step.target, state, "token")

    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED
    assert denied(rig) == []


def test_a_policy_that_is_gone_is_open(rig: Rig) -> None:
    """A stop makes no deny policy of its own."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    rig.admin.operate("iam_deny", "delete_policy", {"name": policy_name(rig)})
    action = rig.provider(principals=[ENGINE]).actions[ACTION]
    state = action.observe(step.target)
    with pytest.raises(ProviderError, match="makes none"):
        action.apply(step.target, state, "token")

    assert action.judge(step.target, state).verdict is Verdict.NOT_CONTAINED


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"denied_permissions": []}, "not armed"),
        ({"denied_permissions": ["iam.googleapis.com/roles.list"]}, "not armed"),
        ({"denial_condition": {"expression": "resource.matchTag('1/env', 'dev')"}}, "not armed"),
        ({"exception_permissions": list(DENIED)}, "not armed"),
        ({"exception_principals": []}, "spares nobody"),
        ({"exception_principals": [ENGINE]}, "principals of the agent's"),
    ],
)
def test_a_policy_that_cannot_be_used_is_said_before_anybody_signs(
    rig: Rig, more: dict[str, object], why: str
) -> None:
    """Nothing useful is denied, or the executor is not spared, or the agent is."""
    arm(rig, rule(rig, **more))
    found = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig)).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any(why in one.reason for one in found.not_touched), found.not_touched


def test_no_policy_is_said_before_anybody_signs(rig: Rig) -> None:
    """The inventory names one that nobody made."""
    found = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig)).discover()

    assert ACTION not in [one.action for one in found.proposals]
    assert any("no such policy" in one.reason for one in found.not_touched)


def test_the_executor_must_be_spared_by_name(rig: Rig) -> None:
    """Another executor than the one that the policy was armed for would cut its own branch."""
    other = rig.account("other", roles=["roles/owner"])
    arm(rig, rule(rig, exception_principals=[f"{ACCOUNT}{other}"]))
    creator = "roles/iam.serviceAccountTokenCreator"
    rig.grant(f"serviceAccount:{rig.email(EXECUTOR)}", creator)
    names: dict[str, Json] = {"principals": [ENGINE], "class_deny_policy": policy_name(rig)}
    found = rig.provider(**names, **{"as": rig.email(EXECUTOR)}).discover()

    assert any("does not spare the executor" in one.reason for one in found.not_touched), found.not_touched


def test_without_the_right_to_edit_it_the_step_fails_and_says_so(rig: Rig) -> None:
    """The executor's role was taken away meanwhile."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    state = action.observe(step.target)
    rig.control(
        "faults",
        {
            "faults": [
                {"method": "*UpdatePolicy", "project": rig.project, "code": "PERMISSION_DENIED", "times": 1}
            ]
        },
    )
    with pytest.raises(Denied):
        action.apply(step.target, state, "token")
    rig.control("faults", {"faults": []})


def test_a_policy_that_is_named_with_the_projects_id_costs_no_write_more(rig: Rig) -> None:
    """Google answers with the project's number, whatever was asked."""
    arm(rig)
    named = policy_name(rig).replace(f"%2F{rig.number}/", f"%2F{rig.project}/")
    provider = rig.provider(principals=[ENGINE], class_deny_policy=named)
    step = proposal(provider, ACTION)
    close(provider.actions[ACTION], step.target)

    assert denied(rig) == [ENGINE]
    assert (calls(rig, "UpdatePolicy"), calls(rig, "GetPolicy")) == (1, 2)


def test_a_policy_that_is_deleted_and_still_answered_denies_nobody(rig: Rig) -> None:
    """IAM API v2 reference, Policy.deleteTime: where it is set, the policy is deleted."""
    arm(rig)
    provider = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig))
    step, action = proposal(provider, ACTION), provider.actions[ACTION]
    close(action, step.target)
    attached = policy_name(rig).rpartition("/")[0]
    live = read(rig)
    rig.admin.operate("iam_deny", "delete_policy", {"name": live.name})
    live.delete_time = live.update_time
    asked = {"parent": attached, "policy": live, "policy_id": "agents"}
    rig.admin.operate("iam_deny", "create_policy", asked)
    provider.project.connection.clock.sleep(1)

    later = rig.provider(principals=[ENGINE], class_deny_policy=policy_name(rig)).actions[ACTION]

    assert later.judge(step.target, later.observe(step.target)).verdict is Verdict.NOT_CONTAINED
