"""Lists the keys that a GCP reach of an inventory knows."""

from __future__ import annotations

from breakglass.provider import Setting, SettingType

_TEXT, _TEXTS, _MAPPING = SettingType.TEXT, SettingType.TEXTS, SettingType.MAPPING

SETTINGS = (
    Setting("project", _TEXT, "the project's id", required=True),
    Setting("project_number", _TEXT, "the project's number: this project and no other", required=True),
    Setting("locations", _TEXTS, "regions that the agent's work and triggers lie in: europe-west1 ..."),
    Setting("as", _TEXT, "the executor's service account, impersonated where it is not the credentials' own"),
    Setting(
        "credential",
        _TEXT,
        "name of a secret of the executor's: its credentials as JSON; else the application default ones",
    ),
    Setting("service_accounts", _TEXTS, "service accounts that the agent acts as: their e-mail addresses"),
    Setting(
        "principals",
        _TEXTS,
        "other principals that the agent acts as: principal://... of a workload pool or of Agent Engine",
    ),
    Setting("workload_pools", _TEXTS, "workload identity pools that are the agent's alone, by id"),
    Setting("api_keys", _TEXTS, "API keys that the agent uses: their uid, which is no secret"),
    Setting(
        "class_deny_policy",
        _TEXT,
        "a deny policy made in peacetime, whose principals the stop may extend: policies/.../denypolicies/ID",
    ),
    Setting(
        "class_boundary_binding",
        _TEXT,
        "a policy binding made in peacetime, whose condition the stop may extend:"
        " projects/PROJECT/locations/global/policyBindings/ID",
    ),
    Setting(
        "class_services",
        _TEXTS,
        "services that the stop denies to the whole project, by its organisation policy: NAME.googleapis.com",
    ),
    Setting("scheduler_jobs", _TEXTS, "Cloud Scheduler: LOCATION/JOB"),
    Setting("task_queues", _TEXTS, "Cloud Tasks: LOCATION/QUEUE"),
    Setting("subscriptions", _TEXTS, "Pub/Sub subscriptions that bring it work, by id"),
    Setting("topics", _TEXTS, "Pub/Sub topics that it publishes to, by id"),
    Setting("eventarc_triggers", _TEXTS, "Eventarc: LOCATION/TRIGGER"),
    Setting("run_services", _TEXTS, "Cloud Run services: LOCATION/NAME"),
    Setting("run_jobs", _TEXTS, "Cloud Run jobs: LOCATION/NAME"),
    Setting("worker_pools", _TEXTS, "Cloud Run worker pools: LOCATION/NAME"),
    Setting("run_instances", _TEXTS, "Cloud Run instances, each one container by itself: LOCATION/NAME"),
    Setting("functions", _TEXTS, "Cloud Functions, 2nd generation: LOCATION/NAME"),
    Setting("workflows", _TEXTS, "Workflows: LOCATION/NAME"),
    Setting("instances", _TEXTS, "Compute Engine instances: ZONE/NAME"),
    Setting(
        "instance_groups", _TEXTS, "managed instance groups of the agent's alone: ZONE/NAME or REGION/NAME"
    ),
    Setting(
        "gke_clusters", _TEXTS, "GKE clusters that it runs in: LOCATION/NAME; stopped by a kubernetes reach"
    ),
    Setting("agent_engines", _TEXTS, "Agent Engine: LOCATION/ID of a reasoning engine"),
    Setting("deployers", _TEXTS, "cloudbuild:LOCATION/TRIGGER, clouddeploy:LOCATION/TARGET"),
    Setting("log_filter", _TEXT, "which log entries are the agent's, beside those of what is named here"),
    Setting("evidence_bucket", _TEXT, "bucket with a locked retention policy that evidence goes to"),
    Setting("evidence_days", _TEXT, "days that the bucket must keep it; 30 without it"),
    Setting(
        "agent_credentials",
        _MAPPING,
        "an account's e-mail: name of the executor's secret that holds a key or a token of it, for proof",
    ),
    Setting(
        "accept_blast_radius",
        _TEXTS,
        "what is shared and whose other users may be cut off: accounts by e-mail, pools as pool:ID, "
        "services as service:NAME.googleapis.com",
    ),
    Setting(
        "successors",
        _MAPPING,
        "an account's e-mail: the one that a restore with tokens=rotate gives its rights to",
    ),
    Setting("endpoints", _MAPPING, "a sandbox on loopback, as grpc and rest, or by service; in a drill only"),
    Setting("settle_factor", _TEXT, "shortens settle times; in a drill only"),
    Setting("token_life_s", _TEXT, "how long tokens of the sandbox live; in a drill only"),
)
