"""Tries, as a dry run, to bring something of the agent to life, and reads which rule refused it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from breakglass.errors import Gone, ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.guard_policy import PROBE_LABEL
from breakglass_kubernetes.guard_rules import Guard
from breakglass_kubernetes.kinds import DEPLOYMENTS, PODS, Kind
from breakglass_kubernetes.objects import Body
from breakglass_kubernetes.refusals import failure_of
from breakglass_kubernetes.scope import AGENT_LABEL
from breakglass_kubernetes.selector import Selector

Sample = tuple[Kind, str, dict[str, Any]]
_NAME = "breakglass-probe"
_ANYWHERE = "default"
"""A namespace that every cluster has: the agent's label tells what is its, wherever it is."""


def try_it(cluster: Cluster, guard: Guard, policy: str) -> Judgement:
    """Return what the API server says to one sample of each rule. Raises ProviderError: no answer came."""
    refused, others = 0, ""
    for kind, namespace, body in samples(guard):
        what = f"a new one of {kind.name} of the agent in {namespace}"
        try:
            cluster.create(kind, namespace, body, dry_run=True)
        except Gone:
            continue  # a namespace that is not there holds nothing
        except ProviderError as error:
            if by(error, policy):
                refused += 1
            elif _by_another(error):
                others = failure_of(error).message[:120]
            else:
                raise
        else:
            return Judgement(Verdict.NOT_CONTAINED, f"{what} is not refused yet", Grade.PLATFORM_EVALUATOR)
    if not refused:
        return Judgement(Verdict.UNKNOWN, f"something else refused every dry run: {others}")
    return Judgement(
        Verdict.CONTAINED,
        f"{refused} dry runs of the agent's relaunch were refused by {policy}, by this API server",
        Grade.PLATFORM_EVALUATOR,
    )


def still_refused(cluster: Cluster, guard: Guard, policy: str) -> bool:
    """Return whether the API server refuses by the policy. Raises ProviderError: no answer came."""
    kind, namespace, body = list(samples(guard))[-1]
    try:
        cluster.create(kind, namespace, body, dry_run=True)
    except ProviderError as error:
        if failure_of(error).status:
            return by(error, policy)
        raise
    return False


def by(error: ProviderError, policy: str) -> bool:
    """Return whether exactly this policy refused it."""
    return f"ValidatingAdmissionPolicy '{policy}'" in failure_of(error).message


def _by_another(error: ProviderError) -> bool:
    """Return whether it was refused for something else: its namespace is going, an account, a webhook."""
    return failure_of(error).status in {403, 422}


def samples(guard: Guard) -> Iterator[Sample]:
    """Yield one workload for each rule that can be tried, and a pod; the last one can be tried anywhere."""
    scope = guard.scope
    if scope.own:
        yield DEPLOYMENTS, scope.own[0], _deployment({})
        yield PODS, scope.own[0], pod({})
    labels = labels_that_match(scope.selector)
    if scope.namespaces and labels:
        yield DEPLOYMENTS, scope.namespaces[0], _deployment(labels)
        yield PODS, scope.namespaces[0], pod(labels)
    if scope.accounts:
        namespace, _, name = scope.accounts[0].partition("/")
        yield DEPLOYMENTS, namespace, _deployment({}, account=name)
    yield DEPLOYMENTS, _ANYWHERE, _deployment({AGENT_LABEL: scope.agent})


def labels_that_match(selector: str) -> dict[str, str]:
    """Return labels that a selector selects; empty where none are found easily."""
    parsed = Selector.parse(selector)
    made = {one.key: min(one.values) if one.values else "x" for one in parsed.requirements if one.wanted}
    return made if parsed.matches(made) else {}


def _deployment(labels: Mapping[str, str], *, account: str = "") -> dict[str, Any]:
    pods = {"app.kubernetes.io/name": _NAME, **labels}
    spec = _pod_spec() | ({"serviceAccountName": account} if account else {})
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": {"generateName": f"{_NAME}-", "labels": {PROBE_LABEL: "true"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app.kubernetes.io/name": pods["app.kubernetes.io/name"]}},
            "template": {"metadata": {"labels": pods}, "spec": spec},
        },
    }


def pod(labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a pod that carries the mark of a probe."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{_NAME}-", "labels": {**labels, PROBE_LABEL: "true"}},
        "spec": _pod_spec(),
    }


def _pod_spec() -> dict[str, Any]:
    """Return a pod that also a namespace of the level `restricted` takes (Pod Security Standards)."""
    safe: Body = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "automountServiceAccountToken": False,
        "containers": [{"name": "probe", "image": "example.invalid/probe:1", "securityContext": safe}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
