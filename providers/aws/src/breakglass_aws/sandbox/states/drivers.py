"""What drives the agent: functions, rules, schedules, pipes, queues, topics, services of clusters."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.states.reading import by, fields, named, plain, tags

MOVING = frozenset(
    {
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "CreatedTimestamp",
        "LastModifiedTimestamp",
    }
)
"""Attributes of a queue that change by themselves."""


def functions() -> dict[str, Any]:
    """Return functions with their concurrency, URL and policy, and every event source mapping."""
    from moto.awslambda_simple.models import lambda_simple_backends

    return {
        place: {
            "functions": {one.function_name: _function(backend, one) for one in backend.list_functions()},
            "mappings": {
                uuid: {
                    name: plain(value)
                    for name, value in one.get_configuration().items()
                    if name not in ("LastModified", "State", "StateTransitionReason", "LastProcessingResult")
                }
                | {"enabled": bool(one.enabled)}
                for uuid, one in sorted(backend._event_source_mappings.items())  # noqa: SLF001 - moto lists none whole
            },
        }
        for place, backend in named(lambda_simple_backends)
    }


def _function(backend: Any, one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    reserved = getattr(one, "reserved_concurrency", None)
    policy = getattr(one, "policy", None)
    config = getattr(one, "url_config", None)
    return {
        **fields(one, "role", "code_sha_256", "timeout", "memory_size", "environment_vars"),
        "reserved": None if reserved is None else int(reserved),
        "policy": plain(list(policy.statements)) if policy is not None else [],
        "url": plain(config.config) if config is not None else None,
        "aliases": {alias.name: alias.function_version for alias in backend.list_aliases(one.function_name)},
        "tags": tags(one.tags),
    }


def rules() -> dict[str, Any]:
    """Return EventBridge rules and targets, by bus."""
    from moto.events.models import events_backends

    return {
        place: {
            bus.name: {
                "policy": bus.policy,
                "rules": {
                    rule.name: {**plain(rule.describe()), "targets": plain(rule.targets)}
                    for rule in by(bus.rules.values(), "name")
                },
            }
            for bus in by(backend.event_buses.values(), "name")
        }
        for place, backend in named(events_backends)
    }


def schedules() -> dict[str, Any]:
    """Return every schedule whole."""
    from moto.scheduler.models import scheduler_backends

    dates = ("CreationDate", "LastModificationDate")
    return {
        place: {
            one.arn: {
                name: plain(value)
                for name, value in one.to_dict().items()
                if name not in dates and value and (name, value) != ("ActionAfterCompletion", "NONE")
            }
            for group in by(backend.schedule_groups.values(), "name")
            for one in by(group.schedules.values(), "name")
        }
        for place, backend in named(scheduler_backends)
    }


def pipes() -> dict[str, Any]:
    """Return pipes as they are wanted."""
    from moto.pipes.models import pipes_backends

    told = (
        "desired_state",
        "source",
        "target",
        "role_arn",
        "source_parameters",
        "target_parameters",
        "description",
    )
    return {
        place: {one.arn: fields(one, *told) for one in by(backend.pipes.values(), "arn")}
        for place, backend in named(pipes_backends)
    }


def queues() -> dict[str, Any]:
    """Return queues' attributes and tags."""
    from moto.sqs.models import sqs_backends

    return {
        place: {
            one.name: {
                "attributes": {
                    name: plain(value)
                    for name, value in sorted(_attributes(one).items())
                    if name not in MOVING
                },
                "tags": tags(one.tags),
            }
            for one in by(backend.queues.values(), "name")
        }
        for place, backend in named(sqs_backends)
    }


def _attributes(queue: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return dict(queue.attributes)


def topics() -> dict[str, Any]:
    """Return topics and their subscriptions' attributes."""
    from moto.sns.models import sns_backends

    told = ("policy", "display_name", "delivery_policy", "kms_master_key_id", "fifo_topic")
    return {
        place: {
            "topics": {one.name: fields(one, *told) for one in by(backend.topics.values(), "name")},
            "subscriptions": {
                one.arn: {**fields(one, "endpoint", "protocol"), "attributes": plain(one.attributes)}
                for one in by(backend.subscriptions.values(), "arn")
            },
        }
        for place, backend in named(sns_backends)
    }


def machines() -> dict[str, Any]:
    """Return state machines; what has run is no state to bring back."""
    from moto.stepfunctions.models import stepfunctions_backends

    return {
        place: {
            one.arn: fields(one, "definition", "roleArn", "type") for one in by(backend.state_machines, "arn")
        }
        for place, backend in named(stepfunctions_backends)
    }


def clusters() -> dict[str, Any]:
    """Return services as they are wanted, and what scales them."""
    from moto.applicationautoscaling.models import applicationautoscaling_backends
    from moto.ecs.models import ecs_backends

    told = ("desired_count", "task_definition", "launch_type", "scheduling_strategy", "status")
    scaled = ("min_capacity", "max_capacity", "suspended_state", "role_arn", "scalable_dimension")
    return {
        "services": {
            place: {
                one.arn: {**fields(one, *told), "tags": tags(one.tags)}
                for one in by(b.services.values(), "arn")
            }
            for place, b in named(ecs_backends)
        },
        "targets": {
            place: {
                one.resource_id: fields(one, *scaled)
                for by_id in backend.targets.values()
                for one in by(by_id.values(), "resource_id")
            }
            for place, backend in named(applicationautoscaling_backends)
        },
    }


STATES = {
    "ecs": clusters,
    "events": rules,
    "lambda": functions,
    "pipes": pipes,
    "scheduler": schedules,
    "sns": topics,
    "sqs": queues,
    "stepfunctions": machines,
}
