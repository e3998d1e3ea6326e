"""An agent that lets itself and others in once the harm began, and a provider that knows when that was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from breakglass.canon import Json
from breakglass.provider import Discovery, Proposal
from breakglass_gcp.calls import Calls
from breakglass_gcp.connect import GcpProvider
from breakglass_gcp.project import Project
from providers.gcp.tests.restoring_gcp import restoring
from providers.gcp.tests.rig_gcp import Rig, close, undo

MINT = "gcp.iam.remove_impersonation"
CREATOR = "roles/iam.serviceAccountTokenCreator"
MALLORY, ANN, BOB = "user:mallory@evil.example", "user:ann@example.com", "user:bob@example.com"


@dataclass(slots=True)
class Harm:
    """An agent with an account that may do everything, and the moment from which on it did harm."""

    rig: Rig
    bot: str
    agent: Calls
    provider: GcpProvider | None = None

    @classmethod
    def of(cls, rig: Rig) -> Harm:
        """Make the agent, before the harm."""
        bot = rig.account("bot", roles=["roles/owner"])
        return cls(rig, bot, rig.calls_as(rig.token(bot)))

    def begins(self, **settings: Json) -> None:
        """Let the harm begin: what comes now was not there in peacetime."""
        time.sleep(1.1)  # keys tell their time in whole seconds
        project = self.rig.provider(service_accounts=[self.bot], **settings).project
        since = project.connection.clock.now()
        at = Project(project.settings, replace(project.connection, since=since))
        self.provider = GcpProvider(at)
        self.rig.opened.append(self.provider)

    def plan(self, action: str) -> tuple[Proposal, Discovery]:
        """Return the one step of an action, and all that was found."""
        assert self.provider is not None
        found = self.provider.discover()
        (step,) = (one for one in found.proposals if one.action == action)
        return step, found

    def stopped_and_restored(self, step: Proposal) -> dict[str, str]:
        """Stop by a step and undo it; return what became of each object."""
        assert self.provider is not None
        action = self.provider.actions[step.action]
        prior, _ = close(action, step.target)
        done = undo(action, restoring(step.target, ago_s=5000), prior)
        return {key: one.value for key, one in done.objects.items()}

    def grant(self, service: str, name: str, change: Callable[[Any], None], by: Calls | None = None) -> None:
        """Change a policy, as the agent where nobody else is named."""
        calls = by or self.agent
        asked = {"resource": name, "options": {"requested_policy_version": 3}}
        policy = calls.call(service, "get_iam_policy", asked)
        change(policy)
        policy.version = 3
        calls.call(service, "set_iam_policy", {"resource": name, "policy": policy})

    def mints(self, *members: str, by: Calls | None = None) -> None:
        """Let these mint as the agent's account."""
        name = f"projects/-/serviceAccounts/{self.bot}"
        self.grant("iam_admin", name, lambda it: it.bindings.add(role=CREATOR, members=members), by)


def upload(harm: Harm) -> str:
    """Upload the public half of a pair that the agent made at home; return the key's id."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pair = rsa.generate_private_key(65537, 2048)
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")]), datetime.now(UTC)
    cert = x509.CertificateBuilder(name, name, pair.public_key(), 5, now - timedelta(900), now + timedelta(9))
    pem = cert.sign(pair, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    asked = {"name": f"projects/-/serviceAccounts/{harm.bot}", "public_key_data": pem}
    return str(harm.agent.call("iam_admin", "upload_service_account_key", asked).name).rpartition("/")[2]


def enable(harm: Harm, key: str, by: Calls | None = None) -> None:
    """Enable a key again."""
    name = f"projects/{harm.rig.project}/serviceAccounts/{harm.bot}/keys/{key}"
    (by or harm.agent).call("iam_admin", "enable_service_account_key", {"name": name})
