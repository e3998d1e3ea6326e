"""Allow policies of resources: read, written with an etag, tested for the caller; for any service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import audited, authorise, roles
from breakglass_gcp.sandbox.projects import project_in
from breakglass_gcp.sandbox.tokens import EMAILS

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

CONDITIONS = 3
"""google/iam/v1/policy.proto: the version of policies that have conditions."""
Exists = Callable[["World", str], bool]


def handlers(
    start: str, permissions: str, exists: Exists | None = None
) -> Mapping[str, Callable[[World, Call], Any]]:
    """Return the three handlers of a service.

    `start` is the path before the method (``/google.cloud.run.v2.Services/``), `permissions` the kind in
    permissions (``run.services``), `exists` tells whether there is the resource of a (canonical) name.
    """
    return {
        f"{start}GetIamPolicy": lambda world, call: read(world, call, permissions, exists),
        f"{start}SetIamPolicy": lambda world, call: write(world, call, permissions, exists),
        f"{start}TestIamPermissions": lambda world, call: answer_permissions(world, call, exists),
    }


def read(world: World, call: Call, permissions: str, exists: Exists | None = None) -> Any:  # noqa: ANN401 - Policy
    """Return the policy of a resource.

    IAM REST reference, GetPolicyOptions: a version below 3 is answered without conditional role bindings'
    conditions; role names of such bindings carry ``_withcond_``.
    """
    name = authorise.canonical(world, call.request.resource)
    call.needs(f"{permissions}.getIamPolicy", name)
    _there(world, call, name, exists)
    policy = world.policy(name)
    if call.request.options.requested_policy_version < CONDITIONS:
        policy.version = min(policy.version, 1)
        for binding in policy.bindings:
            if binding.condition.expression:
                binding.ClearField("condition")
                binding.role += "_withcond_sandbox"
    return policy


def write(world: World, call: Call, permissions: str, exists: Exists | None = None) -> Any:  # noqa: ANN401 - Policy
    """Set the policy of a resource.

    google/iam/v1/policy.proto, etag: with one, the policy is overwritten only if it did not change since;
    without one, blindly. Conditions need version 3 and an etag.
    """
    name = authorise.canonical(world, call.request.resource)
    call.needs(f"{permissions}.setIamPolicy", name)
    _there(world, call, name, exists)
    asked, held = call.request.policy, world.policy(name)
    if asked.etag and asked.etag != held.etag:
        call.fail(
            "ABORTED",
            "There were concurrent policy changes. Please retry the whole read-modify-write with "
            "exponential backoff.",
        )
    if any(binding.condition.expression for binding in asked.bindings) and asked.version != CONDITIONS:
        call.fail("INVALID_ARGUMENT", "Policy version must be 3 when it has a conditional role binding.")
    if any(one.condition.expression for one in held.bindings) and (
        asked.version != CONDITIONS or not asked.etag
    ):
        call.fail("INVALID_ARGUMENT", "The policy has conditions: version 3 and an etag are required.")
    _valid(world, call, asked)
    call.deltas = audited.deltas(held, asked)
    return world.put_policy(name, asked)


def answer_permissions(world: World, call: Call, exists: Exists | None = None) -> object:
    """Answer which of the asked permissions the caller has."""
    from google.iam.v1 import iam_policy_pb2

    name = authorise.canonical(world, call.request.resource)
    _there(world, call, name, exists)
    return iam_policy_pb2.TestIamPermissionsResponse(
        permissions=[one for one in call.request.permissions if call.may(one, name)]
    )


def _valid(world: World, call: Call, policy: Any) -> None:  # noqa: ANN401 - Policy
    """Refuse a policy that names what there is not.

    IAM documentation, "Troubleshoot allow policies": a binding of an account that does not exist (it was
    deleted in the meantime) makes the whole write fail.
    """
    for binding in policy.bindings:
        if not binding.role or ("/roles/" in binding.role and not roles.known(world, binding.role)):
            call.fail("INVALID_ARGUMENT", f"Role {binding.role} is not supported for this resource.")
        for member in binding.members:
            kind, _, name = member.partition(":")
            if member not in ("allUsers", "allAuthenticatedUsers") and not name:
                call.fail("INVALID_ARGUMENT", f"Invalid principal {member}: the type prefix is missing.")
            ours = kind == "serviceAccount" and project_in(name) in world.projects
            if ours and name not in world.table(EMAILS):
                call.fail("INVALID_ARGUMENT", f"Service account {name} does not exist.")


def _there(world: World, call: Call, name: str, exists: Exists | None) -> None:
    if exists is not None and not exists(world, name):
        call.fail("NOT_FOUND", f"Resource '{name}' was not found.")
