"""Preflight asks the server itself what the executor may, and refuses to saw off its own branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.action import Capability, Grade, Reversibility
from breakglass.model.plan import Step
from breakglass.provider import Finding
from breakglass_kubernetes import parts, permissions
from breakglass_kubernetes.connect import KubernetesProvider
from breakglass_kubernetes.kinds import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS
from breakglass_kubernetes.permissions import Right
from breakglass_kubernetes.preflight import preflight
from breakglass_kubernetes.whoami import Me, whoami
from providers.kubernetes.tests.least_k8s import RBAC, bind, least
from providers.kubernetes.tests.rig_k8s import SELECTOR, Rig

ACTION = "kubernetes.batch.suspend_cron_jobs"
NEEDS = next(spec for spec in parts.SPECS if spec.name == ACTION)


def steps(provider: KubernetesProvider) -> list[Step]:
    """Return what discovery proposes, numbered."""
    proposed = provider.discover().proposals
    return [
        Step(
            n=n,
            reach=0,
            capability=Capability.STOP_WORKLOADS,
            action=one.action,
            target=one.target,
            after=(),
            settle_ms=0,
            deadline_ms=0,
            best_grade=Grade.NONE,
            window_s=None,
            moot_by=(),
            reversibility=Reversibility.FULL,
            undo="",
            blast_radius="",
            destroys_evidence="",
            affects=(),
            withholds_only=False,
            observed="",
        )
        for n, one in enumerate(proposed)
    ]


def refused(findings: Sequence[Finding]) -> list[str]:
    """Return what is said of the steps that may not run; each alone."""
    bad = [one for one in findings if not one.ok]
    assert all(one.alone for one in bad)
    return [one.message for one in bad]


def of_cron(provider: KubernetesProvider) -> Step:
    """Return a step that suspends CronJobs, whatever there is."""
    (first, *_) = steps(provider)
    return replace(first, action=ACTION)


def test_the_printed_role_passes_for_every_step(rig: Rig) -> None:
    """And each step has its finding."""
    rig.deployment()
    rig.pod()
    provider = least(rig, user=f"least-{rig.namespace}")
    planned = steps(provider)
    findings = provider.preflight(planned)
    assert [one.step for one in findings] == [one.n for one in planned]
    assert refused(findings) == []
    assert all("may do this" in one.message and "not put it back" not in one.message for one in findings)


def test_whether_anything_enforces_a_policy_is_said_before_anyone_signs(rig: Rig) -> None:
    """Here is no network plug-in at all."""
    rig.deployment()
    provider = rig.provider()
    planned = steps(provider)
    said = {one.step: one.message for one in provider.preflight(planned)}

    egress = [one.n for one in planned if one.action == "kubernetes.network.deny_egress"]
    assert [True] == ["no known network plug-in is seen" in said[n] for n in egress]


def test_a_missing_right_names_verb_and_resource(rig: Rig) -> None:
    """So that an administrator knows what to grant."""
    rig.deployment()
    planned = of_cron(rig.provider())
    user = f"reader-{rig.namespace}"
    rig.make(CLUSTER_ROLES, user, {"rules": _rules("get namespaces")}, namespace="-")
    _bind_whole(rig, user)
    (said,) = refused(rig.provider(user=user, groups=()).preflight([planned]))
    assert "may not" in said
    assert "patch cronjobs.batch" in said


def test_a_role_to_stop_alone_passes_and_says_that_it_puts_nothing_back(rig: Rig) -> None:
    """Found out before, not at the restore."""
    rig.deployment()
    planned = steps(rig.provider())
    user = f"stopper-{rig.namespace}"
    bind(rig, user, {"namespace": rig.namespace, "selector": SELECTOR}, permissions.STOP)
    findings = rig.provider(user=user, groups=()).preflight(planned)
    assert refused(findings) == []
    assert any("may not put it back" in one.message for one in findings)


def test_rights_in_the_agents_namespaces_are_enough_for_what_lies_in_them(rig: Rig) -> None:
    """Denied in the whole cluster, they are asked for in each namespace."""
    rig.deployment()
    planned = of_cron(rig.provider())
    user = f"local-{rig.namespace}"
    rig.make(CLUSTER_ROLES, user, {"rules": _rules("get namespaces")}, namespace="-")
    _bind_whole(rig, user)
    rig.make(CLUSTER_ROLES, f"{user}-in", {"rules": _rules(*NEEDS.permissions)}, namespace="-")
    body = {
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": f"{user}-in"},
    }
    rig.make(ROLE_BINDINGS, user, body)
    assert refused(rig.provider(user=user, groups=()).preflight([planned])) == []


def test_its_own_user_group_account_or_namespace_in_the_inventory_is_refused(rig: Rig) -> None:
    """The stop would end in the middle."""
    rig.deployment()
    provider = rig.provider()
    step = of_cron(provider)
    account = Me(f"system:serviceaccount:{rig.namespace}:executor", ("system:authenticated",))
    cases: list[tuple[dict[str, Json], Me, str]] = [
        ({"users": ["executor"]}, Me("executor", ()), "user executor"),
        ({"groups": ["breakers"]}, Me("jane", ("breakers",)), "group breakers"),
        ({"accounts": [f"{rig.namespace}/executor"]}, account, "service account"),
        ({"own": [rig.namespace]}, account, "in the agent's inventory"),
        ({"own": [rig.namespace], "executors": [account.account]}, account, "in a namespace of the agent's"),
    ]
    for changes, me, words in cases:
        target = replace(step.target, params={**step.target.params, **changes})
        (said,) = refused(preflight(provider.cluster, me, [replace(step, target=target)]))
        assert words in said


def test_a_thousand_namespaces_are_a_handful_of_reviews(rig: Rig) -> None:
    """Asked for the whole cluster first: a review each would take minutes at the rate limit."""
    rig.deployment()
    provider = rig.provider()
    one = of_cron(rig.provider())
    params: dict[str, Json] = {**one.target.params, "namespaces": [f"ns-{n}" for n in range(1000)]}
    many = replace(one, target=replace(one.target, params=params))
    before = len(rig.plane.audit())
    assert refused(preflight(provider.cluster, whoami(provider.cluster), [many])) == []
    seen = [one.get("objectRef", {}) for one in rig.plane.audit(before)]  # a health check has none
    asked = [one for one in seen if one.get("resource") == "selfsubjectaccessreviews"]
    assert 0 < len(asked) < 20


def test_a_server_that_does_not_answer_stops_no_step(rig: Rig) -> None:
    """Each step meets its own refusal then, and is open: the agent is not left alone for it."""
    rig.deployment()
    provider = rig.provider()
    planned = of_cron(provider)
    rig.plane.pause()
    try:
        (finding,) = provider.preflight([planned])
    finally:
        rig.plane.resume()
    assert finding.ok
    assert "not known" in finding.message


def _rules(*needs: str) -> list[dict[str, Json]]:
    rights = [Right.parse(one) for one in needs]
    return [{"apiGroups": [one.group], "resources": [one.resource], "verbs": [one.verb]} for one in rights]


def _bind_whole(rig: Rig, user: str) -> None:
    body = {
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": user},
    }
    rig.make(CLUSTER_ROLE_BINDINGS, user, body, namespace="-")
