"""Collects what stands behind a caller: its policies of every kind, its tags, its names."""

from __future__ import annotations

from collections.abc import Iterable

from breakglass_aws.sandbox.call import Call
from breakglass_aws.sandbox.credentials import Identity
from breakglass_aws.sandbox.evaluator import Inputs, Policy, Principal, parse
from breakglass_aws.sandbox.iam_entities import RoleView, UserView
from breakglass_aws.sandbox.keys import Keys, caller_keys
from breakglass_aws.sandbox.org_entities import SCPS, OrgPolicy
from breakglass_aws.sandbox.views import VIEWS

OF_USER = ("user", "federated")


def principal(identity: Identity, now_s: float) -> Principal:
    """Return a caller by all its names."""
    role = VIEWS.role(identity.account, identity.name, now_s) if identity.kind == "role" else None
    return Principal(
        identity.kind,
        identity.arn,
        identity.account,
        identity.issuer,
        identity.userid,
        service_linked=role is not None and role.service_linked,
    )


def policies(identity: Identity, now_s: float) -> Inputs:
    """Return the caller's own policies, what limits them, and the SCPs above."""
    if identity.kind == "root":
        return Inputs(scps=_scps(identity.account, now_s))
    view = _view(identity, now_s)
    if view is None:  # gone, or made anew under its old name: its sessions have nothing
        return Inputs(session=_session(identity, now_s), scps=_scps(identity.account, now_s))
    linked = isinstance(view, RoleView) and view.service_linked
    return Inputs(
        identity=of_entity(view, identity.account, now_s),
        boundary=boundary(view, identity.account, now_s),
        session=_session(identity, now_s),
        # "SCPs do not affect any service-linked role" (Organizations User Guide)
        scps=() if linked else _scps(identity.account, now_s),
    )


def of_entity(view: RoleView | UserView, account: str, now_s: float) -> tuple[Policy, ...]:
    """Return inline and managed policies of a role, or of a user and its groups."""
    found = [*parse_all(view.inline), *managed(view.attached, account, now_s)]
    for name in view.groups if isinstance(view, UserView) else ():
        group = VIEWS.group(account, name, now_s)
        if group is not None:
            found += [*parse_all(group.inline), *managed(group.attached, account, now_s)]
    return tuple(found)


def boundary(view: RoleView | UserView, account: str, now_s: float) -> tuple[Policy, ...] | None:
    """Return the permissions boundary; one whose policy is gone allows nothing."""
    return managed((view.boundary,), account, now_s) if view.boundary else None


def keys(identity: Identity, source_ip: str, now_s: float) -> Keys:
    """Return the condition keys that the caller brings: tags of the session before those of the role."""
    view = _view(identity, now_s) if identity.kind != "root" else None
    tags = {key.lower(): value for key, value in (view.tags if view is not None else ())}
    tags |= {key.lower(): value for key, value in identity.session_tags.items()}
    found = dict(caller_keys(identity, tags, source_ip, now_s))
    org = VIEWS.organization(now_s)
    if org is not None and identity.account in org.levels:
        found["aws:principalorgid"] = (org.id,)
        found["aws:principalorgpaths"] = (org.paths[identity.account],)
    return found


def refused_to_session(call: Call, identity: Identity) -> str | None:
    """Say what sessions of a user may never call; None: this one they may.

    Source: IAM User Guide "Compare AWS STS credentials": GetFederationToken's cannot call IAM, nor STS but
    for GetCallerIdentity; GetSessionToken's call IAM only with MFA, and of STS AssumeRole and it.
    """
    if identity.kind not in OF_USER or not identity.temporary:
        return None
    if call.service == "iam" and (identity.kind == "federated" or not identity.mfa):
        return "because sessions of this kind cannot call IAM"
    if call.service == "sts" and call.operation != "GetCallerIdentity":
        return "because sessions of this kind cannot call this operation"
    return None


def parse_all(documents: Iterable[tuple[str, str]]) -> tuple[Policy, ...]:
    """Parse named documents."""
    return tuple(parse(text, name) for name, text in documents)


def parsed_levels(levels: tuple[tuple[OrgPolicy, ...], ...], kind: str) -> tuple[tuple[Policy, ...], ...]:
    """Parse an organization's policies, level by level."""
    return tuple(tuple(parse(one.document, f"{kind}:{one.id}") for one in level) for level in levels)


def _scps(account: str, now_s: float) -> tuple[tuple[Policy, ...], ...]:
    org = VIEWS.organization(now_s)
    return parsed_levels(org.policies(account, SCPS), "scp") if org is not None else ()


def _view(identity: Identity, now_s: float) -> RoleView | UserView | None:
    found: RoleView | UserView | None
    if identity.kind == "role":
        found = VIEWS.role(identity.account, identity.name, now_s)
    elif identity.kind in OF_USER:
        found = VIEWS.user(identity.account, identity.name, now_s)
    else:
        return None
    expected = identity.issuer_id or (identity.userid if identity.kind == "user" else "")
    return None if found is None or (expected and found.id != expected) else found


def _session(identity: Identity, now_s: float) -> tuple[Policy, ...] | None:
    """Return the session policies; a federated user without any may do nothing of its own."""
    if identity.session_policies is None and not identity.session_policy_arns:
        return () if identity.kind == "federated" else None
    given = [(f"session-{n}", text) for n, text in enumerate(identity.session_policies or ())]
    return (*parse_all(given), *managed(identity.session_policy_arns, identity.account, now_s))


def managed(arns: Iterable[str | None], account: str, now_s: float) -> tuple[Policy, ...]:
    """Return the default versions of managed policies that exist."""
    views = (VIEWS.policy(account, arn, now_s) for arn in arns if arn)
    return tuple(parse(view.document, view.arn) for view in views if view is not None)
