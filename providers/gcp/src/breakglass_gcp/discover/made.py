"""Decides what the agent made for itself, from its writes in the audit log: identities, work, ways back in.

Method and resource names: "Audit logging" of each service; requests and responses are its own messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass_gcp.audit_events import Event
from breakglass_gcp.settings import looks_like_account

_RULES: tuple[tuple[str, str, str, str, str], ...] = (
    (
        r"run\..*Services\.CreateService",
        "run_services",
        "services",
        "serviceId",
        "service",
    ),
    (r"run\..*Jobs\.CreateJob", "run_jobs", "jobs", "jobId", "job"),
    (r"run\..*WorkerPools\.CreateWorkerPool", "worker_pools", "workerPools", "workerPoolId", "workerPool"),
    (r"run\..*Instances\.CreateInstance", "run_instances", "instances", "instanceId", "instance"),
    (r"functions\..*\.CreateFunction", "functions", "functions", "functionId", "function"),
    (r"workflows\..*\.CreateWorkflow", "workflows", "workflows", "workflowId", "workflow"),
    (r"scheduler\..*\.CreateJob", "scheduler_jobs", "jobs", "jobId", "job"),
    (r"tasks\..*\.CreateQueue", "task_queues", "queues", "queueId", "queue"),
    (r"eventarc\..*\.CreateTrigger", "eventarc_triggers", "triggers", "triggerId", "trigger"),
    (r"pubsub\..*Subscriber\.CreateSubscription", "subscriptions", "subscriptions", "", "subscription"),
    (r"pubsub\..*Publisher\.CreateTopic", "topics", "topics", "", "topic"),
    (r"compute\.instances\.(bulkI|i)nsert", "instances", "instances", "", "instanceResource"),
    (r"compute\.instanceGroupManagers\.insert", "instance_groups", "instanceGroupManagers", "", "resource"),
    (
        r"ReasoningEngine.*\.CreateReasoningEngine|reasoningEngines\.create",
        "agent_engines",
        "reasoningEngines",
        "",
        "",
    ),
)
"""Method -> the inventory's key, the collection in a full name, and where a request names what it makes."""
_CHANGES: tuple[tuple[str, str], ...] = (
    (r"run\..*\.(Update|Replace)Service$", "run_services"),
    (r"run\..*\.(Update|Replace)Job$", "run_jobs"),
    (r"run\..*\.(Update|Replace)WorkerPool$", "worker_pools"),
    (r"run\..*\.(Update|Replace|Start)Instance$", "run_instances"),
    (r"functions\..*\.UpdateFunction$", "functions"),
    (r"workflows\..*\.UpdateWorkflow$", "workflows"),
    (r"scheduler\..*\.UpdateJob$", "scheduler_jobs"),
    (r"tasks\..*\.UpdateQueue$", "task_queues"),
    (r"eventarc\..*\.UpdateTrigger$", "eventarc_triggers"),
    (r"pubsub\..*\.(UpdateSubscription|ModifyPushConfig)$", "subscriptions"),
    (r"pubsub\..*\.UpdateTopic$", "topics"),
    (r"compute\.instances\.(set\w+|update)$", "instances"),
    (r"ReasoningEngine.*\.Update\w+$|reasoningEngines\.patch$", "agent_engines"),
)
"""Method -> the inventory's key of what it changes."""
Touched = Mapping[tuple[str, str], str]
"""(key, name) of what the agent changed -> when; a name that begins with ``/`` was told without its place."""
_GLOBAL = frozenset({"subscriptions", "topics"})
_COLLECTIONS: Mapping[str, str] = {
    **{key: collection for _, key, collection, _, _ in _RULES},
    "deployers": "triggers",
}
_API_KEY = re.compile(r"/locations/global/keys/([a-z0-9-]{1,63})(?:/|$)")
_ENGINE = re.compile(r"/locations/([^/]+)/reasoningEngines/(\d+)")


@dataclass(frozen=True, slots=True)
class Made:
    """Something that the agent made."""

    key: str
    name: str
    origin: str


def accounts(events: Iterable[Event]) -> Iterator[Made]:
    """Yield the service accounts that the agent made."""
    for event in events:
        if event.verb != "createserviceaccount":
            continue
        email = _said(event.response, "email") or _from_request(event)
        if looks_like_account(email):
            yield Made("service_accounts", email, origin(event))


def things(events: Iterable[Event]) -> Iterator[Made]:
    """Yield the work, triggers and queues that the agent made."""
    for event in events:
        for pattern, key, collection, id_field, inner in _RULES:
            if re.search(pattern, event.method):
                if name := _name(event, key, collection, id_field, inner):
                    yield Made(key, name, origin(event))
                break
        else:
            if is_api_key(event):
                if uid := api_key(event):
                    yield Made("api_keys", uid, origin(event))
            elif event.verb == "createbuildtrigger" and (uid := _said(event.response, "id")):
                place = _place(event.resource) or "global"
                yield Made("deployers", f"cloudbuild:{place}/{uid}", origin(event))


