"""The AWS provider: identities, work, triggers, queues and egress of one account and region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.errors import UsageError
from breakglass.model.resource import Reach
from breakglass.provider import AgentCloud, Card, Connection, Provider
from breakglass_aws import parts
from breakglass_aws.inventory import SETTINGS
from breakglass_aws.mirror import MIRROR_SETTINGS, open_mirror
from breakglass_aws.settings import complaints

__all__ = ["CARD"]


def _warm(connection: Connection) -> Callable[[], Provider]:
    """Make ready to connect to one account and region as the executor; see `breakglass_aws.connect.warm`.

    Raises:
        UsageError: the entry is wrong.
        Denied: there are no credentials, or they belong to another account.
        Unreachable: nobody answers.
    """
    if wrong := complaints(connection.reach.settings):
        raise UsageError(wrong[0], where=connection.reach.where)
    from breakglass_aws.connect import warm

    return warm(connection)


def _cloud(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:
    """Start the sandbox for a drill's agent."""
    from breakglass_aws.drill import start

    return start(folder, say=say)


def _policy(purpose: str, reaches: Sequence[Reach], *, split: bool) -> Sequence[JsonObject]:
    """Return the executor's least rights as IAM policy documents."""
    from breakglass_aws import permissions

    whole = permissions.documents(purpose, reaches)
    return [piece for one in whole for piece in permissions.split(one)] if split else whole


CARD = Card(
    name="aws",
    summary="AWS, one account and region: identities, work, triggers, queues, egress, evidence",
    capabilities=tuple(dict.fromkeys(spec.capability for spec in parts.SPECS)),
    settings=SETTINGS,
    specs=parts.SPECS,
    connect=lambda connection: _warm(connection)(),
    warm=_warm,
    check=lambda reach: complaints(reach.settings),
    requires=("boto3",),
    extra="aws",
    redirects=("AWS_ENDPOINT_URL*",),
    ignores=("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN"),
    cloud=_cloud,
    mirror=open_mirror,
    mirror_settings=MIRROR_SETTINGS,
    policy=_policy,
)
