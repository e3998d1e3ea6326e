"""What the tests of Cloud Run and of workflows share: the agent's own things in a project."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json
from breakglass.model.resource import Resource
from breakglass.provider import Action
from breakglass_gcp.calls import Calls
from breakglass_gcp.connect import GcpProvider
from providers.gcp.tests.rig_gcp import LOCATION, Rig, proposal

BOT = f"{LOCATION}/bot"
ROLES = ("roles/run.admin", "roles/iam.serviceAccountUser", "roles/workflows.admin", "roles/storage.admin")


@dataclass(slots=True)
class Run:
    """One project with an account that the agent acts as."""

    rig: Rig
    account: str

    @classmethod
    def new(cls, rig: Rig) -> Run:
        """Make the agent's account, which may do whatever an attacker wishes for here."""
        return cls(rig, rig.account("bot", roles=ROLES))

    @property
    def parent(self) -> str:
        """Return where everything lies."""
        return f"projects/{self.rig.project}/locations/{LOCATION}"

    def name(self, folder: str) -> str:
        """Return the full name of the agent's thing of a kind."""
        return f"{self.parent}/{folder}/bot"

    def service(self, **fields: Any) -> Any:  # noqa: ANN401 - fields of the API
        """Make or update the agent's service; return it."""
        template = {"service_account": self.account, "timeout": "2s", **fields.pop("template", {})}
        body = {"template": template, "scaling": {"min_instance_count": 1}, **fields}
        asked = {"parent": self.parent, "service_id": "bot", "service": _typed("Service", body)}
        assert self.rig.admin.operate("run_services", "create_service", asked)
        return self.live_service()

    def live_service(self) -> Any:  # noqa: ANN401 - Service
        """Return the service as it stands."""
        return self.rig.admin.call("run_services", "get_service", {"name": self.name("services")})

    def update_service(self, mask: str, **fields: Any) -> None:  # noqa: ANN401 - fields of the API
        """Change the service as its owner, without an etag."""
        body = _typed("Service", {"name": self.name("services"), **fields})
        asked = {"service": body, "update_mask": {"paths": mask.split(",")}}
        assert self.rig.admin.operate("run_services", "update_service", asked)

    def job(self) -> None:
        """Make the agent's job."""
        job = {"template": {"template": {"service_account": self.account}}}
        asked = {"parent": self.parent, "job_id": "bot", "job": job}
        assert self.rig.admin.operate("run_jobs", "create_job", asked)

    def pool(self, **fields: Any) -> None:  # noqa: ANN401 - as above
        """Make the agent's worker pool."""
        pool = {"template": {"service_account": self.account}, **fields}
        asked = {"parent": self.parent, "worker_pool_id": "bot", "worker_pool": pool}
        assert self.rig.admin.operate("run_pools", "create_worker_pool", asked)

    def instance(self, name: str = "bot", by: Calls | None = None, **fields: Any) -> None:  # noqa: ANN401 - as above
        """Make an instance that runs as the agent, by its owner where nobody else is named."""
        body = {"service_account": self.account, "containers": [{"image": "x"}], **fields}
        asked = {"parent": self.parent, "instance_id": name, "instance": _typed("Instance", body)}
        assert (by or self.rig.admin).operate("run_instances", "create_instance", asked)

    def workflow(self, name: str = "bot") -> None:
        """Make a workflow that acts as the agent."""
        asked = {"parent": self.parent, "workflow_id": name, "workflow": {"service_account": self.account}}
        assert self.rig.admin.operate("workflows", "create_workflow", asked)

    def tick(self, times: int = 3) -> None:
        """Let the platform work a little."""
        told = self.rig.control("platform", {"ticks": times})
        assert not told.get("failed"), told

    def later(self, idle_s: float = 0.0) -> None:
        """Let what was told to end have ended; first let it idle so long."""
        self.tick(1)
        time.sleep(idle_s)
        self.tick(1)
        time.sleep(0.25)
        self.tick(1)

    def marks(self, channel: str) -> int:
        """Return how many effects the agent has had by a channel so far."""
        return sum(one["channel"] == channel for one in self.rig.control("effects"))

    def works(self, channel: str) -> bool:
        """Tell whether the agent has an effect by a channel now."""
        before = self.marks(channel)
        self.tick()
        return self.marks(channel) > before

    def request(self, **more: Json) -> Mapping[str, Any]:
        """Send a request to the service; return what came of it."""
        told: Mapping[str, Any] = self.rig.control("run.request", {"service": BOT, **more})
        return told

    def state(self, model: str) -> Any:  # noqa: ANN401 - JSON
        """Return what a restore must bring back."""
        return self.rig.control("state")[model]


def step(provider: GcpProvider, name: str) -> tuple[Action, Resource]:
    """Return the one step of an action."""
    return provider.actions[name], proposal(provider, name).target


def value(state: Mapping[str, Json], key: str) -> Any:  # noqa: ANN401 - JSON
    """Return what was recorded under a key."""
    found = state[key]
    assert isinstance(found, dict)
    return found["value"]


def _typed(kind: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a message
    from google.cloud import run_v2

    from breakglass_gcp.messages import of_json

    return of_json(getattr(run_v2, kind), dict(body))
