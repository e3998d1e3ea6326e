"""Declares what the agent loses in the policies of subscriptions and of topics, and who the agent is."""

from __future__ import annotations

from dataclasses import dataclass

from breakglass.model.action import ActionSpec, Authority, Capability, Grade, Reversibility, Source
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

_SOURCES = (
    Source("effect", Authority.VENDOR_TEXT, "Pub/Sub documentation, Access control: policies of resources"),
    Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_policies.py"),
    Source(
        "settle",
        Authority.VENDOR_TEXT,
        "IAM documentation, Access change propagation: typically 2 minutes, potentially 7 or longer",
    ),
    Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_pubsub_policies.py"),
)
_UNDO = (
    "puts the members that the plan names back where they stood; whoever was granted a role since keeps it"
)
_GRADE = Grade.PLATFORM_EVALUATOR


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource, and what its policy may give the agent."""

    key: str
    """Of the inventory, and of the resource's name."""
    noun: str
    service: str
    permission: str
    """What the agent must not have there."""
    verb: str
    spec: ActionSpec


SUBSCRIBERS = Kind(
    "subscriptions",
    "subscription",
    "subscriptions",
    "pubsub.subscriptions.consume",
    "remove_subscribers",
    ActionSpec(
        name="gcp.pubsub.remove_subscribers",
        capability=Capability.PAUSE_QUEUES,
        summary="takes every role of the agent's out of the subscription's policy: it pulls nothing by it",
        permissions=("pubsub.subscriptions.getIamPolicy", "pubsub.subscriptions.setIamPolicy"),
        blast_radius="whoever shares an account with the agent; roles by groups or the project stay",
        reversibility=Reversibility.FULL,
        undo=_UNDO,
        settle_s=120,
        best_grade=_GRADE,
        example="gcp.pubsub.remove_subscribers subscription-policy/support-bot-work",
        sources=_SOURCES,
        service="pubsub",
    ),
)
PUBLISHERS = Kind(
    "topics",
    "topic",
    "topics",
    "pubsub.topics.publish",
    "remove_publishers",
    ActionSpec(
        name="gcp.pubsub.remove_publishers",
        capability=Capability.PAUSE_QUEUES,
        summary="takes every role of the agent's out of the topic's policy: it writes nothing by it",
        permissions=("pubsub.topics.getIamPolicy", "pubsub.topics.setIamPolicy"),
        blast_radius="whoever shares an account with the agent; roles by groups or the project stay",
        reversibility=Reversibility.FULL,
        undo=_UNDO,
        settle_s=120,
        best_grade=_GRADE,
        example="gcp.pubsub.remove_publishers topic-policy/support-bot-results",
        sources=_SOURCES,
        service="pubsub",
    ),
)


def members_of(project: Project, found: Found) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the agent's accounts, and all its members as policies write them."""
    emails = tuple(dict.fromkeys((*found.identities, *found.of("service_accounts"))))
    principals = tuple(one for one in found.of("principals") if one not in emails)
    kept = tuple(one for one in emails if one != project.me)
    return kept, (*(f"serviceAccount:{one}" for one in kept), *principals)
