"""Decides which service accounts are the agent's alone, and who else runs as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from breakglass.clock import Instant
from breakglass_kubernetes.objects import account_of, is_since, text
from breakglass_kubernetes.ownership import Thing, held, tops
from breakglass_kubernetes.scope import Scope

COPY = "it runs as {account}, an account of the agent's, and was made since the harm began"


@dataclass(frozen=True, slots=True)
class Identities:
    """Who runs as what."""

    accounts: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    """Account -> why it is the agent's, where nobody named it."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Key of a workload -> why it is the agent's."""
    sharers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Account -> keys of the workloads that run as it and are somebody else's."""

    def narrow(self, scope: Scope) -> Scope:
        """Return the scope with these accounts. A copy is named where its account alone does not tell."""
        named = [key for key in self.copies if self._by_shared(key)]
        return replace(
            scope,
            accounts=self.accounts,
            shared=self.shared,
            workloads=tuple(dict.fromkeys((*scope.workloads, *named))),
        )

    def _by_shared(self, key: str) -> bool:
        return any(f"runs as {account}," in self.copies[key] for account in self.shared)


def identities(
    scope: Scope, things: Sequence[Thing], since: Instant | None, accepted: Iterable[str] = ()
) -> Identities:
    """Look at every workload that runs as an account of the agent's or of its workloads.

    One that no rule covers is a copy where it was made since the harm began; an older one is a sharer, and
    the account is shared then, unless the inventory accepts that.
    """
    # By every rule but that of the accounts, which is to be decided here.
    mine = held(replace(scope, accounts=(), shared=()), things)
    owned = {thing.uid for thing in mine.things}
    runs_as: dict[str, str] = {}
    for thing in mine.roots:
        account = account_of(thing.body)
        if account and account not in scope.executors:
            runs_as.setdefault(account, f"{thing.key} runs as it")
    named = dict.fromkeys((*scope.accounts, *scope.shared))
    accounts = dict.fromkeys((*named, *runs_as))
    copies, sharers = _others(things, owned, accounts, since)
    take = frozenset(accepted)
    shared = tuple(one for one in accounts if sharers.get(one) and one not in take)
    return Identities(
        accounts=tuple(one for one in accounts if one not in shared),
        shared=shared,
        origins={one: why for one, why in runs_as.items() if one not in named},
        copies=copies,
        sharers={account: tuple(sorted(keys)) for account, keys in sharers.items()},
    )


def _others(
    things: Sequence[Thing], owned: set[str], accounts: Mapping[str, object], since: Instant | None
) -> tuple[dict[str, str], dict[str, list[str]]]:
    copies: dict[str, str] = {}
    sharers: dict[str, list[str]] = {}
    top = tops(things)
    for thing in things:
        account = account_of(thing.body)
        if account not in accounts or thing.uid in owned or top[thing.uid] != thing.uid:
            continue
        if since is not None and is_since(text(thing.body, "metadata", "creationTimestamp"), since):
            copies[thing.key] = COPY.format(account=account)
        else:
            sharers.setdefault(account, []).append(thing.key)
    return copies, sharers
