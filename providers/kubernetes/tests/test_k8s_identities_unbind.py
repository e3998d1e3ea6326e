"""The agent's identities taken out of every binding of a real API server, and put back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from breakglass.errors import ProviderError, Transient
from breakglass.model.action import Grade, Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome
from breakglass_kubernetes.actions import bindings
from breakglass_kubernetes.cluster import APPLY, JSON_PATCH
from breakglass_kubernetes.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    SERVICE_ACCOUNTS,
    Kind,
)
from breakglass_kubernetes.sandbox.process import ApiError
from providers.kubernetes.tests.rig_k8s import Rig, close, proposal, undo

ACTION = bindings.SPEC.name
RBAC = "rbac.authorization.k8s.io"
STRANGER = {"kind": "User", "name": "stranger", "apiGroup": RBAC}


def account(rig: Rig, name: str, *, namespace: str = "") -> dict[str, Any]:
    """Make a service account; return it as a subject."""
    where = namespace or rig.namespace
    rig.make(SERVICE_ACCOUNTS, name, {}, namespace=where)
    return {"kind": "ServiceAccount", "name": name, "namespace": where}


def bind(
    rig: Rig,
    name: str,
    subjects: Sequence[Mapping[str, Any]],
    *,
    role: str = "view",
    namespace: str = "",
    kind: Kind = ROLE_BINDINGS,
) -> dict[str, Any]:
    """Bind subjects to a ClusterRole."""
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": role}
    return rig.make(kind, name, {"roleRef": ref, "subjects": list(subjects)}, namespace=namespace)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two reads differ in the resourceVersion alone."""
    return _plain(one) == _plain(other)


def _plain(body: Mapping[str, Any]) -> str:
    about = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return json.dumps({**body, "metadata": about}, sort_keys=True)


def test_every_spelling_of_an_account_is_taken_out_and_put_back_at_its_place(rig: Rig) -> None:
    """Bindings of other namespaces and of the cluster count; strangers keep their rights and places."""
    bot = account(rig, "bot")
    other = rig.new_namespace(f"{rig.namespace}-other")
    user = {"kind": "User", "name": f"system:serviceaccount:{rig.namespace}:bot", "apiGroup": RBAC}
    wide = f"wide-{rig.namespace}"
    bind(rig, "mixed", [bot, STRANGER, user])
    bind(rig, "alone", [bot], namespace=other)
    bind(rig, "short", [{"kind": "ServiceAccount", "name": "bot"}, STRANGER])
    bind(rig, wide, [STRANGER, bot], role="edit", kind=CLUSTER_ROLE_BINDINGS)
    bind(rig, "theirs", [STRANGER])
    places = [(ROLE_BINDINGS, "mixed", ""), (ROLE_BINDINGS, "alone", other), (ROLE_BINDINGS, "short", "")]
    places += [(CLUSTER_ROLE_BINDINGS, wide, ""), (ROLE_BINDINGS, "theirs", "")]
    before = {name: rig.get(kind, name, namespace=where) for kind, name, where in places}
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, _ = close(action, step.target)
    proof = action.probe(step.target)

    assert proof is not None
    assert (Verdict.CONTAINED, Grade.PLATFORM_EVALUATOR) == (proof.verdict, proof.grade)
    assert [STRANGER] == rig.get(ROLE_BINDINGS, "mixed")["subjects"]
    assert "subjects" not in rig.get(ROLE_BINDINGS, "alone", namespace=other)
    assert [STRANGER] == rig.get(CLUSTER_ROLE_BINDINGS, wide)["subjects"]

    reversal = undo(action, step.target, prior)

    assert {Outcome.RESTORED} == set(reversal.objects.values())
    assert all(same(before[name], rig.get(kind, name, namespace=where)) for kind, name, where in places)
    assert {Outcome.ALREADY} == set(undo(action, step.target, prior).objects.values())


def test_a_call_that_its_role_allowed_is_refused_to_its_own_token(rig: Rig) -> None:
    """The proof is a 403 as the agent; before the cut the same probe says that it is not contained."""
    bind(rig, "bot", [account(rig, "bot")])
    rig.secrets.held["bot-token"] = rig.token("bot").encode()
    pair = f"{rig.namespace}/bot"
    provider = rig.provider(service_accounts=[pair], agent_tokens={pair: "bot-token"})
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    too_early = action.probe(step.target)
    assert too_early is not None
    assert Verdict.NOT_CONTAINED is too_early.verdict

    close(action, step.target)
    proof = action.probe(step.target)

    assert proof is not None
    assert Grade.REFUSED_AS_AGENT is step.best_grade
    assert (Verdict.CONTAINED, Grade.REFUSED_AS_AGENT) == (proof.verdict, proof.grade), proof.reason
    assert "403" in proof.reason


