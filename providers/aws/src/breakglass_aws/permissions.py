"""Writes the executor's least rights as IAM policy documents, from what the actions declare."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.model.resource import Reach
from breakglass_aws import parts


def documents(purpose: str, reaches: Sequence[Reach]) -> Sequence[JsonObject]:  # noqa: ARG001 - narrowed next
    """Return the policy for ``stop`` or ``restore``."""
    wanted = {"sts:GetCallerIdentity"}
    for spec in parts.SPECS:
        wanted.update(spec.permissions if purpose == "stop" else (spec.undo_permissions or spec.permissions))
    actions: list[Json] = [*sorted(wanted)]
    statement: JsonObject = {
        "Sid": "Breakglass",
        "Effect": "Allow",
        "Action": actions,
        "Resource": "*",
    }
    return [{"Version": "2012-10-17", "Statement": [statement]}]
