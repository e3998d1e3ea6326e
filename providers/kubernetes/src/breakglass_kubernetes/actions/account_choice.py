"""Chooses whose rights and tokens are taken: never the executor's own, and no shared account unasked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from breakglass.canon import Json
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import name_of, namespace_of, uid_of
from breakglass_kubernetes.scope import Scope, target
from breakglass_kubernetes.subjects import GROUP_PREFIX, SPARED, Cut, account_of_user


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom the steps of this part act on."""

    scope: Scope
    """The agent's, without what is spared."""
    spared: tuple[str, ...]
    uids: dict[str, str]
    """``NS/NAME`` of each account that exists now and is cut -> its uid."""
    affects: tuple[str, ...]
    """Who else is cut off with an account, as the inventory accepts."""

    @property
    def cut(self) -> Cut:
        """Return whose rights are taken."""
        return Cut.of(self.target("", ""))

    @property
    def is_empty(self) -> bool:
        """Return whether there is nobody."""
        scope = self.scope
        return not (scope.accounts or scope.own or scope.users or scope.groups)

    @property
    def accounts(self) -> tuple[str, ...]:
        """Return every account that is cut now, those that do not exist (yet) among them."""
        return tuple(dict.fromkeys((*self.scope.accounts, *self.uids)))

    def target(self, cluster_uid: str, label: str, **more: Json) -> Resource:
        """Return the target of a step on them."""
        whole: dict[str, Json] = {SPARED: list(self.spared), **more}
        return target(self.scope, cluster_uid, label, **whole)


def choose(cluster: Cluster, found: Found) -> tuple[Choice, Proposed]:
    """Return whom to act on, and what is said of those that are left alone.

    Raises:
        ProviderError: the accounts of the agent's namespaces cannot be listed.
    """
    scope = found.scope
    accepted = frozenset(cluster.settings.texts("accept_blast_radius"))
    live = {
        f"{namespace_of(one)}/{name_of(one)}": uid_of(one)
        for one in cluster.list_in(SERVICE_ACCOUNTS, homes(scope))
    }
    everyone = dict.fromkeys(
        (*scope.every_account, *(one for one in live if one.partition("/")[0] in scope.own))
    )
    mine = account_of_user(found.user)
    spared: list[str] = []
    said = Proposed()
    for account in everyone:
        if account == mine or account in scope.executors:
            said = said.plus(_own_branch(f"service account {account}"))
        elif (others := _sharers(found, account)) and account not in accepted:
            said = said.plus(_shared(account, others))
        else:
            continue
        spared.append(account)
    for user in {found.user} & set(scope.users):
        said = said.plus(_own_branch(f"user {user}"))
    for group in set(found.user_groups) & set(scope.groups):
        said = said.plus(_own_branch(f"group {group}"))
    cut = tuple(one for one in everyone if one not in spared)
    scope = replace(
        scope,
        accounts=cut,
        shared=(),
        users=tuple(one for one in scope.users if one != found.user),
        groups=tuple(one for one in scope.groups if one not in found.user_groups),
    )
    # Nor one that appears in these namespaces only after this look.
    spared = [*dict.fromkeys((*spared, *(one for one in (mine, *scope.executors) if one)))]
    affects = tuple(
        dict.fromkeys(f"{other} (runs as {account})" for account in cut for other in _sharers(found, account))
    )
    return Choice(scope, tuple(spared), {one: live[one] for one in cut if one in live}, affects), said


def homes(scope: Scope) -> tuple[str, ...]:
    """Return the namespaces of the agent's accounts."""
    named = (one.partition("/")[0] for one in scope.every_account)
    return tuple(dict.fromkeys((*scope.own, *named)))


def is_own_group(found: Found, choice: Choice, namespace: str, live: Sequence[str]) -> bool:
    """Return whether all accounts of a namespace are cut: then its group is the agent's alone."""
    if GROUP_PREFIX + namespace in found.user_groups:
        return False
    if any(one.partition("/")[0] == namespace for one in choice.spared):
        return False
    return namespace in choice.scope.own or set(live) <= set(choice.accounts)


def _sharers(found: Found, account: str) -> tuple[str, ...]:
    others = found.sharers.get(account, ())
    return others or (("workloads of others",) if account in found.scope.shared else ())


def _own_branch(what: str) -> Proposed:
    why = "the executor acts as it: no step cuts its own branch"
    door = Door(
        DoorKind.NO_STEP,
        what[:200],
        why,
        "give the executor an identity of its own",
        "",
        (),
        Verdict.NOT_CONTAINED,
    )
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(what[:200], why),))


def _shared(account: str, others: Sequence[str]) -> Proposed:
    users = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")  # noqa: PLR2004 - shown
    why = f"shared with {users}: its tokens and rights stay"[:500]
    remedy = f"put {account} into accept_blast_radius, or give the others an account of their own"
    door = Door(
        DoorKind.CREDENTIAL_WITHHELD,
        f"service account {account}",
        why,
        remedy,
        "",
        (),
        Verdict.NOT_CONTAINED,
    )
    return Proposed(doors=(ProposedDoor(door),), not_touched=(NotTouched(f"service account {account}", why),))
