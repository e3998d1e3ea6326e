"""Where data lies: buckets, logs, secrets, keys, streams."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.states.reading import by, fields, named, plain, tags


def buckets() -> dict[str, Any]:
    """Return buckets' policies, versioning and lock."""
    from moto.s3.models import s3_backends

    told = ("versioning_status", "object_lock_enabled", "default_lock_mode", "public_access_block")
    return {
        place: {
            one.name: {**fields(one, *told), "policy": _text(one.policy)}
            for one in by(backend.buckets.values(), "name")
        }
        for place, backend in named(s3_backends)
    }


def _text(value: object) -> str | None:
    return value.decode() if isinstance(value, bytes) else None if value is None else str(value)


def logs() -> dict[str, Any]:
    """Return log groups' retention, keys and subscriptions."""
    from moto.logs.models import logs_backends

    return {
        place: {
            one.name: {
                **fields(one, "retention_in_days", "kms_key_id"),
                "subscriptions": sorted(one.subscription_filters),
            }
            for one in by(backend.groups.values(), "name")
        }
        for place, backend in named(logs_backends)
    }


def secrets() -> dict[str, Any]:
    """Return secrets' policies and whether they are being deleted; never a value."""
    from moto.secretsmanager.models import secretsmanager_backends

    return {
        place: {
            one.name: {**fields(one, "policy", "rotation_enabled", "kms_key_id"), "deleted": one.is_deleted()}
            for one in by(set(backend.secrets.values()), "name")
        }
        for place, backend in named(secretsmanager_backends)
    }


def keys() -> dict[str, Any]:
    """Return keys' policies, states and grants."""
    from moto.kms.models import kms_backends

    return {
        place: {
            one.id: {
                **fields(one, "policy", "key_state", "enabled", "key_rotation_status"),
                "grants": {
                    grant.id: fields(grant, "grantee_principal", "operations", "retiring_principal")
                    for grant in by(one.grants.values(), "id")
                },
            }
            for one in by(backend.keys.values(), "id")
        }
        for place, backend in named(kms_backends)
    }


def streams() -> dict[str, Any]:
    """Return streams' policies and retention."""
    from moto.kinesis.models import kinesis_backends

    return {
        place: {
            "streams": {
                one.stream_name: {
                    **fields(one, "retention_period_hours", "status"),
                    "consumers": sorted(consumer.consumer_arn for consumer in one.consumers),
                    "tags": tags(one.tags),
                }
                for one in by(backend.streams.values(), "stream_name")
            },
            "policies": plain(getattr(backend, "resource_policies", {})),
        }
        for place, backend in named(kinesis_backends)
    }


STATES = {"kinesis": streams, "kms": keys, "logs": logs, "s3": buckets, "secretsmanager": secrets}
