"""Lists the Google services that are called, and how: client, host, budget; no client is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """One service; without a module it has no client of Google's here and is called over REST."""

    module: str
    client: str
    host: str
    """Of the real service; ``{location}`` where every region has its own."""
    budget: str = ""
    """The rate that its calls draw from (`pace.CALLS`)."""
    transport: str = "grpc"


SERVICES: Mapping[str, Service] = {
    "projects": Service(
        "google.cloud.resourcemanager_v3", "ProjectsClient", "cloudresourcemanager.googleapis.com", "projects"
    ),
    "iam_admin": Service("google.cloud.iam_admin_v1", "IAMClient", "iam.googleapis.com", "iam"),
    "iam_deny": Service("google.cloud.iam_v2", "PoliciesClient", "iam.googleapis.com", "iam_deny"),
    "policy_bindings": Service(
        "google.cloud.iam_v3", "PolicyBindingsClient", "iam.googleapis.com", "iam_boundary"
    ),
    "boundary_policies": Service(
        "google.cloud.iam_v3", "PrincipalAccessBoundaryPoliciesClient", "iam.googleapis.com", "iam_boundary"
    ),
    "scheduler": Service(
        "google.cloud.scheduler_v1", "CloudSchedulerClient", "cloudscheduler.googleapis.com"
    ),
    "tasks": Service("google.cloud.tasks_v2", "CloudTasksClient", "cloudtasks.googleapis.com"),
    "subscriptions": Service("google.pubsub_v1", "SubscriberClient", "pubsub.googleapis.com"),
    "topics": Service("google.pubsub_v1", "PublisherClient", "pubsub.googleapis.com"),
    "eventarc": Service("google.cloud.eventarc_v1", "EventarcClient", "eventarc.googleapis.com"),
    "run_services": Service("google.cloud.run_v2", "ServicesClient", "run.googleapis.com", "run"),
    "run_jobs": Service("google.cloud.run_v2", "JobsClient", "run.googleapis.com", "run"),
    "run_executions": Service("google.cloud.run_v2", "ExecutionsClient", "run.googleapis.com", "run"),
    "run_pools": Service("google.cloud.run_v2", "WorkerPoolsClient", "run.googleapis.com", "run"),
    "run_instances": Service("google.cloud.run_v2", "InstancesClient", "run.googleapis.com", "run"),
    "run_revisions": Service("google.cloud.run_v2", "RevisionsClient", "run.googleapis.com", "run"),
    "functions": Service(
        "google.cloud.functions_v2", "FunctionServiceClient", "cloudfunctions.googleapis.com"
    ),
    "workflows": Service("google.cloud.workflows_v1", "WorkflowsClient", "workflows.googleapis.com"),
    "workflow_executions": Service(
        "google.cloud.workflows.executions_v1", "ExecutionsClient", "workflowexecutions.googleapis.com"
    ),
    "instances": Service(
        "google.cloud.compute_v1", "InstancesClient", "compute.googleapis.com", "compute", "rest"
    ),
    "firewalls": Service(
        "google.cloud.compute_v1", "FirewallsClient", "compute.googleapis.com", "compute", "rest"
    ),
    "networks": Service(
        "google.cloud.compute_v1", "NetworksClient", "compute.googleapis.com", "compute", "rest"
    ),
    "instance_groups": Service(
        "google.cloud.compute_v1", "InstanceGroupManagersClient", "compute.googleapis.com", "compute", "rest"
    ),
    "region_instance_groups": Service(
        "google.cloud.compute_v1",
        "RegionInstanceGroupManagersClient",
        "compute.googleapis.com",
        "compute",
        "rest",
    ),
    "autoscalers": Service(
        "google.cloud.compute_v1", "AutoscalersClient", "compute.googleapis.com", "compute", "rest"
    ),
    "region_autoscalers": Service(
        "google.cloud.compute_v1", "RegionAutoscalersClient", "compute.googleapis.com", "compute", "rest"
    ),
    "disks": Service("google.cloud.compute_v1", "DisksClient", "compute.googleapis.com", "compute", "rest"),
    "region_disks": Service(
        "google.cloud.compute_v1", "RegionDisksClient", "compute.googleapis.com", "compute", "rest"
    ),
    "addresses": Service(
        "google.cloud.compute_v1", "AddressesClient", "compute.googleapis.com", "compute", "rest"
    ),
    "region_firewall_policies": Service(
        "google.cloud.compute_v1",
        "RegionNetworkFirewallPoliciesClient",
        "compute.googleapis.com",
        "compute",
        "rest",
    ),
    "instance_templates": Service(
        "google.cloud.compute_v1", "InstanceTemplatesClient", "compute.googleapis.com", "compute", "rest"
    ),
    "resource_policies": Service(
        "google.cloud.compute_v1", "ResourcePoliciesClient", "compute.googleapis.com", "compute", "rest"
    ),
    "zone_operations": Service(
        "google.cloud.compute_v1", "ZoneOperationsClient", "compute.googleapis.com", "compute", "rest"
    ),
    "region_operations": Service(
        "google.cloud.compute_v1", "RegionOperationsClient", "compute.googleapis.com", "compute", "rest"
    ),
    "global_operations": Service(
        "google.cloud.compute_v1", "GlobalOperationsClient", "compute.googleapis.com", "compute", "rest"
    ),
    "snapshots": Service(
        "google.cloud.compute_v1", "SnapshotsClient", "compute.googleapis.com", "compute", "rest"
    ),
    "clusters": Service("google.cloud.container_v1", "ClusterManagerClient", "container.googleapis.com"),
    "builds": Service("google.cloud.devtools.cloudbuild_v1", "CloudBuildClient", "cloudbuild.googleapis.com"),
    "deploy": Service("google.cloud.deploy_v1", "CloudDeployClient", "clouddeploy.googleapis.com"),
    "logs": Service(
        "google.cloud.logging_v2.services.logging_service_v2",
        "LoggingServiceV2Client",
        "logging.googleapis.com",
        "logging",
    ),
    "log_config": Service(
        "google.cloud.logging_v2.services.config_service_v2",
        "ConfigServiceV2Client",
        "logging.googleapis.com",
        "logging_config",
    ),
    "api_keys": Service("google.cloud.api_keys_v2", "ApiKeysClient", "apikeys.googleapis.com"),
    "iam_rest": Service("", "", "iam.googleapis.com", "pools"),
    "aiplatform": Service("", "", "{location}-aiplatform.googleapis.com", "aiplatform"),
    "orgpolicy": Service("", "", "orgpolicy.googleapis.com", "orgpolicy"),
    "storage": Service("", "", "storage.googleapis.com", "storage"),
}
"""Name that the actions use -> how it is called."""
