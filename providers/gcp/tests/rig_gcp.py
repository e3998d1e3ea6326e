"""What the GCP tests share: a project of their own in a sandbox, its owner, and a connected provider."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass.clock import SystemClock
from breakglass.errors import Denied
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Action, Connection, Proposal, Reversal
from breakglass_gcp import permissions
from breakglass_gcp.calls import Calls
from breakglass_gcp.connect import GcpProvider, warm
from breakglass_gcp.pace import Pace
from breakglass_gcp.sandbox.process import Sandbox
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire

EXECUTOR = "executor"
AGENT = "rogue"
LOCATION = "europe-west1"


@dataclass(slots=True)
class Secrets:
    """The executor's secrets of a test."""

    held: dict[str, bytes] = field(default_factory=dict)

    def secret(self, name: str) -> bytes:
        """Return one. Raises Denied: there is none."""
        if name not in self.held:
            raise Denied(f"no secret {name}")
        return self.held[name]

    def keep_token(self, name: str, token: str) -> None:
        """Keep a bare access token."""
        self.held[name] = json.dumps({"type": "access_token", "token": token}).encode()


@dataclass(slots=True)
class Rig:
    """A project of the sandbox, and what a test does in it."""

    sandbox: Sandbox
    folder: Path
    project: str
    number: str
    admin: Calls
    secrets: Secrets = field(default_factory=Secrets)
    opened: list[GcpProvider] = field(default_factory=list)

    @classmethod
    def new(cls, sandbox: Sandbox, folder: Path) -> Rig:
        """Make a project, and an executor with exactly the printed rights."""
        made = sandbox.control("project", {})
        token = str(sandbox.control("admin")["token"])
        settings = GcpSettings.of({"endpoints": endpoints(sandbox)})
        clock = SystemClock()
        admin = Calls(Wire(settings, lambda: token, drill=True), clock, Pace(clock, {}))
        rig = cls(sandbox, folder, made["project"], made["number"], admin)
        role = rig.role("breakglassExecutor", sorted(permissions.needed("")))
        rig.account(EXECUTOR, roles=[role])
        rig.secrets.keep_token(EXECUTOR, rig.token(rig.email(EXECUTOR), life_s=86_400))
        return rig

    def email(self, name: str) -> str:
        """Return the address of a service account of this project."""
        return f"{name}@{self.project}.iam.gserviceaccount.com"

    def control(self, verb: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the sandbox something about this project."""
        return self.sandbox.control(verb, {"project": self.project, **(body or {})})

    def token(self, principal: str, life_s: float = 3600) -> str:
        """Return an access token as a workload of an account would have it."""
        return str(self.control("token", {"principal": principal, "life_s": life_s})["token"])

    def calls_as(self, token: str) -> Calls:
        """Return calls with any token."""
        settings = GcpSettings.of({"endpoints": endpoints(self.sandbox)})
        clock = SystemClock()
        return Calls(Wire(settings, lambda: token, drill=True), clock, Pace(clock, {}))

    def role(self, name: str, allowed: Sequence[str]) -> str:
        """Make a custom role of the project; return its name."""
        role = {"title": name, "included_permissions": list(allowed)}
        asked = {"parent": f"projects/{self.project}", "role_id": name, "role": role}
        return str(self.admin.call("iam_admin", "create_role", asked).name)

    def account(self, name: str, *, roles: Sequence[str] = (), **more: Any) -> str:  # noqa: ANN401 - fields of the API
        """Make a service account with these roles of the project; return its e-mail address."""
        asked = {"name": f"projects/{self.project}", "account_id": name, "service_account": more}
        email = str(self.admin.call("iam_admin", "create_service_account", asked).email)
        self.grant(f"serviceAccount:{email}", *roles)
        return email

    def grant(self, member: str, *roles: str) -> None:
        """Give a principal roles of the project."""
        resource = f"projects/{self.project}"
        policy = self.admin.call("projects", "get_iam_policy", {"resource": resource})
        for role in roles:
            policy.bindings.add(role=role, members=[member])
        self.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})

    def reach(self, **settings: Json) -> dict[str, Json]:
        """Return how an inventory names an agent here."""
        return {
            "project": self.project,
            "project_number": self.number,
            "endpoints": endpoints(self.sandbox),
            "credential": EXECUTOR,
            "settle_factor": "0.001",
            "locations": [LOCATION],
            **settings,
        }

    def provider(self, **settings: Json) -> GcpProvider:
        """Connect as the executor, to an agent with these keys of a reach."""
        incident = IncidentFolder(self.folder / f"incident-{len(self.opened)}")
        incident.path.mkdir(parents=True)
        connection = Connection(
            reach=Reach("gcp", self.reach(**settings), "test"),
            agent=AgentRef(AGENT, "the test", None),
            incident="inc-test",
            drill=True,
            clock=SystemClock(),
            evidence=FolderEvidence(incident),
            sealed=FolderSealed(incident),
            credentials=self.secrets,
        )
        provider = warm(connection)()
        self.opened.append(provider)
        return provider

    def close(self) -> None:
        """Let go of connections."""
        for provider in self.opened:
            provider.close()
        self.admin.close()


def endpoints(sandbox: Sandbox) -> dict[str, Json]:
    """Return a sandbox's endpoints as a reach names them."""
    return {"grpc": sandbox.grpc, "rest": sandbox.rest}


def proposal(provider: GcpProvider, action: str) -> Proposal:
    """Return the one proposal of an action."""
    found = [one for one in provider.discover().proposals if one.action == action]
    assert len(found) == 1, f"{action}: {[one.key for one in found]}"
    return found[0]


def close(action: Action, target: Resource, *, rounds: int = 5) -> tuple[dict[str, Json], State]:
    """Observe and apply until contained, as the engine does; return the prior states and the last."""
    prior: dict[str, Json] = {}
    for n in range(rounds):
        state = action.observe(target)
        for key, value in state.objects.items():
            prior.setdefault(key, value)
        if action.judge(target, state).verdict.value == "contained":
            return prior, state
        action.apply(target, state, f"token-{n}")
    raise AssertionError(
        f"not contained after {rounds} rounds: {action.judge(target, action.observe(target))}"
    )


def undo(action: Action, target: Resource, prior: Mapping[str, Json]) -> Reversal:
    """Revert to the union of prior states."""
    return action.revert(target, State(prior), action.observe(target))
