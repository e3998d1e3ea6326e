"""Reads the tags of a resource out of moto, for ``aws:ResourceTag`` conditions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.iam_entities import backend, role_named


def of(arn: str, call: Call) -> Mapping[str, str]:
    """Return a resource's tags; none where it does not exist or its service is not known here."""
    parts = arn.split(":", 5)
    if len(parts) < 6:  # noqa: PLR2004 - the parts of an ARN
        return {}
    with contextlib.suppress(KeyError, AttributeError, LookupError):
        return {
            "iam": _iam,
            "lambda": _lambda,
            "sqs": _sqs,
            "ec2": _ec2,
        }.get(parts[2], _none)(arn, parts, call)
    return {}


def _none(_: str, __: list[str], ___: Call) -> Mapping[str, str]:
    return {}


def _iam(_: str, parts: list[str], __: Call) -> Mapping[str, str]:
    kind, _, path = parts[5].partition("/")
    name = path.rpartition("/")[2]
    found = role_named(parts[4], name) if kind == "role" else backend(parts[4]).users.get(name)
    if kind not in ("role", "user") or found is None:
        return {}
    return {one["Key"]: one["Value"] for one in found.tags or ()}


def _lambda(_: str, parts: list[str], __: Call) -> Mapping[str, str]:
    from moto.awslambda.models import lambda_backends

    name = parts[5].removeprefix("function:").partition(":")[0]
    functions = lambda_backends[parts[4]][parts[3]].list_functions()
    found = next((one for one in functions if one.function_name == name), None)
    return dict(found.tags or {}) if found is not None else {}


def _sqs(_: str, parts: list[str], __: Call) -> Mapping[str, str]:
    from moto.sqs.models import sqs_backends

    return dict(sqs_backends[parts[4]][parts[3]].queues[parts[5]].tags)


def _ec2(_: str, parts: list[str], __: Call) -> Mapping[str, str]:
    from moto.ec2.models import ec2_backends

    held = ec2_backends[parts[4]][parts[3]].tags.get(parts[5].rpartition("/")[2], {})
    return {str(key): str(value) for key, value in held.items()}
