"""An agent in a project of the sandbox, an executor with its printed rights, and who stops it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from breakglass.canon import Json
from breakglass.report.build import Report
from breakglass_gcp import permissions
from breakglass_gcp.actions.deny_baseline import BASELINE
from breakglass_gcp.calls import Calls
from breakglass_gcp.drill_identities import may_deny, organisation
from breakglass_gcp.drill_layout import owner
from breakglass_gcp.sandbox.process import Sandbox
from tests.hosts.fleet import Fleet, quick_fleet

EXECUTOR = "executor"
LOCATION = "europe-west1"
FAST = "0.01"
"""A settle time of 120 s takes 1.2 s."""
ACCOUNT = "principal://iam.googleapis.com/projects/-/serviceAccounts/"
DENIED = tuple(
    sorted(
        {
            *BASELINE,
            "aiplatform.googleapis.com/reasoningEngines.query",
            "cloudresourcemanager.googleapis.com/projects.get",
        }
    )
)
WORK = ("pubsub.topics.publish", "resourcemanager.projects.get")


@dataclass(slots=True)
class Cloud:
    """A project of a sandbox, and what a test makes in it."""

    sandbox: Sandbox
    project: str
    number: str
    admin: Calls
    held: dict[str, bytes] = field(default_factory=dict)
    """The executor's secrets by name."""

    @classmethod
    def new(cls, sandbox: Sandbox, project: str = "") -> Cloud:
        """Make a project, an executor with exactly the printed rights, and its key."""
        made = sandbox.control("project", {"id": project} if project else {})
        cloud = cls(sandbox, made["project"], made["number"], owner(sandbox))
        role = cloud.role("breakglassExecutor", sorted(permissions.needed("")))
        cloud.held[EXECUTOR] = cloud.key(cloud.account("breakglass-executor", role))
        return cloud

    def control(self, verb: str, **asked: Any) -> Any:  # noqa: ANN401 - JSON
        """Ask the sandbox something about this project."""
        return self.sandbox.control(verb, {"project": self.project, **asked})

    def role(self, name: str, allowed: Sequence[str]) -> str:
        """Make a custom role; return its name."""
        role = {"title": name, "included_permissions": list(allowed)}
        asked = {"parent": f"projects/{self.project}", "role_id": name, "role": role}
        return str(self.admin.call("iam_admin", "create_role", asked).name)

    def account(self, name: str, *roles: str) -> str:
        """Make a service account with these roles of the project; return its address."""
        asked = {"name": f"projects/{self.project}", "account_id": name, "service_account": {}}
        email = str(self.admin.call("iam_admin", "create_service_account", asked).email)
        for role in roles:
            self.grant(f"serviceAccount:{email}", role)
        return email

    def grant(self, member: str, role: str) -> None:
        """Give a principal a role of the project."""
        resource = f"projects/{self.project}"
        policy = self.admin.call("projects", "get_iam_policy", {"resource": resource})
        policy.bindings.add(role=role, members=[member])
        self.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})

    def key(self, email: str) -> bytes:
        """Make a key of an account; return its JSON."""
        asked = {"name": f"projects/-/serviceAccounts/{email}"}
        return bytes(self.admin.call("iam_admin", "create_service_account_key", asked).private_key_data)

    def token(self, principal: str, life_s: float = 3600) -> str:
        """Return an access token as a workload of that principal would have it."""
        return str(self.control("token", principal=principal, life_s=life_s)["token"])

    def faults(self, *orders: Mapping[str, Any]) -> None:
        """Let the sandbox misbehave so from now on."""
        self.sandbox.control("faults", {"faults": list(orders)})

    def state(self) -> dict[str, Any]:
        """Return all that a restore must bring back."""
        found = self.control("state")
        return found if isinstance(found, dict) else {}

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the record of every call in this project."""
        return list(self.control("calls", since=since))

    def reach(self, **settings: Json) -> dict[str, object]:
        """Return how an inventory names the agent here."""
        return {
            "provider": "gcp",
            "project": self.project,
            "project_number": self.number,
            "endpoints": {"grpc": self.sandbox.grpc, "rest": self.sandbox.rest},
            "credential": EXECUTOR,
            "settle_factor": FAST,
            "token_life_s": "2",
            "locations": [LOCATION],
            **settings,
        }

    def close(self) -> None:
        """Let the sandbox behave again, and let go of connections."""
        self.faults()
        self.admin.close()


@contextmanager
def project_fleet(
    cloud: Cloud, *reaches: Mapping[str, object], step_s: int = 30, **held: bytes
) -> Iterator[Fleet]:
    """Write and sign the kit of an agent with these reaches."""
    with quick_fleet(reaches, {**cloud.held, **held}, step_s=step_s) as ours:
        yield ours


def said(report: Report) -> str:
    """Return what a report says, for the words of a failed assertion."""
    steps = (f"{one.action} {one.target.id} {one.verdict} {one.grade}: {one.reason}" for one in report.steps)
    return "\n".join([*steps, *(f"OPEN {one}" for one in report.open)])


def arm(cloud: Cloud, where: str = "") -> str:
    """Make a deny policy that denies nobody yet and spares the executor; return its name.

    It hangs on the organisation, which is that of every test's project, unless told where.
    """
    email = f"breakglass-executor@{cloud.project}.iam.gserviceaccount.com"
    if not where:
        where = organisation(cloud.admin, cloud.project)
        may_deny(cloud.admin, email, where)
    attached = f"policies/cloudresourcemanager.googleapis.com%2F{where.replace('/', '%2F')}/denypolicies"
    rule = {"deny_rule": {"denied_permissions": list(DENIED), "exception_principals": [f"{ACCOUNT}{email}"]}}
    policy = {"display_name": "agents", "rules": [rule]}
    asked = {"parent": attached, "policy": policy, "policy_id": f"agents-{cloud.project}"}
    assert cloud.admin.operate("iam_deny", "create_policy", asked)
    return f"{attached}/agents-{cloud.project}"
