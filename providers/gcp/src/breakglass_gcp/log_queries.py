"""Writes the filters that pick the agent's log entries: what its identities did, and what its work said.

Logging documentation, "Logging query language"; the labels of each resource: "Monitored resource types".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from breakglass.clock import Instant
from breakglass_gcp.found import Found

MOST = 15_000
"""A filter may hold 20,000 characters (LogEntry reference, ListLogEntriesRequest.filter): a longer one is
several."""
_WORK: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "run_services": (("cloud_run_revision", "service_name", "location"),),
    "run_jobs": (("cloud_run_job", "job_name", "location"),),
    "worker_pools": (("cloud_run_worker_pool", "worker_pool_name", "location"),),
    # Its type is named in no document that we have: it follows the pattern of the others.
    "run_instances": (("cloud_run_instance", "instance_name", "location"),),
    "functions": (
        ("cloud_run_revision", "service_name", "location"),
        ("cloud_function", "function_name", "region"),
    ),
    "workflows": (("workflows.googleapis.com/Workflow", "workflow_id", "location"),),
    "scheduler_jobs": (("cloud_scheduler_job", "job_id", "location"),),
    "task_queues": (("cloud_tasks_queue", "queue_id", ""),),
    "agent_engines": (("aiplatform.googleapis.com/ReasoningEngine", "reasoning_engine_id", "location"),),
}
"""Key of the inventory -> type, label of the name, label of the place."""
MOST_FILTERS = 4
"""Each is a read of its own, of 60 a minute: of more identities than they name everybody's audit entries are
read."""
EVERYBODY = 'logName:"/logs/cloudaudit.googleapis.com%2F"'
"""Cloud Audit Logs documentation, "Audit log names"."""
_AUTH = "protoPayload.authenticationInfo"
_DELEGATED = f"{_AUTH}.serviceAccountDelegationInfo"


def identity_terms(emails: Iterable[str], principals: Iterable[str]) -> Iterator[str]:
    """Yield a term for each identity: what it did itself, what it did as another, what was done to it."""
    for email in emails:
        said = quoted(email)
        yield (
            f"({_AUTH}.principalEmail={said}"
            f" OR {_DELEGATED}.firstPartyPrincipal.principalEmail={said}"
            f" OR protoPayload.resourceName:{said})"
        )
    for principal in principals:
        said = quoted(principal)
        yield f"({_AUTH}.principalSubject={said} OR {_DELEGATED}.principalSubject={said})"


def work_terms(found: Found, own: str) -> Iterator[str]:
    """Yield a term for each piece of the agent's work, and the operator's own filter."""
    for key, kinds in _WORK.items():
        for entry in found.of(key):
            place, _, name = entry.partition("/")
            for kind, label, where in kinds:
                term = f"resource.type={quoted(kind)} AND resource.labels.{label}={quoted(name)}"
                yield f"({term} AND resource.labels.{where}={quoted(place)})" if where else f"({term})"
    for entry in found.of("instances"):
        name = quoted(entry.partition("/")[2])
        yield f'(resource.type="gce_instance" AND labels."compute.googleapis.com/resource_name"={name})'
    for one in found.of("subscriptions"):
        yield f'(resource.type="pubsub_subscription" AND resource.labels.subscription_id={quoted(one)})'
    if own.strip():
        yield f"({own})"


def joined(terms: Sequence[str]) -> list[str]:
    """Return as few texts as hold all terms, each short enough for one filter."""
    found: list[str] = []
    for term in terms:
        if found and len(found[-1]) + len(term) + 4 <= MOST:
            found[-1] += f" OR {term}"
        else:
            found.append(term)
    return found


def audit_filters(emails: Iterable[str], principals: Iterable[str]) -> list[str]:
    """Return the filters of what identities did, or of what everybody did where they are very many."""
    found = joined([*identity_terms(emails, principals)])
    return found if len(found) <= MOST_FILTERS else [EVERYBODY]


def since_filter(term: str, since: Instant) -> str:
    """Return a filter for a term from a moment on."""
    return f'timestamp>="{since}" AND ({term})'


def quoted(text: str) -> str:
    """Return a text as a value of a filter."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
