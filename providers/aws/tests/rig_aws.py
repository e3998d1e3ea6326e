"""What the AWS tests share: a running sandbox, the executor's keys in it, and a connected provider."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from breakglass.canon import Json
from breakglass.clock import Clock, SystemClock
from breakglass.errors import Denied
from breakglass.incident.evidence import FolderEvidence
from breakglass.incident.folder import IncidentFolder
from breakglass.incident.sealed import FolderSealed
from breakglass.model.resource import AgentRef, Reach, Resource, State
from breakglass.provider import Action, Connection, Proposal, Reversal
from breakglass_aws.connect import AwsProvider, warm
from breakglass_aws.sandbox.process import ACCOUNT, REGION, Sandbox

EXECUTOR = "executor"
AGENT = "rogue"


@dataclass(slots=True)
class Secrets:
    """The executor's secrets of a test."""

    held: dict[str, bytes] = field(default_factory=dict)

    def secret(self, name: str) -> bytes:
        """Return one. Raises Denied: there is none."""
        if name not in self.held:
            raise Denied(f"no secret {name}")
        return self.held[name]

    def keep(self, name: str, keys: Mapping[str, Any]) -> None:
        """Keep credentials as boto3 spells them (AccessKeyId, SecretAccessKey, SessionToken)."""
        body = {
            "access_key_id": keys["AccessKeyId"],
            "secret_access_key": keys["SecretAccessKey"],
            "session_token": keys.get("SessionToken"),
        }
        self.held[name] = json.dumps(body).encode()


@dataclass(slots=True)
class Rig:
    """A sandbox and what a test does with it."""

    sandbox: Sandbox
    folder: Path
    secrets: Secrets
    opened: list[AwsProvider] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)

    def boto(self, service: str, keys: Mapping[str, Any] | None = None, *, region: str = REGION) -> Any:  # noqa: ANN401 - boto3 has no types
        """Return a client: as the account's administrator, or with somebody's keys."""
        import boto3

        held = keys or {"AccessKeyId": "AKIAADMINADMINADMIN0", "SecretAccessKey": "admin"}
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.sandbox.endpoint,
            aws_access_key_id=held["AccessKeyId"],
            aws_secret_access_key=held["SecretAccessKey"],
            aws_session_token=held.get("SessionToken"),
        )

    def age(self, *users: str) -> None:
        """Make the credentials that users have now as old as those of peacetime."""
        self.sandbox.control("age", {"users": [*users]})

    def provider(self, **settings: Json) -> AwsProvider:
        """Connect as the executor, to an agent with these keys of a reach."""
        whole: dict[str, Json] = {
            "account": ACCOUNT,
            "region": REGION,
            "endpoint": self.sandbox.endpoint,
            "credential": EXECUTOR,
            "settle_factor": "0.01",
            **settings,
        }
        incident = IncidentFolder(self.folder / f"incident-{len(self.opened)}")
        incident.path.mkdir(parents=True)
        connection = Connection(
            reach=Reach("aws", whole, "test"),
            agent=AgentRef(AGENT, "the test", None),
            incident="inc-test",
            drill=True,
            clock=self.clock,
            evidence=FolderEvidence(incident),
            sealed=FolderSealed(incident),
            credentials=self.secrets,
        )
        provider = warm(connection)()
        self.opened.append(provider)
        return provider


def proposal(provider: AwsProvider, action: str) -> Proposal:
    """Return the one proposal of an action."""
    found = [one for one in provider.discover().proposals if one.action == action]
    provider.preflight(())  # as planning ends: from now on everything is read afresh
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
    raise AssertionError(f"not contained after {rounds} rounds: {action.judge(target, state)}")


def undo(action: Action, target: Resource, prior: Mapping[str, Json]) -> Reversal:
    """Revert to the union of prior states."""
    return action.revert(target, State(prior), action.observe(target))
