"""Reads Pub/Sub subscriptions, sets where they push and when they expire; what a pause may cost, in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass_gcp.actions.sealed_parts import plain_url, seal, shown, unseal
from breakglass_gcp.messages import as_json, fields, of_json, text
from breakglass_gcp.project import Project

ENDPOINT = "push_endpoint"
_EXPORTS = (
    ("bigquery_config", "table", "BigQuery table"),
    ("cloud_storage_config", "bucket", "Cloud Storage bucket"),
    ("bigtable_config", "table", "Bigtable table"),
)
DEFAULT_RETENTION, DEFAULT_EXPIRY = 7 * 86_400, 31 * 86_400
"""Seconds (google/pubsub/v1/pubsub.proto, Subscription)."""


def full_name(project: Project, entry: str) -> str:
    """Return the name of a subscription of this project, of an id."""
    return f"{project.name}/subscriptions/{entry}"


def read(project: Project, name: str) -> JsonObject:
    """Return a subscription as it is.

    Raises:
        Gone: there is none of that name.
    """
    return as_json(project.call("subscriptions", "get_subscription", {"subscription": name}))


def record(project: Project, name: str, live: JsonObject) -> JsonObject:
    """Return what a state carries of a subscription: where it pushes, and what it is of."""
    push = seal(project, f"subscription {name}", live.get("push_config") or {}, (), (ENDPOINT,))
    return {
        "topic": text(live, "topic"),
        "push": push,
        "exports": exports(live),
        "detached": live.get("detached") is True,
    }


def endpoint(recorded: Json) -> str:
    """Return where a recorded subscription pushes to, as it may be shown; empty: it does not push."""
    held = fields(fields(recorded).get("push")).get(ENDPOINT)
    return shown(held) or ("an address that is sealed" if held else "")


def exports(live: JsonObject) -> str:
    """Return what Google itself writes its messages to; empty: it is pushed or pulled."""
    for key, inner, kind in _EXPORTS:
        if key in live:
            return f"{kind} {text(live, key, inner)}"
    return ""


def set_push(project: Project, name: str, push: Json) -> None:
    """Push it there from now on; an empty one pushes no more and keeps its messages.

    Raises:
        ProviderError: it is refused.
    """
    from google.pubsub_v1.types import PushConfig

    wanted = of_json(PushConfig, unseal(project, push))
    project.call("subscriptions", "modify_push_config", {"subscription": name, "push_config": wanted})


def set_expiration(project: Project, name: str, policy: Json) -> None:
    """Have it expire so, and change nothing else; without a ttl it never does, without a policy in 31 days.

    google/pubsub/v1/pubsub.proto, ExpirationPolicy.ttl: if it is not set, the resource never expires.

    Raises:
        ProviderError: it is refused.
    """
    from google.pubsub_v1.types import Subscription

    more = {} if policy is None else {"expiration_policy": dict(fields(policy))}
    asked = {
        "subscription": of_json(Subscription, {"name": name, **more}),
        "update_mask": {"paths": ["expiration_policy"]},
    }
    project.call("subscriptions", "update_subscription", asked)


def of_topic(project: Project, topic: str) -> Sequence[str]:
    """Return the names of all subscriptions that are attached to a topic, also those of other projects.

    Raises:
        ProviderError: they cannot be listed.
    """
    asked = {"topic": f"{project.name}/topics/{topic}"}
    return tuple(str(one) for one in project.every("topics", "list_topic_subscriptions", asked).items)


def ours(project: Project, name: str) -> str:
    """Return the id of a subscription of this project, of its name; empty: it is another project's."""
    for start in (project.name, f"projects/{project.number}"):
        if name.startswith(f"{start}/subscriptions/"):
            return name.rpartition("/")[2]
    return ""


def costs(live: JsonObject) -> tuple[str, ...]:
    """Return what its messages wait for, and what may be lost while they do."""
    told = [f"messages wait, and are dropped {retention(live)} after they came"]
    if dead := text(live, "dead_letter_policy", "dead_letter_topic"):
        told.append(f"messages that were refused too often go to {dead}")
    return tuple(one[:300] for one in told)


def retention(live: JsonObject) -> str:
    """Return for how long a message that nobody takes is kept, in words."""
    held = text(live, "message_retention_duration")
    return _days(_duration(held) if held else DEFAULT_RETENTION)


def expiry(live: JsonObject) -> str:
    """Return after how long without any use Google deletes it, in words; empty: never."""
    if "expiration_policy" not in live:
        return _days(DEFAULT_EXPIRY)
    ttl = text(live, "expiration_policy", "ttl")
    return _days(_duration(ttl)) if ttl else ""


def whose(live: JsonObject) -> str:
    """Return where it pushes, and as whom, in words; empty: nowhere."""
    account = text(live, "push_config", "oidc_token", "service_account_email")
    where = text(live, "push_config", ENDPOINT)
    return (
        f"pushes to {plain_url(where)} {f'as {account}' if account else 'as nobody'}"[:300] if where else ""
    )


def _duration(told: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", told, re.ASCII)
    return float(found[1]) if found else 0.0


def _days(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"  # noqa: PLR2004 - two days
