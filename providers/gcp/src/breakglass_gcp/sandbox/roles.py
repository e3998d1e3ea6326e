"""What roles hold: custom ones as they were stored, predefined ones as globs of permissions."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.world import World

_NOT_OWNED = (
    "iam.serviceAccounts.getAccessToken",
    "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.signBlob",
    "iam.serviceAccounts.signJwt",
    "iam.serviceAccounts.implicitDelegation",
    "iam.denypolicies.*",
    "iam.principalaccessboundarypolicies.*",
    "iam.policybindings.*",
    "orgpolicy.policy.set",
)
"""IAM documentation, "Basic roles" and "Deny policies": owners do not impersonate by their role alone, and
deny policies and organisation policies need a role of their own."""
_NOT_EDITED = (
    *_NOT_OWNED,
    "*.setIamPolicy",
    "*.setPolicy",
    "iam.roles.*",
    "iam.workloadIdentityPool*",
    "*PolicyBinding*",
)
PREDEFINED: Mapping[str, tuple[str, ...]] = {
    "roles/owner": ("*",),
    "roles/editor": ("*",),
    "roles/viewer": ("*.get", "*.list", "*.getIamPolicy"),
    "roles/iam.serviceAccountTokenCreator": (
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.implicitDelegation",
        "iam.serviceAccounts.list",
        "iam.serviceAccounts.signBlob",
        "iam.serviceAccounts.signJwt",
    ),
    "roles/iam.workloadIdentityUser": (
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.getOpenIdToken",
        "iam.serviceAccounts.list",
    ),
    "roles/iam.serviceAccountUser": (
        "iam.serviceAccounts.actAs",
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.list",
    ),
    "roles/iam.serviceAccountAdmin": (
        "iam.serviceAccounts.[!gis]*",
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.getIamPolicy",
        "iam.serviceAccounts.setIamPolicy",
    ),
    "roles/iam.serviceAccountKeyAdmin": ("iam.serviceAccountKeys.*", "iam.serviceAccounts.get"),
    "roles/iam.securityAdmin": ("*.getIamPolicy", "*.setIamPolicy", "*.list"),
    "roles/iam.denyAdmin": ("iam.denypolicies.*",),
    "roles/iam.workloadIdentityPoolAdmin": ("iam.workloadIdentityPool*",),
    "roles/iam.principalAccessBoundaryAdmin": ("iam.principalaccessboundarypolicies.*",),
    "roles/iam.principalAccessBoundaryUser": (
        "iam.principalaccessboundarypolicies.bind",
        "iam.principalaccessboundarypolicies.get",
        "iam.principalaccessboundarypolicies.list",
        "iam.principalaccessboundarypolicies.searchPolicyBindings",
        "iam.principalaccessboundarypolicies.unbind",
    ),
    "roles/orgpolicy.policyAdmin": ("orgpolicy.*",),
    "roles/iam.roleAdmin": ("iam.roles.*",),
    "roles/resourcemanager.projectIamAdmin": (
        "iam.policybindings.*",
        "resourcemanager.projects.*PolicyBinding*",
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    "roles/run.invoker": ("run.jobs.run", "run.routes.invoke"),
    "roles/run.developer": ("run.services.*", "run.jobs.*", "run.executions.*", "run.revisions.*"),
    "roles/run.admin": ("run.*",),
    "roles/pubsub.publisher": ("pubsub.topics.publish",),
    "roles/pubsub.subscriber": (
        "pubsub.subscriptions.consume",
        "pubsub.snapshots.seek",
        "pubsub.topics.attachSubscription",
    ),
    "roles/pubsub.viewer": ("pubsub.*.get", "pubsub.*.list"),
    "roles/pubsub.editor": ("pubsub.*.[!gs]*", "pubsub.*.get", "pubsub.*.seek"),
    "roles/pubsub.admin": ("pubsub.*",),
    "roles/cloudtasks.enqueuer": ("cloudtasks.tasks.create", "cloudtasks.tasks.fullView"),
    "roles/cloudtasks.admin": ("cloudtasks.*",),
    "roles/cloudscheduler.admin": ("cloudscheduler.*",),
    "roles/cloudscheduler.jobRunner": ("cloudscheduler.jobs.run",),
    "roles/eventarc.admin": ("eventarc.*",),
    "roles/eventarc.eventReceiver": ("eventarc.events.receive*",),
    "roles/workflows.invoker": ("workflows.executions.*", "workflows.callbacks.send"),
    "roles/workflows.admin": ("workflows.*",),
    "roles/cloudfunctions.invoker": ("cloudfunctions.functions.invoke",),
    "roles/cloudfunctions.developer": ("cloudfunctions.*",),
    "roles/logging.logWriter": ("logging.logEntries.create", "logging.logEntries.route"),
    "roles/logging.viewer": ("logging.logEntries.list", "logging.logs.list"),
    "roles/logging.admin": ("logging.*",),
    "roles/compute.instanceAdmin.v1": ("compute.instances.*", "compute.disks.*", "compute.instanceGroup*"),
    "roles/compute.admin": ("compute.*",),
    "roles/container.developer": ("container.[!c]*", "container.clusters.get", "container.clusters.list"),
    "roles/container.admin": ("container.*",),
    "roles/aiplatform.user": (
        "aiplatform.endpoints.predict",
        "aiplatform.reasoningEngines.*",
        "aiplatform.sessions.*",
        "aiplatform.sandboxEnvironments.*",
        "aiplatform.memories.*",
    ),
    "roles/aiplatform.admin": ("aiplatform.*",),
    "roles/storage.objectViewer": ("storage.objects.get", "storage.objects.list"),
    "roles/storage.objectCreator": ("storage.objects.create",),
    "roles/storage.objectUser": ("storage.objects.*",),
    "roles/storage.objectAdmin": ("storage.objects.*",),
    "roles/storage.admin": ("storage.*",),
    "roles/storage.hmacKeyAdmin": ("storage.hmacKeys.*",),
    "roles/secretmanager.secretAccessor": ("secretmanager.versions.access",),
    "roles/serviceusage.serviceUsageConsumer": (
        "serviceusage.services.use",
        "serviceusage.services.get",
        "serviceusage.services.list",
    ),
    "roles/serviceusage.serviceUsageAdmin": ("serviceusage.*",),
    "roles/cloudbuild.builds.editor": ("cloudbuild.builds.*",),
    "roles/clouddeploy.releaser": ("clouddeploy.releases.*", "clouddeploy.rollouts.*"),
    "roles/bigquery.dataViewer": ("bigquery.tables.get*", "bigquery.datasets.get"),
    "roles/bigquery.jobUser": ("bigquery.jobs.create",),
}
"""IAM documentation, "IAM basic and predefined roles reference", as far as agents and tests have them."""
_LESS: Mapping[str, tuple[str, ...]] = {"roles/owner": _NOT_OWNED, "roles/editor": _NOT_EDITED}


def holds(world: World, role: str, permission: str) -> bool:
    """Tell whether a role holds a permission, as the evaluator sees the role."""
    if role in PREDEFINED:
        return any(fnmatchcase(permission, one) for one in PREDEFINED[role]) and not any(
            fnmatchcase(permission, one) for one in _LESS.get(role, ())
        )
    held = world.config.seen(("role", world.normal(role)), ())
    return permission in held


def known(world: World, role: str) -> bool:
    """Tell whether there is such a role."""
    return role in PREDEFINED or bool(world.config.get(("role", world.normal(role))) is not None)
