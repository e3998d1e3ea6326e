"""The GCP provider: identities, work, triggers, queues and egress of one project."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from breakglass.canon import JsonObject
from breakglass.errors import UsageError
from breakglass.model.resource import Reach
from breakglass.provider import AgentCloud, Card, Connection, Provider
from breakglass_gcp import parts
from breakglass_gcp.inventory import SETTINGS
from breakglass_gcp.settings import complaints

__all__ = ["CARD"]


def _warm(connection: Connection) -> Callable[[], Provider]:
    """Make ready to connect to one project as the executor; see `breakglass_gcp.connect.warm`.

    Raises:
        UsageError: the entry is wrong.
        Denied: there are no credentials, or it is another project.
        Unreachable: nobody answers.
    """
    if wrong := complaints(connection.reach.settings):
        raise UsageError(wrong[0], where=connection.reach.where)
    from breakglass_gcp.connect import warm

    return warm(connection)


def _cloud(folder: Path, *, say: Callable[[str], None]) -> AgentCloud:
    """Start the sandbox for a drill's agent."""
    from breakglass_gcp.drill import start

    return start(folder, say=say)


def _policy(purpose: str, reaches: Sequence[Reach], *, split: bool) -> Sequence[JsonObject]:
    """Return the executor's least rights as custom roles."""
    from breakglass_gcp import permissions

    return permissions.documents(purpose, reaches, split=split)


CARD = Card(
    name="gcp",
    summary="Google Cloud, one project: service accounts, work, triggers, queues, egress, evidence",
    capabilities=tuple(dict.fromkeys(spec.capability for spec in parts.SPECS)),
    settings=SETTINGS,
    specs=parts.SPECS,
    connect=lambda connection: _warm(connection)(),
    warm=_warm,
    check=lambda reach: complaints(reach.settings),
    requires=("google.cloud.iam_admin_v1", "google.cloud.compute_v1"),
    extra="gcp",
    redirects=(
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_*",
        "PUBSUB_EMULATOR_HOST",
        "STORAGE_EMULATOR_HOST",
        "CLOUD_TASKS_EMULATOR_HOST",
        "GCE_METADATA_HOST",
        "GCE_METADATA_ROOT",
        "GCE_METADATA_IP",
        "GOOGLE_CLOUD_UNIVERSE_DOMAIN",
    ),
    ignores=(
        "CLOUDSDK_ACTIVE_CONFIG_NAME",
        "CLOUDSDK_CORE_PROJECT",
        "CLOUDSDK_COMPUTE_REGION",
        "CLOUDSDK_COMPUTE_ZONE",
        "GCLOUD_PROJECT",
        "GOOGLE_CLOUD_PROJECT",
        "GOOGLE_CLOUD_QUOTA_PROJECT",
    ),
    cloud=_cloud,
    policy=_policy,
)
