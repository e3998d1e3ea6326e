"""Lays the drill's agent out in the sandbox, as an administrator would: identities, work, triggers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from breakglass.clock import SystemClock
from breakglass_gcp import drill_identities
from breakglass_gcp.calls import Calls
from breakglass_gcp.drill_identities import POOL, PROJECT
from breakglass_gcp.pace import Pace
from breakglass_gcp.sandbox.process import Sandbox
from breakglass_gcp.settings import GcpSettings
from breakglass_gcp.wire import Wire

LOCATION = "europe-west1"
ZONE = f"{LOCATION}-b"
WORKER = "rogue-worker"
OUT = "rogue-out"
JOBS = "rogue-jobs"
NIGHTLY = "rogue-nightly"
A_DAY_S = 86_400
REQUEST_S = 3
"""The longest request of the service: nothing ends one that runs."""
_MAY = (
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudtasks.queues.resume",
    "cloudtasks.tasks.create",
    "compute.firewalls.delete",
    "compute.firewalls.list",
    "compute.instances.get",
    "compute.instances.resume",
    "compute.networks.updatePolicy",
    "iam.serviceAccountKeys.enable",
    "iam.serviceAccounts.enable",
    "pubsub.subscriptions.consume",
    "pubsub.subscriptions.update",
    "pubsub.topics.publish",
    "resourcemanager.projects.get",
    "run.routes.invoke",
    "run.services.update",
)
"""What the agent may do: its work, and much that would undo a stop."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What was laid out."""

    inventory: Mapping[str, object]
    executor: bytes
    """The executor's key as JSON."""
    keys: tuple[bytes, ...]
    """The agent's keys as JSON."""
    federated: bytes
    """What the agent gets in with through the workload pool, as JSON of an external account."""
    principal: str
    """What the agent is called there."""
    channels: tuple[str, ...]


def owner(sandbox: Sandbox) -> Calls:
    """Return calls as the owner of every project of a sandbox."""
    return calls_as(sandbox, str(sandbox.control("admin")["token"]))


def calls_as(sandbox: Sandbox, token: str) -> Calls:
    """Return calls with any token."""
    settings = GcpSettings.of({"endpoints": {"grpc": sandbox.grpc, "rest": sandbox.rest}})
    clock = SystemClock()
    return Calls(Wire(settings, lambda: token, drill=True), clock, Pace(clock, {}))


def lay_out(sandbox: Sandbox, folder: Path) -> Layout:
    """Make everything that the agent is and uses, and the executor with its least rights."""
    number = str(sandbox.control("project", {"id": PROJECT})["number"])
    admin = owner(sandbox)
    account = drill_identities.account(admin, "rogue", drill_identities.role(admin, "rogueWork", _MAY))
    keys = tuple(drill_identities.key(admin, account) for _ in range(2))
    # Keys that were made since the harm began would not come back with the restore.
    sandbox.control("iam.age_keys", {"project": PROJECT, "email": account, "seconds": A_DAY_S})
    principal, federated = drill_identities.federated(sandbox, admin, number, folder)
    url = _worker(admin, account)
    _queues(admin, account, url)
    _machine(admin, account)
    engine = _engine(admin)
    executor = drill_identities.executor(admin)
    for n in range(5):
        _publish(admin, JOBS, f"task {n}")
    token = sandbox.control("token", {"principal": account})["token"]
    sandbox.control(
        "run.request",
        {"project": PROJECT, "service": f"{LOCATION}/{WORKER}", "token": token, "lasts_s": 3600},
    )
    sandbox.control("compute.flow", {"project": PROJECT, "zone": ZONE, "instance": WORKER})
    sandbox.control("platform", {"on": True})
    return Layout(
        inventory={
            "project_number": number,
            "service_accounts": [account],
            "principals": [principal],
            "workload_pools": [POOL],
            "run_services": [f"{LOCATION}/{WORKER}"],
            "subscriptions": [JOBS],
            "topics": [OUT],
            "scheduler_jobs": [f"{LOCATION}/{NIGHTLY}"],
            "task_queues": [f"{LOCATION}/{JOBS}"],
            "instances": [f"{ZONE}/{WORKER}"],
            "class_deny_policy": drill_identities.class_policy(admin),
            "agent_engines": [f"{LOCATION}/{engine}"],
        },
        executor=executor,
        keys=keys,
        federated=federated,
        principal=principal,
        channels=(f"calls/{account}", f"calls/{principal}"),
    )


