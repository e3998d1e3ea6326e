"""What counts as proof that an identity is refused, and what does not."""

from __future__ import annotations

import base64
import json
import time

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_kubernetes import probe
from breakglass_kubernetes.actions import bindings, group_bindings, service_accounts, token_secrets
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from breakglass_kubernetes.rbac import Ask
from breakglass_kubernetes.subjects import who_is
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

RBAC = "rbac.authorization.k8s.io"
READS = ("get namespaces", "list pods", "get secrets")
"""What connecting and looking need beside the steps."""


def forged(**claims: Json) -> str:
    """Return what looks like a token and is signed by nobody."""
    parts = ({"alg": "RS256"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)


def test_a_refused_token_that_has_expired_by_itself_proves_nothing(rig: Rig) -> None:
    """A 401 says that the token is bad, not that its account is cut."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    pair = f"{rig.namespace}/bot"
    cluster = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"}).cluster
    said = {}
    for name, token in (
        ("expired", forged(exp=int(time.time()) - 5)),
        ("odd", forged(exp="soon")),
        ("none", "x"),
        ("fresh", forged(exp=int(time.time()) + 600)),
        ("endless", forged(sub="x")),
    ):
        rig.secrets.held["t"] = token.encode()
        good, path = probe.digest(token), SECRETS.path(rig.namespace)
        said[name] = probe.judge_token(cluster, pair, good).verdict
        assert said[name] is probe.judge_call(cluster, pair, path, good).verdict
        assert Verdict.UNKNOWN is probe.judge_token(cluster, pair, "").verdict
        assert Verdict.UNKNOWN is probe.judge_call(cluster, pair, path, "").verdict

    assert [Verdict.UNKNOWN] * 3 == [said[one] for one in ("expired", "odd", "none")]
    assert [Verdict.CONTAINED] * 2 == [said[one] for one in ("fresh", "endless")]


def test_a_call_that_gets_through_or_fails_otherwise_is_no_refusal(rig: Rig) -> None:
    """Only 403, or 401 for a token that was good, is one."""
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    pair = f"{rig.namespace}/bot"
    rig.secrets.held["t"] = rig.token("bot").encode()
    cluster = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"}).cluster

    through = probe.judge_call(cluster, pair, "/api", "")
    odd = probe.judge_call(cluster, pair, "/openapi/v3/nowhere-at-all", "")
    refused = probe.judge_call(cluster, pair, SECRETS.path(rig.namespace), "")

    assert (Verdict.NOT_CONTAINED, Grade.REFUSED_AS_AGENT) == (through.verdict, through.grade)
    assert Verdict.UNKNOWN is odd.verdict, odd
    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (refused.verdict, refused.grade)


def test_a_token_of_another_account_is_not_taken_for_proof(rig: Rig) -> None:
    """What is held under an account's name must be that account's when the plan is made."""
    for name in ("bot", "other"):
        rig.make(SERVICE_ACCOUNTS, name, {})
    pair = f"{rig.namespace}/bot"
    rig.secrets.held["t"] = rig.token("other").encode()
    cluster = rig.provider(service_accounts=[pair], agent_tokens={pair: "t"}).cluster

    assert "" == probe.good_now(cluster, who_is(pair).user, pair)
    rig.secrets.held["t"] = rig.token("bot").encode()
    assert probe.good_now(cluster, who_is(pair).user, pair)


def test_the_access_review_is_asked_with_all_groups_of_an_account(rig: Rig) -> None:
    """A right by a group is a right."""
    group = {"kind": "Group", "name": f"system:serviceaccounts:{rig.namespace}", "apiGroup": RBAC}
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    rig.make(ROLE_BINDINGS, "all", {"roleRef": ref, "subjects": [group]})
    cluster = rig.provider().cluster

    said = probe.review(cluster, who_is(f"{rig.namespace}/bot"), Ask("list", "", "configmaps", rig.namespace))

    assert (True, True) == (said.allowed, said.sure)
    assert "view" in said.reason


def test_of_several_answers_the_worst_and_the_weakest_count() -> None:
    """One that got through is not contained; one that nobody knows is unknown."""
    good = Judgement(Verdict.CONTAINED, "a", Grade.REFUSED_AS_AGENT)
    weak = Judgement(Verdict.CONTAINED, "b", Grade.PLATFORM_EVALUATOR)
    bad = Judgement(Verdict.NOT_CONTAINED, "c", Grade.REFUSED_AS_AGENT)
    odd = Judgement(Verdict.UNKNOWN, "d", Grade.NONE)

    assert Grade.PLATFORM_EVALUATOR is probe.weakest([good, weak]).grade
    assert "c" == probe.weakest([good, odd, bad]).reason
    assert Verdict.UNKNOWN is probe.weakest([good, odd]).verdict


def test_the_declared_permissions_are_all_that_the_steps_and_their_undo_need(rig: Rig) -> None:
    """An executor with exactly these rights unbinds an administrator, ends its tokens, and puts it back."""
    rules = []
    needs = {*READS}
    for spec in (bindings.SPEC, group_bindings.SPEC, service_accounts.SPEC, token_secrets.SPEC):
        needs |= {*spec.permissions, *spec.undo_permissions}
    for need in sorted(needs):
        verb, _, what = need.partition(" ")
        resource, _, group = what.partition(".")
        rules.append({"verbs": [verb], "apiGroups": [group], "resources": [resource]})
    user, name = f"stopper-{rig.namespace}", f"least-{rig.namespace}"
    rig.make(CLUSTER_ROLES, name, {"rules": rules})
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": name}
    subject = {"kind": "User", "name": user, "apiGroup": RBAC}
    rig.make(CLUSTER_ROLE_BINDINGS, name, {"roleRef": ref, "subjects": [subject]})
    rig.make(SERVICE_ACCOUNTS, "bot", {})
    bot = {"kind": "ServiceAccount", "name": "bot", "namespace": rig.namespace}
    admin = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    rig.make(ROLE_BINDINGS, "bot", {"roleRef": admin, "subjects": [bot]})
    note = {"annotations": {token_secrets.ACCOUNT: "bot"}}
    rig.make(SECRETS, "forever", {"metadata": note, "type": token_secrets.TYPE})
    planner = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    names = [bindings.SPEC.name, token_secrets.SPEC.name, service_accounts.SPEC.name]
    steps = {one: proposal(planner, one) for one in names}

    provider = rig.provider(user=user, groups=(), service_accounts=[f"{rig.namespace}/bot"])
    prior = {one: close(provider.actions[one], steps[one].target)[0] for one in names}
    proof = provider.actions[bindings.SPEC.name].probe(steps[bindings.SPEC.name].target)
    try:
        undone = [undo(provider.actions[one], steps[one].target, prior[one]).objects for one in names[::-1]]
    except ProviderError as error:
        raise AssertionError(f"{error}") from error

    assert proof is not None
    assert Verdict.CONTAINED is proof.verdict
    assert {"restored"} == {str(value) for one in undone for value in one.values()}
    assert [bot] == rig.get(ROLE_BINDINGS, "bot")["subjects"]
