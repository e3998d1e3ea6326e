"""Says what a class deny must deny before it may stand for grants that nobody looked at; pure."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass_gcp.actions.deny_rules import Rule
from breakglass_gcp.minting import MINTS

_RESOURCE_MANAGER = "resourcemanager."


def denied_form(permission: str) -> str:
    """Return a permission of allow policies as deny policies name it; see `deny_rules.permission_of`."""
    service, _, rest = permission.partition(".")
    host = "cloudresourcemanager" if permission.startswith(_RESOURCE_MANAGER) else service
    return f"{host}.googleapis.com/{rest}"


BASELINE = tuple(
    sorted(
        {
            *map(denied_form, MINTS),
            "aiplatform.googleapis.com/endpoints.predict",
            "cloudbuild.googleapis.com/builds.create",
            "compute.googleapis.com/instances.create",
            "compute.googleapis.com/instances.setMetadata",
            "iam.googleapis.com/serviceAccountKeys.enable",
            "iam.googleapis.com/serviceAccounts.enable",
            "iam.googleapis.com/serviceAccounts.getOpenIdToken",
            "pubsub.googleapis.com/subscriptions.consume",
            "pubsub.googleapis.com/topics.publish",
            "run.googleapis.com/jobs.run",
            "run.googleapis.com/services.create",
            "run.googleapis.com/services.update",
            "secretmanager.googleapis.com/versions.access",
            "storage.googleapis.com/hmacKeys.create",
            "storage.googleapis.com/objects.create",
            "storage.googleapis.com/objects.get",
        }
    )
)
"""All that mints (`minting.MINTS`), what grants, spends, starts work, opens a way in, reads secrets and data,
writes them. A judgement of ours, UNVERIFIED on a real project; a policy may deny more. Functions and
workflows are not among them: who makes or changes one needs ``serviceAccounts.actAs``, which is (IAM
documentation, "Attach service accounts to resources")."""


def not_denied(rules: Sequence[Rule]) -> tuple[str, ...]:
    """Return what of the baseline no rule denies for certain."""
    return tuple(one for one in BASELINE if not any(rule.denies(one) for rule in rules))