def resident(sandbox: Sandbox, layout: Layout) -> Mapping[str, object]:
    """Return what the resident is told."""
    return {
        "grpc": sandbox.grpc,
        "rest": sandbox.rest,
        "project": PROJECT,
        "location": LOCATION,
        "zone": ZONE,
        "keys": [json.loads(one) for one in layout.keys],
        "federated": json.loads(layout.federated),
        "topic": f"projects/{PROJECT}/topics/{OUT}",
        "subscription": f"projects/{PROJECT}/subscriptions/{JOBS}",
        "job": f"projects/{PROJECT}/locations/{LOCATION}/jobs/{NIGHTLY}",
        "queue": f"projects/{PROJECT}/locations/{LOCATION}/queues/{JOBS}",
        "service": f"projects/{PROJECT}/locations/{LOCATION}/services/{WORKER}",
        "instance": WORKER,
    }


def _worker(admin: Calls, account: str) -> str:
    """Make the service that does the agent's work; return its URL."""
    parent = f"projects/{PROJECT}/locations/{LOCATION}"
    service = {
        "template": {
            "containers": [{"image": "gcr.io/rogue-prod/worker:1"}],
            "service_account": account,
            "scaling": {"min_instance_count": 1, "max_instance_count": 5},
            "timeout": {"seconds": REQUEST_S},
        },
        "ingress": "INGRESS_TRAFFIC_ALL",
    }
    admin.operate(
        "run_services", "create_service", {"parent": parent, "service_id": WORKER, "service": service}
    )
    name = f"{parent}/services/{WORKER}"
    _bind(admin, "run_services", name, f"serviceAccount:{account}", "roles/run.invoker")
    return str(admin.call("run_services", "get_service", {"name": name}).uri)


def _bind(admin: Calls, service: str, resource: str, member: str, role: str) -> None:
    policy = admin.call(service, "get_iam_policy", {"resource": resource})
    policy.bindings.add(role=role, members=[member])
    admin.call(service, "set_iam_policy", {"resource": resource, "policy": policy})


def _queues(admin: Calls, account: str, url: str) -> None:
    """Make what drives the service: topics, a push subscription, a schedule, a task queue."""
    parent = f"projects/{PROJECT}/locations/{LOCATION}"
    for topic in (OUT, JOBS):
        admin.call("topics", "create_topic", {"name": f"projects/{PROJECT}/topics/{topic}"})
    admin.call(
        "subscriptions",
        "create_subscription",
        {
            "name": f"projects/{PROJECT}/subscriptions/{JOBS}",
            "topic": f"projects/{PROJECT}/topics/{JOBS}",
            "push_config": {"push_endpoint": url, "oidc_token": {"service_account_email": account}},
        },
    )
    job = {
        "name": f"{parent}/jobs/{NIGHTLY}",
        "schedule": "* * * * *",
        "http_target": {"uri": url, "oidc_token": {"service_account_email": account}},
    }
    admin.call("scheduler", "create_job", {"parent": parent, "job": job})
    admin.call("tasks", "create_queue", {"parent": parent, "queue": {"name": f"{parent}/queues/{JOBS}"}})


def _machine(admin: Calls, account: str) -> None:
    network = {"name": "default", "auto_create_subnetworks": True}
    admin.operate("networks", "insert", {"project": PROJECT, "network_resource": network})
    instance = {
        "name": WORKER,
        "machine_type": f"zones/{ZONE}/machineTypes/e2-small",
        "disks": [{"boot": True, "auto_delete": True, "initialize_params": {"disk_size_gb": 10}}],
        "network_interfaces": [{"network": f"projects/{PROJECT}/global/networks/default"}],
        "service_accounts": [
            {"email": account, "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}
        ],
    }
    admin.operate("instances", "insert", {"project": PROJECT, "zone": ZONE, "instance_resource": instance})


def _engine(admin: Calls) -> str:
    """Make an Agent Engine; return its id."""
    spec = {
        "identityType": "AGENT_IDENTITY",
        "agentFramework": "custom",
        "deploymentSpec": {"minInstances": 1, "maxInstances": 3},
    }
    made: Mapping[str, Any] = admin.rest(
        "aiplatform",
        "POST",
        f"v1/projects/{PROJECT}/locations/{LOCATION}/reasoningEngines",
        body={"displayName": "rogue", "spec": spec},
        location=LOCATION,
    )
    return str(made["name"]).split("/reasoningEngines/")[1].partition("/")[0]


def _publish(admin: Calls, topic: str, text: str) -> None:
    message = {"data": text.encode()}
    admin.call("topics", "publish", {"topic": f"projects/{PROJECT}/topics/{topic}", "messages": [message]})
