"""Proposes all that takes the agent's credentials: one look at accounts and at RBAC for all of it."""

from __future__ import annotations

from breakglass.provider import Proposed
from breakglass_kubernetes.actions import (
    bindings,
    certificates,
    group_bindings,
    minting,
    mounted_secrets,
    other_audiences,
    service_accounts,
    token_secrets,
)
from breakglass_kubernetes.actions.account_choice import choose
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.rbac import read
from breakglass_kubernetes.subjects import everybody


def propose(cluster: Cluster, found: Found) -> Proposed:
    """Return steps and doors, unbinding first.

    Raises:
        ProviderError: accounts, roles or bindings cannot be listed.
    """
    choice, said = choose(cluster, found)
    rbac = read(cluster)
    groups = group_bindings.proposed(cluster, found, choice, rbac, service_accounts.KEY)
    # Closed once no account is left to be in them.
    through = [one.door.name for one in groups.doors if service_accounts.KEY in one.closed_by]
    return (
        bindings.proposed(cluster, choice, rbac)
        .plus(groups)
        .plus(token_secrets.proposed(cluster, choice))
        .plus(service_accounts.proposed(cluster, choice, after=token_secrets.KEY, groups=through))
        .plus(minting.proposed(cluster, choice.scope, rbac, everybody(choice.accounts, choice.scope)))
        .plus(certificates.proposed(cluster, choice, rbac))
        .plus(other_audiences.proposed(found, choice))
        .plus(mounted_secrets.proposed(cluster, found, choice))
        .plus(said)
    )


_PARTS = (bindings, group_bindings, token_secrets, service_accounts)
ACTION_CLASSES = (
    *bindings.ACTION_CLASSES,
    *group_bindings.ACTION_CLASSES,
    *token_secrets.ACTION_CLASSES,
    *service_accounts.ACTION_CLASSES,
)
SPECS = tuple(spec for one in _PARTS for spec in one.SPECS)