def test_a_deployer_that_applies_its_binding_conflicts_during_the_stop_and_not_after_it(rig: Rig) -> None:
    """No field is left ours after the restore."""
    bot = account(rig, "bot")
    ref = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    manifest = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "bot"},
        "roleRef": ref,
        "subjects": [bot, STRANGER],
    }

    def deploy() -> int:
        from breakglass_kubernetes.sandbox.process import ApiError

        try:
            rig.plane.call(
                "PATCH",
                ROLE_BINDINGS.path(rig.namespace, "bot"),
                manifest,
                content_type="application/apply-patch+yaml",
                query={"fieldManager": "deployer"},
            )
        except ApiError as error:
            return error.status
        return 200

    assert 200 == deploy()
    before = rig.get(ROLE_BINDINGS, "bot")
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    prior, _ = close(action, step.target)
    assert 409 == deploy()
    undo(action, step.target, prior)

    assert same(before, rig.get(ROLE_BINDINGS, "bot"))
    assert 200 == deploy()


def test_bindings_made_between_the_rounds_are_taken_too_also_of_a_second_account(rig: Rig) -> None:
    """In the agent's own namespace every account is the agent's, whenever it was made."""
    bind(rig, "bot", [account(rig, "bot")])
    provider = rig.provider(namespace=rig.namespace, own_namespace=True)
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    first = action.observe(step.target)
    action.apply(step.target, first, "1")
    bind(rig, "again", [account(rig, "second")], role="admin")
    bind(rig, f"wide-{rig.namespace}", [{**STRANGER, "name": f"system:serviceaccount:{rig.namespace}:third"}],
         role="cluster-admin", kind=CLUSTER_ROLE_BINDINGS)  # fmt: skip

    said = action.judge(step.target, action.observe(step.target))
    prior, last = close(action, step.target)

    assert Verdict.NOT_CONTAINED is said.verdict
    assert 2 == len(prior)
    assert Verdict.CONTAINED is action.judge(step.target, last).verdict


def test_a_binding_whose_subjects_moved_meanwhile_is_refused_and_read_again(rig: Rig) -> None:
    """A stale observation takes out nobody else; the engine does not try the same change again."""
    bot = account(rig, "bot")
    made = bind(rig, "bot", [bot])
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    stale = action.observe(step.target)
    rig.plane.call("PUT", ROLE_BINDINGS.path(rig.namespace, "bot"), {**made, "subjects": [STRANGER, bot]})

    with pytest.raises(ProviderError, match="changed by somebody else") as refused:
        action.apply(step.target, stale, "1")
    close(action, step.target)

    assert not isinstance(refused.value, Transient)
    assert [STRANGER] == rig.get(ROLE_BINDINGS, "bot")["subjects"]


@pytest.mark.parametrize("others", [[], [STRANGER]], ids=["alone", "with a stranger"])
def test_who_changes_a_binding_all_the_time_does_not_win_the_race_for_its_version(
    rig: Rig, others: list[dict[str, str]]
) -> None:
    """Only the agent's subjects are compared then; a deployer conflicts all the same until the restore."""
    bot, late = account(rig, "bot"), {**STRANGER, "name": "late"}
    path = ROLE_BINDINGS.path(rig.namespace, "bot")
    manifest = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "bot"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"},
        "subjects": [bot, *others],
    }

    def deploy() -> int:
        try:
            rig.plane.call("PATCH", path, manifest, content_type=APPLY, query={"fieldManager": "deployer"})
        except ApiError as error:
            return error.status
        return 200

    assert 200 == deploy()
    before = rig.get(ROLE_BINDINGS, "bot")
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    stale = action.observe(step.target)
    beat = [{"op": "add", "path": "/metadata/annotations", "value": {"beat": "1"}}]
    more = [{"op": "add", "path": "/subjects/-", "value": late}] if others else []
    rig.plane.call("PATCH", path, [*beat, *more], content_type=JSON_PATCH)

    action.apply(step.target, stale, "1")
    cut, during = rig.get(ROLE_BINDINGS, "bot").get("subjects", []), deploy()
    if others:
        rig.plane.call("PATCH", path, [{"op": "remove", "path": "/subjects/1"}], content_type=JSON_PATCH)
    undo(action, step.target, stale.objects)
    back = rig.get(ROLE_BINDINGS, "bot")

    assert ([*others, late] if others else []) == cut
    assert 409 == during
    assert before["subjects"] == back["subjects"]
    assert '"breakglass' not in json.dumps(back["metadata"]["managedFields"])
    assert 200 == deploy()


