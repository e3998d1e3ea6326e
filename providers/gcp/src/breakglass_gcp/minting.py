"""Decides which roles of a whole project may let somebody act as every service account of it.

IAM documentation, "IAM basic and predefined roles reference": by tokens or keys of theirs, by writing the
policies that give those, or by running work as them (iam.serviceAccounts.actAs), whose tokens it then reads.
"""

from __future__ import annotations

import re

MINTING = frozenset(
    {
        "roles/editor",
        "roles/iam.securityAdmin",
        "roles/iam.serviceAccountAdmin",
        "roles/iam.serviceAccountKeyAdmin",
        "roles/iam.serviceAccountOpenIdTokenCreator",
        "roles/iam.serviceAccountTokenCreator",
        "roles/iam.serviceAccountUser",
        "roles/iam.workloadIdentityUser",
        "roles/owner",
        "roles/resourcemanager.projectIamAdmin",
    }
)
MINTS = frozenset(
    {
        "iam.serviceAccountKeys.create",
        "iam.serviceAccounts.actAs",
        "iam.serviceAccounts.getAccessToken",
        "iam.serviceAccounts.implicitDelegation",
        "iam.serviceAccounts.setIamPolicy",
        "iam.serviceAccounts.signBlob",
        "iam.serviceAccounts.signJwt",
        "resourcemanager.projects.setIamPolicy",
    }
)
_OF_SERVICES = re.compile(r"roles/[\w.]+[sS]erviceAgent")
"""Roles of Google's own agents ("Service agents", the same documentation): many mint for their customers."""


def predefined_mints(role: str) -> bool:
    """Return whether a role of Google's may let its members act as the accounts of a project."""
    return role in MINTING or _OF_SERVICES.fullmatch(role) is not None


def may_mint(role: str) -> bool:
    """Return the same of any role, by its name alone: a custom one may hold anything."""
    return predefined_mints(role) or not role.startswith("roles/")
