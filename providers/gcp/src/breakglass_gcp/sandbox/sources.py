"""Where the methods of each service are described: Google's own clients and discovery documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A gRPC service: the module of its transports, the service's name in a project, its REST prefix."""

    module: str
    api: str
    prefix: str = ""
    """Start of its REST paths; empty: its client speaks gRPC only."""


def _one(package: str, service: str, api: str, prefix: str = "") -> Source:
    return Source(f"google.{package}.services.{service}.transports", f"{api}.googleapis.com", prefix)


_AI = ("reasoning_engine_service", "reasoning_engine_execution_service", "session_service")
_RUN = ("Services", "Jobs", "Executions", "Tasks", "Revisions", "Instances")
_BETA = (*_AI, "memory_bank_service", "endpoint_service", "prediction_service", "job_service")


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


GRPC: Mapping[str, Source] = {
    "google.iam.admin.v1.IAM": _one("cloud.iam_admin_v1", "iam", "iam"),
    "google.iam.v2.Policies": _one("cloud.iam_v2", "policies", "iam", "/v2/"),
    "google.iam.v3.PrincipalAccessBoundaryPolicies": _one(
        "cloud.iam_v3", "principal_access_boundary_policies", "iam", "/v3/"
    ),
    "google.iam.v3.PolicyBindings": _one("cloud.iam_v3", "policy_bindings", "iam", "/v3/"),
    "google.iam.credentials.v1.IAMCredentials": _one(
        "cloud.iam_credentials_v1", "iam_credentials", "iamcredentials", "/v1/"
    ),
    "google.cloud.resourcemanager.v3.Projects": _one(
        "cloud.resourcemanager_v3", "projects", "cloudresourcemanager", "/v3/"
    ),
    "google.cloud.resourcemanager.v3.Folders": _one(
        "cloud.resourcemanager_v3", "folders", "cloudresourcemanager", "/v3/"
    ),
    "google.cloud.resourcemanager.v3.Organizations": _one(
        "cloud.resourcemanager_v3", "organizations", "cloudresourcemanager", "/v3/"
    ),
    "google.cloud.resourcemanager.v3.TagBindings": _one(
        "cloud.resourcemanager_v3", "tag_bindings", "cloudresourcemanager", "/v3/"
    ),
    "google.api.apikeys.v2.ApiKeys": _one("cloud.api_keys_v2", "api_keys", "apikeys", "/v2/"),
    "google.cloud.scheduler.v1.CloudScheduler": _one(
        "cloud.scheduler_v1", "cloud_scheduler", "cloudscheduler", "/v1/"
    ),
    "google.cloud.tasks.v2.CloudTasks": _one("cloud.tasks_v2", "cloud_tasks", "cloudtasks", "/v2/"),
    "google.pubsub.v1.Publisher": _one("pubsub_v1", "publisher", "pubsub", "/v1/"),
    "google.pubsub.v1.Subscriber": _one("pubsub_v1", "subscriber", "pubsub", "/v1/"),
    "google.pubsub.v1.SchemaService": _one("pubsub_v1", "schema_service", "pubsub", "/v1/"),
    "google.cloud.eventarc.v1.Eventarc": _one("cloud.eventarc_v1", "eventarc", "eventarc", "/v1/"),
    **{f"google.cloud.run.v2.{name}": _one("cloud.run_v2", name.lower(), "run", "/v2/") for name in _RUN},
    "google.cloud.run.v2.WorkerPools": _one("cloud.run_v2", "worker_pools", "run", "/v2/"),
    "google.cloud.functions.v2.FunctionService": _one(
        "cloud.functions_v2", "function_service", "cloudfunctions", "/v2/"
    ),
    "google.cloud.functions.v1.CloudFunctionsService": _one(
        "cloud.functions_v1", "cloud_functions_service", "cloudfunctions", "/v1/"
    ),
    "google.cloud.workflows.v1.Workflows": _one("cloud.workflows_v1", "workflows", "workflows", "/v1/"),
    "google.cloud.workflows.executions.v1.Executions": _one(
        "cloud.workflows.executions_v1", "executions", "workflowexecutions"
    ),
    "google.container.v1.ClusterManager": _one("cloud.container_v1", "cluster_manager", "container", "/v1/"),
    "google.devtools.cloudbuild.v1.CloudBuild": _one(
        "cloud.devtools.cloudbuild_v1", "cloud_build", "cloudbuild", "/v1/"
    ),
    "google.cloud.deploy.v1.CloudDeploy": _one("cloud.deploy_v1", "cloud_deploy", "clouddeploy", "/v1/"),
    "google.logging.v2.LoggingServiceV2": _one("cloud.logging_v2", "logging_service_v2", "logging"),
    "google.logging.v2.ConfigServiceV2": _one("cloud.logging_v2", "config_service_v2", "logging"),
    "google.storage.control.v2.StorageControl": _one(
        "cloud.storage_control_v2", "storage_control", "storage", "/v2/"
    ),
    **{
        f"google.cloud.aiplatform.v1.{_camel(name)}": _one("cloud.aiplatform_v1", name, "aiplatform", "/v1/")
        for name in (*_AI, "endpoint_service", "prediction_service", "job_service")
    },
    **{
        f"google.cloud.aiplatform.v1beta1.{_camel(name)}": _one(
            "cloud.aiplatform_v1beta1", name, "aiplatform", "/v1beta1/"
        )
        for name in _BETA
    },
}
MIXED: Mapping[str, tuple[str, ...]] = {
    "google.longrunning.Operations": ("google.cloud.run.v2.Services", "google.cloud.eventarc.v1.Eventarc"),
    "google.iam.v1.IAMPolicy": ("google.pubsub.v1.Publisher",),
    "google.cloud.location.Locations": ("google.cloud.scheduler.v1.CloudScheduler",),
}
"""Services that many clients share, each with clients that have all of its methods together."""
DOCUMENTS: Mapping[str, Sequence[str]] = {
    "iam": ("v1",),
    "storage": ("v1",),
    "aiplatform": ("v1", "v1beta1"),
    "orgpolicy": ("v2",),
    "apikeys": ("v2",),
    "cloudresourcemanager": ("v3", "v1"),
    "run": ("v2", "v1"),
    "logging": ("v2",),
    "container": ("v1",),
    "bigquery": ("v2",),
    "secretmanager": ("v1",),
    "cloudidentity": ("v1",),
    "agentregistry": ("v1",),
}
"""Discovery documents by the first part of their methods' ids."""
COMPUTE = Source("google.cloud.compute_v1.services.{}.transports", "compute.googleapis.com", "/compute/v1/")


def api_of(method: str) -> str:
    """Return the service of a method as a project enables it; "" for what many share."""
    if method.startswith("/"):
        source = GRPC.get(method[1:].partition("/")[0])
        return source.api if source else ""
    return f"{method.partition('.')[0]}.googleapis.com"
