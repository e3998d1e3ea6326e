"""The services that the sandbox models, one module each: handlers, the platform at work, controls, state."""

from __future__ import annotations

MODELS: tuple[str, ...] = (
    "resource_manager",
    "shared",
    "iam_accounts",
    "iam_keys",
    "iam_roles",
    "iam_credentials",
    "oauth",
    "iam_deny",
    "iam_boundaries",
    "wif",
    "api_keys",
    "compute_operations",
    "compute_instances",
    "compute_network",
    "compute_groups",
    "compute_group_members",
    "compute_addresses",
    "compute_disks",
    "compute_schedules",
    "container",
    "run",
    "run_instances",
    "run_requests",
    "run_jobs",
    "run_pools",
    "run_singletons",
    "functions",
    "workflows",
    "delivered",
    "scheduler",
    "tasks",
    "tasks_dispatch",
    "pubsub",
    "pubsub_subscriptions",
    "pubsub_snapshots",
    "eventarc",
    "logging",
    "logging_config",
    "storage",
    "aiplatform",
    "aiplatform_work",
    "build",
    "deploy",
    "hmac",
    "orgpolicy",
)
"""Modules of this package; each gives HANDLERS, and if it has them TICKS, CONTROLS, STATE, POLICIES,
ENDPOINTS and OPEN.

POLICIES: for services whose policies go through google.iam.v1.IAMPolicy: pattern of names
(``projects/*/topics/*``) -> (``pubsub.topics``, exists(world, name) -> bool). ENDPOINTS: paths of the REST
port that are no Google method -> the key of their handler, whose request is a RestRequest (a path with ``/``
at its end: all below it). OPEN: keys of handlers that also answer those who show no token.
"""
