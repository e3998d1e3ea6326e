"""Compares planning and unbinding of many accounts in a real cluster with bare calls of the official client.

Prints ratios: calls sent to calls needed, time to that of the official client one call after another and
eight at once, CPU a call. All of it fits into the burst, so that the rate limit is not what is measured;
absolute seconds mean nothing: the control plane shares the cores.

usage: python benchmarks/bench_kubernetes.py [ACCOUNTS ...]
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from breakglass.errors import Unsupported
from breakglass.model.resource import State
from breakglass.provider import Action, Proposal
from breakglass_kubernetes import kinds
from breakglass_kubernetes.cluster import WORKERS
from breakglass_kubernetes.sandbox.process import start
from providers.kubernetes.tests.rig_k8s import EXECUTOR, Rig, template

UNBIND = "kubernetes.rbac.unbind_accounts"
RBAC = "rbac.authorization.k8s.io"
READ_AS = (
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/daemonsets",
    "/apis/apps/v1/replicasets",
    "/apis/batch/v1/jobs",
    "/apis/batch/v1/cronjobs",
    "/api/v1/replicationcontrollers",
    "/api/v1/pods",
    "/api/v1/serviceaccounts",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
)
"""What anybody must list who wants to know what an agent is and may."""


def settle(rig: Rig, count: int) -> list[str]:
    """Make so many Deployments at zero, each with an account and a binding; return the names."""
    names = [f"bot-{n:04d}" for n in range(count)]
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]
    rig.make(kinds.ROLES, "reader", {"rules": rules})

    def make(name: str) -> None:
        rig.make(kinds.SERVICE_ACCOUNTS, name, {})
        rig.make(kinds.ROLE_BINDINGS, name, binding(rig, [name]))
        labels = {"app": "bot", "part": name}
        pod = template(serviceAccountName=name)
        pod["metadata"]["labels"] = labels
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod}
        rig.make(kinds.DEPLOYMENTS, name, {"metadata": {"labels": {"app": "bot"}}, "spec": spec})

    side_by_side(names, make)
    return names


def binding(rig: Rig, names: Sequence[str]) -> dict[str, Any]:
    """Return a binding of these accounts."""
    who = [{"kind": "ServiceAccount", "name": one, "namespace": rig.namespace} for one in names]
    return {"subjects": who, "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "reader"}}


def bound(rig: Rig, names: Sequence[str], prefix: str) -> list[str]:
    """Bind the accounts once more, each in a binding of its own; return the bindings' names."""
    made = {f"{prefix}-{name}": name for name in names}
    side_by_side(list(made), lambda one: rig.make(kinds.ROLE_BINDINGS, one, binding(rig, [made[one]])))
    return list(made)


def side_by_side(names: Sequence[str], act: Callable[[str], object]) -> None:
    """Do something for each, as many at once as the provider does."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(act, names))


def one_by_one(names: Sequence[str], act: Callable[[str], object]) -> None:
    """Do something for each."""
    for name in names:
        act(name)


def timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return seconds and CPU seconds."""
    began_s, cpu_s = time.monotonic(), time.process_time()
    act()
    return time.monotonic() - began_s, time.process_time() - cpu_s


def official(rig: Rig) -> Any:  # noqa: ANN401 - the client is imported where it is needed
    """Return the official client as the executor; it is closed with the process."""
    import yaml
    from kubernetes import client, config

    loader: Any = config
    loaded = yaml.safe_load(rig.secrets.held["executor"])
    return client.RbacAuthorizationV1Api(loader.new_client_from_config_dict(loaded, context=EXECUTOR))


def unbind(action: Action, proposal: Proposal, states: list[State]) -> None:
    """Read and take every account out of its binding, as a round of the step does."""
    states.append(action.observe(proposal.target))
    action.apply(proposal.target, states[-1], "bench")


def measure(rig: Rig, count: int) -> None:
    """Plan and unbind so many; print the ratios."""
    names = settle(rig, count)
    provider = rig.provider()
    since = len(rig.plane.audit())
    plan_s, _ = timed(provider.discover)
    planned = sum(one["user"]["username"] == EXECUTOR for one in rig.plane.audit(since))
    proposal = next(one for one in provider.discover().proposals if one.action == UNBIND)
    action = provider.actions[UNBIND]
    states: list[State] = []
    ours_s, ours_cpu_s = timed(lambda: unbind(action, proposal, states))
    if len(states[0].objects) != count or action.observe(proposal.target).objects:
        raise RuntimeError("not every account was unbound")

    api = official(rig)
    listed_s, _ = timed(lambda: [rig.plane.call("GET", path) for path in READ_AS])

    def patch(name: str) -> None:
        api.patch_namespaced_role_binding(name, rig.namespace, {"subjects": []})

    first = bound(rig, names, "one")
    one_s, one_cpu_s = timed(lambda: one_by_one(first, patch))
    more = bound(rig, names, "many")
    eight_s, _ = timed(lambda: side_by_side(more, patch))
    print(f"{count} accounts, each with a binding and a Deployment")
    print(f"  calls when planning / bare listings              {planned / len(READ_AS):8.2f}")
    print(f"  time to plan / that of bare listings             {plan_s / listed_s:8.2f}")
    print(f"  unbind / official client, one after another      {ours_s / one_s:8.2f}")
    print(f"  unbind / official client, {WORKERS} at once              {ours_s / eight_s:8.2f}")
    print(f"  CPU a call / that of the official client         {ours_cpu_s / one_cpu_s:8.2f}")


def main(counts: list[int]) -> None:
    """Measure each count in a cluster of its own."""
    for count in counts:
        try:
            sandbox = start()
        except Unsupported as error:
            print(f"not measured: {error.what} ({error.remedy})")
            return
        try:
            with tempfile.TemporaryDirectory() as folder:
                rig = Rig(sandbox, Path(folder))
                measure(rig, count)
                rig.close()
        finally:
            sandbox.close()


if __name__ == "__main__":
    main([int(item) for item in sys.argv[1:]] or [200])