def test_what_somebody_changed_since_the_stop_is_left_alone(rig: Rig) -> None:
    """Other subjects, or another binding under the name: drifted."""
    bot = account(rig, "bot")
    bind(rig, "edited", [bot, STRANGER])
    bind(rig, "replaced", [bot])
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    prior, _ = close(action, step.target)
    cut = rig.get(ROLE_BINDINGS, "edited")
    newcomer = {**STRANGER, "name": "newcomer"}
    rig.plane.call(
        "PUT", ROLE_BINDINGS.path(rig.namespace, "edited"), {**cut, "subjects": [STRANGER, newcomer]}
    )
    rig.plane.call("DELETE", ROLE_BINDINGS.path(rig.namespace, "replaced"))
    bind(rig, "replaced", [], role="edit")

    outcomes = undo(action, step.target, prior).objects

    assert {Outcome.DRIFTED} == set(outcomes.values())
    assert [STRANGER, newcomer] == rig.get(ROLE_BINDINGS, "edited")["subjects"]


def test_a_right_that_comes_by_a_group_since_the_plan_is_not_contained(rig: Rig) -> None:
    """A back door for everybody, or a wider role behind a known one, is seen by the probe."""
    account(rig, "bot")
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    name = f"door-{rig.namespace}"
    rig.make(CLUSTER_ROLES, name, {"rules": rules})
    group = {"kind": "Group", "name": "system:serviceaccounts", "apiGroup": RBAC}
    bind(rig, name, [group], role=name, kind=CLUSTER_ROLE_BINDINGS)
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]
    calm = action.probe(step.target)
    role = rig.get(CLUSTER_ROLES, name)
    wider = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}]
    rig.plane.call("PUT", CLUSTER_ROLES.path("", name), {**role, "rules": wider})

    said = action.probe(step.target)
    rig.plane.call("DELETE", CLUSTER_ROLE_BINDINGS.path("", name))

    assert calm is not None
    assert Verdict.CONTAINED is calm.verdict
    assert said is not None
    assert Verdict.NOT_CONTAINED is said.verdict
    assert name in said.reason


def test_an_account_that_others_run_as_is_left_alone_and_said(rig: Rig) -> None:
    """Neither its rights nor its tokens go; the door says that they stay."""
    from dataclasses import replace

    from breakglass_kubernetes.actions import identities
    from breakglass_kubernetes.found import Found
    from breakglass_kubernetes.ownership import Held
    from breakglass_kubernetes.scope import Scope

    bind(rig, "shared", [account(rig, "shared")])
    pair = f"{rig.namespace}/shared"
    found = Found(Scope("test-bot", shared=(pair,)), Held((), frozenset()), sharers={pair: ("other-app",)})
    closed = identities.propose(rig.provider(service_accounts=[pair]).cluster, found)
    accepted = rig.provider(service_accounts=[pair], accept_blast_radius=[pair])
    opened = identities.propose(accepted.cluster, found)
    own = identities.propose(
        accepted.cluster, replace(found, user=f"system:serviceaccount:{rig.namespace}:shared")
    )

    assert () == closed.proposals
    assert [Verdict.NOT_CONTAINED] == [one.door.verdict for one in closed.doors]
    assert "other-app" in closed.doors[0].door.reason
    assert all("other-app" in one.affects[0] for one in opened.proposals)
    assert {ACTION, "kubernetes.accounts.invalidate_tokens"} <= {one.action for one in opened.proposals}
    assert () == own.proposals
    assert "cuts its own branch" in own.doors[0].door.reason


def test_a_role_of_the_namespace_is_evaluated_there_alone(rig: Rig) -> None:
    """What its own Role gave is asked of the access review."""
    bot = account(rig, "bot")
    rig.make(ROLES, "deleter", {"rules": [{"apiGroups": ["apps"], "resources": ["deployments"],
                                           "verbs": ["delete"]}]})  # fmt: skip
    ref = {"apiGroup": RBAC, "kind": "Role", "name": "deleter"}
    rig.make(ROLE_BINDINGS, "deleter", {"roleRef": ref, "subjects": [bot]})
    provider = rig.provider(service_accounts=[f"{rig.namespace}/bot"])
    step = proposal(provider, ACTION)
    action = provider.actions[ACTION]

    said = action.probe(step.target)
    close(action, step.target)
    proof = action.probe(step.target)

    assert said is not None
    assert "delete deployments.apps" in said.reason
    assert proof is not None
    assert Verdict.CONTAINED is proof.verdict
    assert Verdict.CONTAINED is action.judge(step.target, State({})).verdict