def origin(event: Event) -> str:
    """Return in words who made something and when; what comes from the log is cut to one plain line."""
    who = "".join(one if "\x20" <= one < "\x7f" else "?" for one in event.by)[:200]
    return f"made by {who} at {event.at} (audit log)"


def changed(events: Iterable[Event]) -> Touched:
    """Return what the agent itself changed -> when, last."""
    found: dict[tuple[str, str], str] = {}
    for event in events:
        if (one := subject(event)) is not None:
            found[one] = max(event.at, found.get(one, ""))
    return found


def subject(event: Event) -> tuple[str, str] | None:
    """Return the inventory's key and name of what a call changed; without its place where none is told."""
    for pattern, key in _CHANGES:
        if re.search(pattern, event.method):
            short = event.resource.rpartition("/")[2]
            if key in _GLOBAL:
                return key, short
            return key, f"{_place(event.resource)}/{short}"
    return None


def when(touched: Touched, key: str, name: str) -> str:
    """Return when the agent changed a thing; empty: it did not."""
    return touched.get((key, name)) or touched.get((key, f"/{name.rpartition('/')[2]}"), "")


def is_api_key(event: Event) -> bool:
    """Return whether the agent made an API key, or took one out of the bin."""
    return event.verb in {"createkey", "undeletekey"} and "apikeys" in event.method.lower()


def api_key(event: Event) -> str:
    """Return the id of that API key; empty: the log tells of an operation alone."""
    if asked := _said(event.response, "uid") or _said(event.request, "keyId"):
        return asked
    names = (_said(event.response, "name"), _said(event.request, "name"), event.resource)
    return next((found[1] for one in names if (found := _API_KEY.search(one))), "")


def logged(key: str, name: str) -> str:
    """Return COLLECTION/LOCATION/NAME of what the inventory names; see `strangers.placed_name`."""
    place, _, short = name.removeprefix("cloudbuild:").rpartition("/")
    return f"{_COLLECTIONS.get(key, key)}/{place or 'global'}/{short}"


def _name(event: Event, key: str, collection: str, id_field: str, inner: str) -> str:
    """Return the inventory's name of what a call made; empty: it does not tell."""
    for full in _candidates(event, id_field, inner, collection):
        if key == "agent_engines":
            if found := _ENGINE.search(full):
                return f"{found[1]}/{found[2]}"
            continue
        match = re.search(rf"(?:^|/){collection}/([\w.%~+-]{{1,500}})$", full)
        if match and key in _GLOBAL:
            return match[1]
        if match and (place := _place(full) or _place(event.resource)):
            return f"{place}/{match[1]}"
    return ""


def _candidates(event: Event, id_field: str, inner: str, collection: str) -> Iterator[str]:
    """Yield full names that a call tells, the surest first."""
    parent = _said(event.request, "parent") or event.resource
    if id_field and (id_ := _said(event.request, id_field)):
        yield f"{parent}/{collection}/{id_}"
    yield _said(event.request, "name")
    if inner:
        asked = _field(event.request, inner)
        name = _said(asked, "name") if isinstance(asked, Mapping) else ""
        yield name if "/" in name or not name else f"{event.resource}/{collection}/{name}"
    if (name := _said(event.request, "name")) and "/" not in name:
        yield f"{event.resource}/{collection}/{name}"
    yield event.resource
    yield _said(event.response, "name")
    yield re.sub(r"/operations/[^/]+$", "", _said(event.response, "name"))
    yield re.sub(r"^https?://[^/]+/compute/\w+/", "", _said(event.response, "targetLink"))


def _from_request(event: Event) -> str:
    """Return the address of an account as its project and id make it."""
    id_ = _said(event.request, "accountId")
    project = (_said(event.request, "name") or event.resource).partition("projects/")[2].partition("/")[0]
    return f"{id_}@{project}.iam.gserviceaccount.com" if id_ and project else ""


def _place(full: str) -> str:
    match = re.search(r"/(?:locations|zones|regions)/([a-z0-9-]{1,63})(?:/|$)", full)
    return match[1] if match else ""


def _said(part: Mapping[str, Json], name: str) -> str:
    found = _field(part, name)
    return found if isinstance(found, str) else ""


def _field(part: Mapping[str, Json], name: str) -> Json:
    """Return a field, whichever way the service writes its names (``accountId``, ``account_id``)."""
    wanted = name.replace("_", "").lower()
    for key, value in part.items():
        if key.replace("_", "").lower() == wanted:
            return value
    return None


def texts(part: Mapping[str, Json], names: Sequence[str]) -> str:
    """Return the first of these fields that is a text; empty: none is."""
    return next(filter(None, (_said(part, name) for name in names)), "")
