"""Reads the organization out of moto: who is in it, and which policies stand at which level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moto.organizations.models import organizations_backends

from breakglass_aws.sandbox.call import Call, Guard, Refusal

SCPS, RCPS = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"


@dataclass(frozen=True, slots=True)
class OrgPolicy:
    """A policy of the organization."""

    id: str
    type: str
    document: str


@dataclass(frozen=True, slots=True)
class OrgView:
    """An organization. `levels`: member account -> what stands at root, units, account."""

    id: str
    management: str
    enabled: frozenset[str]
    levels: Mapping[str, tuple[tuple[OrgPolicy, ...], ...]]
    paths: Mapping[str, str]
    """Account -> ``o-.../r-.../ou-.../``, the value of aws:PrincipalOrgPaths."""

    def policies(self, account: str, kind: str) -> tuple[tuple[OrgPolicy, ...], ...]:
        """Return the policies of a kind that limit an account, level by level.

        "SCPs don't affect users or roles in the management account" (Organizations User Guide); nor RCPs what
        belongs to it.
        """
        if account == self.management:
            return ()
        if kind not in self.enabled:
            return ()
        levels = self.levels.get(account, ())
        return tuple(tuple(one for one in level if one.type == kind) for level in levels)


def read() -> OrgView | None:
    """Read the organization as it is now; None: there is none."""
    found = next((one for one in _backends() if one.org is not None), None)
    if found is None:
        return None
    units = {one.id: one for one in found.ou}
    root = next(one for one in found.ou if one.type == "ROOT")
    enabled = {one["Type"] for one in root.policy_types}
    levels, paths = {}, {}
    for account in found.accounts:
        chain, parent = [account], account.parent_id
        while parent is not None and parent in units:
            chain.append(units[parent])
            parent = units[parent].parent_id
        chain.reverse()
        levels[account.id] = tuple(
            tuple(OrgPolicy(p.id, p.type, p.content or "{}") for p in one.attached_policies) for one in chain
        )
        paths[account.id] = "/".join([found.org.id, *(one.id for one in chain[:-1]), ""])
    return OrgView(found.org.id, found.org.master_account_id, frozenset(enabled), levels, paths)


def _backends() -> list:  # type: ignore[type-arg]  # moto's own objects
    return [organizations_backends[account]["aws"] for account in list(organizations_backends)]


def type_must_be_enabled(call: Call) -> None:
    """Refuse to attach a policy of a type that nobody has enabled (API reference AttachPolicy)."""
    for one in _backends():
        policy = next((p for p in one.policies if p.id == call.params.get("PolicyId")), None)
        if policy is None:
            continue
        root = next(unit for unit in one.ou if unit.type == "ROOT")
        if policy.type not in {held["Type"] for held in root.policy_types}:
            raise Refusal(
                "PolicyTypeNotEnabledException",
                "This operation can be performed only for enabled policy types.",
            )


GUARDS: Mapping[tuple[str, str], tuple[Guard, ...]] = {
    ("organizations", "AttachPolicy"): (type_must_be_enabled,)
}
