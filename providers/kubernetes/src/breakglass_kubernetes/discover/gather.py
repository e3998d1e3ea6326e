"""Gathers what is the agent's: what the inventory names, what is marked, what it made, who runs as it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from breakglass.model.resource import Resource
from breakglass.provider import Proposed
from breakglass_kubernetes import parts
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.custom import custom_kinds
from breakglass_kubernetes.discover import friends, marked, neighbours, privileged
from breakglass_kubernetes.discover.claims import Claims
from breakglass_kubernetes.discover.identities import Identities, identities
from breakglass_kubernetes.discover.looking import Looking, pair
from breakglass_kubernetes.discover.scalable import scalable
from breakglass_kubernetes.discover.trail import Entered, follow
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import PODS, SERVICE_ACCOUNTS, WORKLOADS, Kind
from breakglass_kubernetes.ownership import Held, Thing, held
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.whoami import Me

RUNS = (*WORKLOADS, PODS)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What discovery found, what is to be said of it, and what nobody signs for when it appears later."""

    found: Found
    proposed: Proposed
    principals: tuple[Resource, ...]


@dataclass(frozen=True, slots=True)
class _Look:
    scope: Scope
    things: Sequence[Thing]
    who: Identities

    @property
    def held(self) -> Held:
        """Return what is the agent's of the things."""
        return held(self.scope, self.things)


def gather(cluster: Cluster, me: Me) -> Gathered:
    """Look everywhere; a listing that fails is said, and the others go on."""
    looking, claims = Looking(cluster), Claims()
    inventory = named(cluster, me)
    none: Mapping[str, Kind] = {}
    custom = looking.attempt("custom resources", lambda: custom_kinds(cluster), none)
    marked.look(looking, inventory, claims, _acted_on(custom))
    look = _look(looking, claims.widen(inventory))
    entered = Entered()
    if path := cluster.settings.text("audit_log"):
        before = claims.widen(look.scope)
        pods = frozenset(pair(thing.body) for thing in look.held.of(PODS))
        entered = follow(looking, look.scope, claims, path, pods)
        if claims.widen(look.scope) != before:
            look = _look(looking, claims.widen(inventory))
    scope, mine = look.scope, look.held
    friends.certificates(scope, claims, looking.every(friends.CERTIFICATES))
    _strangers_entered(claims, mine, entered)
    privileged.doors(mine, claims)
    neighbours.say(looking, inventory, look.things, mine, look.who, claims)
    scales, paths = scalable(looking, scope, claims)
    origins = {f"serviceaccounts/{one}": why for one, why in look.who.origins.items()}
    found = Found(
        scope,
        mine,
        custom=custom,
        scalable=scales,
        scale_paths=paths,
        sharers=look.who.sharers,
        origins={**origins, **look.who.copies, **claims.origins},
        user=me.name,
        user_groups=me.groups,
        webhooks=tuple(claims.webhooks),
        policy_bindings=tuple(claims.policy_bindings),
        api_services=tuple(claims.api_services),
    )
    proposed = claims.proposed.plus(Proposed(incomplete=tuple(dict.fromkeys(looking.incomplete))))
    return Gathered(found, proposed, _principals(inventory, look, claims))


def _acted_on(custom: Mapping[str, Kind]) -> tuple[Kind, ...]:
    """Return the custom resources in which a label makes a difference: those that some action looks at."""
    listed = {need for spec in parts.SPECS for need in spec.permissions}
    return tuple(kind for name, kind in custom.items() if kind.namespaced and f"list {name}" in listed)


def named(cluster: Cluster, me: Me) -> Scope:
    """Return what the inventory names; the executor's own pods are nobody else's."""
    settings = cluster.settings
    accounts = settings.texts("service_accounts")
    return Scope(
        agent=cluster.connection.agent.name,
        namespaces=settings.namespaces,
        selector=settings.text("selector"),
        own=settings.namespaces if settings.flag("own_namespace") else (),
        workloads=settings.texts("workloads"),
        accounts=accounts,
        users=settings.texts("users"),
        groups=settings.texts("groups"),
        made_by=settings.texts("field_managers"),
        # Where the inventory itself names the executor, preflight refuses; nobody else's word may spare it.
        executors=(me.account,) if me.account and me.account not in accounts else (),
    )


def _look(looking: Looking, scope: Scope) -> _Look:
    """Read what lies in the agent's namespaces, and decide which accounts are its own."""
    if scope.own:
        homes = looking.things_in((SERVICE_ACCOUNTS,), scope.own)
        every = dict.fromkeys((*scope.accounts, *(pair(thing.body) for thing in homes)))
        scope = replace(scope, accounts=tuple(one for one in every if one not in scope.executors))
    things = looking.things_in(RUNS, scope.look_in)
    since = looking.cluster.connection.since
    accepted = looking.cluster.settings.texts("accept_blast_radius")
    who = identities(scope, things, since, accepted)
    return _Look(who.narrow(scope), things, who)


def _strangers_entered(claims: Claims, mine: Held, entered: Entered) -> None:
    own = {thing.key for thing in mine.things}
    for key, deed in entered.bodies.items():
        if key not in own and key not in claims.workloads:
            claims.befriend(
                key,
                f"{deed}, and it is not the agent's: what was left there is not known",
                "look at it by hand; name it in workloads if the agent goes on in it",
            )


_COME_AND_GO = ("pods/", "jobs.batch/")


def _principals(inventory: Scope, look: _Look, claims: Claims) -> tuple[Resource, ...]:
    """Return what the rules of a signed scope may not cover when it appears after the signatures.

    What they do cover comes and goes with the agent's work, and steps close over it. Who else runs as a
    shared account is in here, too: a newcomer may be a copy. Single pods and jobs of a namespace's default
    account are not: everybody's come and go.
    """
    accounts = tuple(Resource("kubernetes-account", one, one, {}) for one in look.scope.every_account)
    found = [key for key in look.scope.workloads if key not in inventory.workloads]
    for account in look.scope.shared:
        default = account.endswith("/default")
        found += [
            key for key in look.who.sharers.get(account, ()) if not (default and key.startswith(_COME_AND_GO))
        ]
    others = (Resource("kubernetes-workload", key, key, {}) for key in dict.fromkeys(found))
    rest = (one for one in claims.principals() if one.kind != "kubernetes-workload" or one.id not in found)
    return (*accounts, *others, *rest)
