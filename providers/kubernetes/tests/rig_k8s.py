"""What a test does with a control plane: objects of an agent, and a provider that is connected to it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Instant, SystemClock
from breakglass.errors import Denied, Unsupported
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.action import Judgement
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Action, Connection, Proposal, Reversal
from breakglass_kubernetes.connect import KubernetesProvider, warm
from breakglass_kubernetes.kinds import DEPLOYMENTS, PODS, Kind
from breakglass_kubernetes.sandbox.process import Sandbox, start
from tests.backends import need

AGENT = "test-bot"
EXECUTOR = "executor"
MASTERS = ("system:masters",)
SELECTOR = "app=bot"


@contextmanager
def control_plane() -> Iterator[Sandbox]:
    """Start a control plane for one test file, or say that none can be had."""
    try:
        sandbox = start()
    except Unsupported as error:
        need("kubernetes", available=False, why=f"{error.what} ({error.remedy})")
        raise
    try:
        yield sandbox
    finally:
        sandbox.close()


@dataclass(slots=True)
class Secrets:
    """The executor's own secrets, by name."""

    held: dict[str, bytes] = field(default_factory=dict)

    def secret(self, name: str) -> bytes:
        """Return one. Raises Denied: there is none."""
        if name not in self.held:
            raise Denied("is not held", where=f"credential {name}")
        return self.held[name]


@dataclass(slots=True)
class Rig:
    """A control plane and what a test does with it."""

    plane: Sandbox
    folder: Path
    namespace: str = ""
    secrets: Secrets = field(default_factory=Secrets)
    opened: list[KubernetesProvider] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make a namespace of this test's own."""
        self.namespace = self.namespace or f"bot-{secrets.token_hex(3)}"
        self.new_namespace(self.namespace)

    def new_namespace(self, name: str) -> str:
        """Make a namespace."""
        self.plane.make_namespace(name)
        return name

    def make(self, kind: Kind, name: str, body: Mapping[str, Any], *, namespace: str = "") -> dict[str, Any]:
        """Create an object as the administrator; `body` holds all but apiVersion, kind and the name."""
        where = namespace or self.namespace
        about = {**body.get("metadata", {}), "name": name}
        whole = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": about}
        made: dict[str, Any] = self.plane.call("POST", kind.path(where), whole)
        return made

    def get(self, kind: Kind, name: str, *, namespace: str = "") -> dict[str, Any]:
        """Read an object as the administrator."""
        found: dict[str, Any] = self.plane.call("GET", kind.path(namespace or self.namespace, name))
        return found

    def deployment(self, name: str = "bot", *, replicas: int = 2, **pod: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Make a Deployment of the agent's."""
        spec = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "bot"}},
            "template": template(**pod),
        }
        return self.make(DEPLOYMENTS, name, {"metadata": {"labels": {"app": "bot"}}, "spec": spec})

    def pod(self, name: str = "bare", **pod: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Make a pod without a controller."""
        made = template(**pod)
        return self.make(PODS, name, {"metadata": made["metadata"], "spec": made["spec"]})

    def token(self, account: str = "default", *, namespace: str = "", seconds: int = 3600) -> str:
        """Mint a token of a service account, as the TokenRequest API does."""
        path = f"/api/v1/namespaces/{namespace or self.namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"}
        made = self.plane.call("POST", path, {**body, "spec": {"expirationSeconds": seconds}})
        return str(made["status"]["token"])

    def provider(
        self, *, user: str = EXECUTOR, groups: Sequence[str] = MASTERS, **settings: Json
    ) -> KubernetesProvider:
        """Connect as an executor to an agent with these keys of a reach."""
        self.secrets.held["executor"] = self.plane.kubeconfig(user, groups)
        whole: dict[str, Json] = {
            "server": self.plane.server,
            "cluster_uid": self.plane.cluster_uid,
            "credential": "executor",
            "as": user,
            "sandbox": True,
            **(settings or {"namespace": self.namespace, "selector": SELECTOR}),
        }
        incident = IncidentFolder(self.folder / f"incident-{len(self.opened)}")
        incident.path.mkdir(parents=True)
        connection = Connection(
            reach=Reach("kubernetes", whole, "test"),
            agent=AgentRef(AGENT, "the test", None),
            incident="inc-test",
            drill=True,
            clock=SystemClock(),
            evidence=FolderEvidence(incident),
            sealed=FolderSealed(incident),
            credentials=self.secrets,
        )
        made = warm(connection)()
        self.opened.append(made)
        return made

    def close(self) -> None:
        """Let go of what a test opened."""
        for one in self.opened:
            one.close()


def template(
    *,
    labels: Mapping[str, str] | None = None,
    account: str = "",
    **spec: Any,  # noqa: ANN401 - JSON
) -> dict[str, Any]:
    """Return a pod template."""
    container = {"name": "main", "image": "example.invalid/bot:1"}
    whole: dict[str, Any] = {"containers": [container], **spec}
    if account:
        whole["serviceAccountName"] = account
    return {"metadata": {"labels": dict(labels or {"app": "bot"})}, "spec": whole}


def proposal(provider: KubernetesProvider, action: str) -> Proposal:
    """Return the one proposal of an action."""
    found = [one for one in provider.discover().proposals if one.action == action]
    assert len(found) == 1, f"{action}: {[one.key for one in found]}"
    return found[0]


def close(action: Action, target: Resource, *, rounds: int = 8) -> tuple[dict[str, Json], State]:
    """Observe and apply until contained, as the engine does; return the prior states and the last."""
    prior: dict[str, Json] = {}
    said: Judgement | None = None
    for n in range(rounds):
        state = action.observe(target)
        for key, value in state.objects.items():
            prior.setdefault(key, value)
        said = action.judge(target, state)
        if said.verdict.value == "contained":
            return prior, state
        action.apply(target, state, f"token-{n}")
        SystemClock().sleep(0.1 * n)
    raise AssertionError(f"not contained after {rounds} rounds: {said}")


def peace_ends() -> Instant:
    """Return when the harm begins: after all that is there now, which the server dates in whole seconds."""
    clock = SystemClock()
    clock.sleep(1.01 - clock.now().epoch_ms % 1000 / 1000)
    return clock.now()


def undo(action: Action, target: Resource, prior: Mapping[str, Json]) -> Reversal:
    """Revert to the union of prior states."""
    return action.revert(target, State(prior), action.observe(target))
