"""IAM and Organizations: who may do what."""

from __future__ import annotations

from typing import Any

from breakglass_aws.sandbox.states.reading import by, fields, named, plain, tags


def iam() -> dict[str, Any]:
    """Return users, groups, roles, policies and profiles."""
    from moto.iam.models import iam_backends

    return {place: _account(backend) for place, backend in named(iam_backends)}


def _account(backend: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    tagger = backend.tagger
    return {
        "users": {one.name: _user(backend, one) for one in by(backend.users.values(), "name")},
        "groups": {
            one.name: {**_policies(one), "id": one.id, "users": sorted(user.name for user in one.users)}
            for one in by(backend.groups.values(), "name")
        },
        "roles": {one.name: _role(one) for one in by(backend.roles.values(), "name")},
        "policies": {
            one.arn: {
                "default": one.default_version_id,
                "versions": {version.version_id: version.document for version in one.versions},
                "tags": tags(one.tags),
            }
            for one in by(backend.managed_policies.values(), "arn")
            if not one.arn.startswith("arn:aws:iam::aws:")
        },
        "profiles": {
            one.name: {"id": one.id, "roles": sorted(role.name for role in one.roles)}
            for one in by(backend.instance_profiles.values(), "name")
        },
        "oidc": {
            arn: {**fields(one, "client_id_list", "thumbprint_list"), "tags": tags(one.tags)}
            for arn, one in sorted(backend.open_id_providers.items())
        },
        "tags": {arn: tags(tagger.list_tags_for_resource(arn)["Tags"]) for arn in sorted(tagger.tags)},
    }


def _policies(one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {"inline": plain(one.policies), "attached": sorted(one.managed_policies)}


def _user(backend: Any, one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {
        **_policies(one),
        "id": one.id,
        "path": one.path,
        "keys": {key.access_key_id: key.status for key in by(one.access_keys, "access_key_id")},
        "console": bool(one.password),
        "reset_required": bool(one.password_reset_required),
        "mfa": sorted(one.mfa_devices),
        "groups": sorted(
            group.name
            for group in backend.groups.values()
            if any(user.name == one.name for user in group.users)
        ),
        **fields(one, "permissions_boundary_arn"),
    }


def _role(one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {
        **_policies(one),
        **fields(one, "id", "path", "description", "max_session_duration", "permissions_boundary_arn"),
        "trust": plain(one.assume_role_policy_document),
        "tags": tags(one.tags),
    }


def organizations() -> dict[str, Any]:
    """Return policies, their targets and where every account is."""
    from moto.organizations.models import organizations_backends

    return {
        place: {
            "policies": {
                one.id: {**fields(one, "name", "type", "description"), "content": plain(one.content)}
                for one in by(backend.policies, "id")
            },
            "units": {one.id: _node(one) for one in by(backend.ou, "id")},
            "accounts": {one.id: _node(one) for one in by(backend.accounts, "id")},
        }
        for place, backend in named(organizations_backends)
        if backend.org is not None
    }


def _node(one: Any) -> dict[str, Any]:  # noqa: ANN401 - moto's
    return {
        **fields(one, "name", "parent_id", "status"),
        "attached": sorted(policy.id for policy in one.attached_policies),
        "tags": tags(one.tags),
    }


STATES = {"iam": iam, "organizations": organizations}
