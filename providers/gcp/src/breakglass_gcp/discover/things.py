"""Tells what lies in a project and acts or calls by itself: each with its labels, its accounts, its age."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from breakglass_gcp.messages import field, fields, text

Read = Callable[[Any], "Thing"]


@dataclass(frozen=True, slots=True)
class Thing:
    """One piece of work, one trigger or one queue."""

    key: str
    """Of the inventory."""
    name: str
    """As the inventory names it: LOCATION/NAME, or an id."""
    labels: Mapping[str, str]
    accounts: tuple[str, ...] = ()
    """What it acts as, as its service tells it: an e-mail address, a unique id, empty for the default."""
    made_ms: int | None = None
    """When it was made (a scheduler job: changed last); None: its service does not tell."""
    parts: tuple[tuple[str, str], ...] = ()
    """What its service made for it, as (key, name): they act as its account, and nobody else uses them."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of thing is listed: everywhere at once, or region by region."""

    key: str
    words: str
    service: str
    method: str
    permission: str
    read: Read
    placed: bool = True


def placed(name: str) -> str:
    """Return LOCATION/NAME of ``projects/P/locations/L/KIND/NAME``."""
    pieces = name.split("/")
    return f"{pieces[3]}/{pieces[-1]}" if len(pieces) > 4 else name  # noqa: PLR2004 - up to the location


def _ms(moment: object) -> int | None:
    """Return Unix milliseconds; None: it is not told."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    return int(moment.timestamp() * 1000) if isinstance(moment, datetime) else None


def _run(key: str, account: Callable[[Any], str]) -> Read:
    return lambda one: Thing(key, placed(one.name), dict(one.labels), (account(one),), _ms(one.create_time))


def _function(one: Any) -> Thing:  # noqa: ANN401 - Google's messages have no types here
    accounts = [one.service_config.service_account_email]
    if one.event_trigger.service_account_email:
        accounts.append(one.event_trigger.service_account_email)
    told = (("run_services", one.service_config.service), ("eventarc_triggers", one.event_trigger.trigger))
    return Thing(
        "functions",
        placed(one.name),
        dict(one.labels),
        tuple(accounts),
        _ms(one.create_time),
        tuple((key, placed(name)) for key, name in told if name),
    )


def _workflow(one: Any) -> Thing:  # noqa: ANN401 - as above
    return Thing(
        "workflows", placed(one.name), dict(one.labels), (one.service_account,), _ms(one.create_time)
    )


def _trigger(one: Any) -> Thing:  # noqa: ANN401 - as above
    accounts = tuple(filter(None, [one.service_account]))
    feed = one.transport.pubsub.subscription.rpartition("/")[2]
    parts = (("subscriptions", feed),) if feed else ()
    return Thing(
        "eventarc_triggers", placed(one.name), dict(one.labels), accounts, _ms(one.create_time), parts
    )


def _job(one: Any) -> Thing:  # noqa: ANN401 - as above
    return Thing(
        "scheduler_jobs", placed(one.name), {}, _of_target(one.http_target), _ms(one.user_update_time)
    )


def _queue(one: Any) -> Thing:  # noqa: ANN401 - as above
    return Thing("task_queues", placed(one.name), {}, _of_target(one.http_target))


def _of_target(target: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    """Return the account whose token an HTTP target is called with."""
    found = (target.oidc_token.service_account_email, target.oauth_token.service_account_email)
    return tuple(filter(None, found))


def _subscription(one: Any) -> Thing:  # noqa: ANN401 - as above
    accounts = (
        one.push_config.oidc_token.service_account_email,
        one.bigquery_config.service_account_email,
        one.cloud_storage_config.service_account_email,
    )
    name = one.name.rpartition("/")[2]
    return Thing("subscriptions", name, dict(one.labels), tuple(dict.fromkeys(filter(None, accounts))))


def _topic(one: Any) -> Thing:  # noqa: ANN401 - as above
    return Thing("topics", one.name.rpartition("/")[2], dict(one.labels))


def instances(scoped: Any) -> Iterator[Thing]:  # noqa: ANN401 - as above
    """Yield the instances of one zone of an aggregated list: of a (scope, list) pair."""
    scope, held = scoped
    zone = str(scope).rpartition("/")[2]
    for one in held.instances:
        accounts = tuple(account.email for account in one.service_accounts)
        made = _ms(str(one.creation_timestamp))
        yield Thing("instances", f"{zone}/{one.name}", dict(one.labels), accounts, made)


def engine(one: Any) -> Thing:  # noqa: ANN401 - JSON
    """Return a reasoning engine (Vertex AI reference, ReasoningEngineSpec: serviceAccount)."""
    labels = {key: str(value) for key, value in fields(field(one, "labels")).items()}
    accounts = tuple(filter(None, [text(one, "spec", "serviceAccount"), _effective(one)]))
    made = _ms(text(one, "createTime"))
    return Thing("agent_engines", placed(text(one, "name")), labels, tuple(dict.fromkeys(accounts)), made)


def _effective(one: Any) -> str:  # noqa: ANN401 - JSON
    """Return the account that an engine runs as; one with an identity of its own runs as no account."""
    told = text(one, "spec", "effectiveIdentity")
    return told if "@" in told else ""


KINDS: tuple[Kind, ...] = (
    Kind(
        "run_services",
        "Cloud Run service",
        "run_services",
        "list_services",
        "run.services.list",
        _run("run_services", lambda one: str(one.template.service_account)),
    ),
    Kind(
        "run_jobs",
        "Cloud Run job",
        "run_jobs",
        "list_jobs",
        "run.jobs.list",
        _run("run_jobs", lambda one: str(one.template.template.service_account)),
    ),
    Kind(
        "worker_pools",
        "Cloud Run worker pool",
        "run_pools",
        "list_worker_pools",
        "run.workerpools.list",
        _run("worker_pools", lambda one: str(one.template.service_account)),
    ),
    Kind(
        "run_instances",
        "Cloud Run instance",
        "run_instances",
        "list_instances",
        "run.instances.list",
        _run("run_instances", lambda one: str(one.service_account)),
    ),
    Kind("functions", "function", "functions", "list_functions", "cloudfunctions.functions.list", _function),
    Kind("workflows", "workflow", "workflows", "list_workflows", "workflows.workflows.list", _workflow),
    Kind(
        "eventarc_triggers",
        "Eventarc trigger",
        "eventarc",
        "list_triggers",
        "eventarc.triggers.list",
        _trigger,
    ),
    Kind("scheduler_jobs", "Cloud Scheduler job", "scheduler", "list_jobs", "cloudscheduler.jobs.list", _job),
    Kind("task_queues", "Cloud Tasks queue", "tasks", "list_queues", "cloudtasks.queues.list", _queue),
    Kind(
        "subscriptions",
        "subscription",
        "subscriptions",
        "list_subscriptions",
        "pubsub.subscriptions.list",
        _subscription,
        placed=False,
    ),
    Kind("topics", "topic", "topics", "list_topics", "pubsub.topics.list", _topic, placed=False),
)
"""All but instances and reasoning engines, which are listed in ways of their own (`reads`)."""
WORDS: Mapping[str, str] = {
    **{kind.key: kind.words for kind in KINDS},
    "instances": "instance",
    "agent_engines": "Agent Engine",
}
