"""A deny is proven by IAM's evaluator, and as the agent where a credential of its own is held."""

from __future__ import annotations

from typing import Any

from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.provider import Action
from breakglass_aws.actions import access_keys, deny_role, deny_user
from breakglass_aws.found import Found
from providers.aws.tests.identity_rig import FREE, TRUST, planned, proposed
from providers.aws.tests.rig_aws import Rig, close

USER, ROLE = Found({"users": ("bot",)}), Found({"roles": ("bot",), "queues": ("work",)})
QUEUE = "arn:aws:sqs:*:*:work"
HELD = {"user/bot": "agent", "role/bot": "agent"}


def _with_key(rig: Rig, document: str = FREE) -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_user(UserName="bot")
    iam.put_user_policy(UserName="bot", PolicyName="mine", PolicyDocument=document)
    rig.secrets.keep("agent", iam.create_access_key(UserName="bot")["AccessKey"])
    return iam


def _with_session(rig: Rig, document: str = FREE) -> Any:  # noqa: ANN401 - boto3 has no types
    iam = rig.boto("iam")
    iam.create_role(RoleName="bot", AssumeRolePolicyDocument=TRUST)
    iam.put_role_policy(RoleName="bot", PolicyName="mine", PolicyDocument=document)
    rig.secrets.keep("agent", rig.sandbox.control("mint", {"role": "bot", "session": "s1"}))
    return iam


def _proof(action: Action, target: Any) -> Judgement:  # noqa: ANN401 - a Resource
    said = action.probe(target)
    assert said is not None
    return said


def test_a_users_own_key_is_refused_after_the_deny(rig: Rig) -> None:
    """What it could call before it cannot call now."""
    _with_key(rig)
    action, target = planned(rig, deny_user.SPEC.name, USER, agent_credentials=HELD)
    assert target.params["canary"] == "iam.get_user"
    close(action, target)

    proof = _proof(action, target)

    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)
    assert "iam:GetUser as the agent is refused (AccessDenied)" in proof.reason


def test_a_roles_own_session_is_refused_after_the_deny(rig: Rig) -> None:
    """A call that the role may make on its own queue alone is enough."""
    _with_session(rig, FREE.replace('"Action":"*","Resource":"*"', f'"Action":"sqs:*","Resource":"{QUEUE}"'))
    rig.boto("sqs").create_queue(QueueName="work")
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    assert target.params["canary"] == "sqs.get_queue_url:work"
    close(action, target)

    proof = _proof(action, target)

    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)


def test_a_principal_that_may_call_nothing_leaves_the_grade_at_the_evaluators(rig: Rig) -> None:
    """And the reason says so."""
    _with_session(
        rig, '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ce:*","Resource":"*"}}'
    )
    steps = proposed(rig, ROLE, agent_credentials=HELD).proposals
    step = next(one for one in steps if one.action == deny_role.SPEC.name)

    assert step.best_grade is Grade.PLATFORM_EVALUATOR
    assert "none of the calls" in str(step.target.params["no_canary"])


def test_somebody_elses_credential_proves_nothing(rig: Rig) -> None:
    """A secret that was mixed up is found at planning."""
    _with_key(rig)
    iam = rig.boto("iam")
    iam.create_user(UserName="other")
    rig.secrets.keep("agent", iam.create_access_key(UserName="other")["AccessKey"])

    steps = proposed(rig, USER, agent_credentials=HELD).proposals

    step = next(one for one in steps if one.action == deny_user.SPEC.name)
    assert step.best_grade is Grade.PLATFORM_EVALUATOR
    assert "user/other's" in str(step.target.params["no_canary"])


def test_throttled_and_expired_answers_are_no_refusal(rig: Rig) -> None:
    """Only the evaluator's grade is left, and the engine asks again."""
    _with_session(rig)
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    close(action, target)
    service, _, _ = str(target.params["canary"]).partition(".")
    for answer, words in (("throttle", "throttles"), ("expired", "has expired: it proves nothing")):
        fault = {"service": service, "operation": "*", "answer": answer}
        rig.sandbox.control("faults", {"faults": [fault]})

        proof = _proof(action, target)

        assert proof.grade is Grade.PLATFORM_EVALUATOR
        assert words in proof.reason


def test_an_agent_that_detaches_the_deny_is_seen_by_the_probe(rig: Rig) -> None:
    """The evaluator says so, and the engine goes on to another round."""
    iam = _with_session(rig)
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    close(action, target)
    iam.detach_role_policy(RoleName="bot", PolicyArn=target.params["policy"])

    assert _proof(action, target).verdict is Verdict.NOT_CONTAINED


def test_a_held_key_that_is_off_proves_its_own_death(rig: Rig) -> None:
    """GetCallerIdentity is fine for a dead key: a live one is always answered."""
    _with_key(rig)
    action, target = planned(rig, access_keys.SPEC.name, USER, agent_credentials=HELD)
    assert _proof(action, target).verdict is Verdict.NOT_CONTAINED
    close(action, target)

    proof = _proof(action, target)

    assert (proof.verdict, proof.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)


def test_inside_the_visibility_delay_nothing_is_called_contained(rig: Rig) -> None:
    """IAM said yes and the agent still works: the probe says so until its own call is refused."""
    _with_session(rig)
    action, target = planned(rig, deny_role.SPEC.name, ROLE, agent_credentials=HELD)
    rig.sandbox.control("settings", {"visibility_delay_s": 3600})
    close(action, target)

    first = _proof(action, target)
    rig.sandbox.control("settings", {"visibility_delay_s": 0})
    second = _proof(action, target)

    assert first.verdict is Verdict.NOT_CONTAINED
    assert "still works" in first.reason
    assert (second.verdict, second.grade) == (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT)
