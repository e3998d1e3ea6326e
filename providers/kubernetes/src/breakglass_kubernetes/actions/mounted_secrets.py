"""Lists for rotation the Secrets that the agent's pods are given: it has read them.

What lies in one is valid somewhere else and no step revokes it there, so it is not hidden: a door of its own.
Whether it is a key to production or a setting nobody can tell from here: it makes the verdict unknown, not
worse; a tool of the inventory, or a person's statement that it was rotated, says more. Image pull Secrets
are shown to the kubelet and not to the pods: they are only listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.actions.token_secrets import ACCOUNT, TYPE
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import SECRETS
from breakglass_kubernetes.objects import Body, bodies, part, pod_spec_of, text
from breakglass_kubernetes.ownership import tops

MOST = 100
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@dataclass(frozen=True, slots=True)
class Named:
    """A Secret that a pod of the agent's names."""

    namespace: str
    name: str
    must: bool = False
    """Whether a pod that names it does not start without it."""


def proposed(cluster: Cluster, found: Found, choice: Choice) -> Proposed:
    """Return a door for each Secret that a pod of the agent's can read."""
    given: dict[tuple[str, str], dict[str, None]] = {}
    pulled: dict[tuple[str, str], dict[str, None]] = {}
    needed: set[tuple[str, str]] = set()
    keys = {thing.uid: thing.key for thing in found.held.things}
    makers = {uid: keys[top] for uid, top in tops(found.held.things).items()}
    for thing in found.held.things:  # a pod may be given more than its template says
        spec = pod_spec_of(thing.body)
        who = makers.get(thing.uid, thing.key)
        for name, optional in read_by(spec).items():
            given.setdefault((thing.namespace, name), {})[who] = None
            needed |= set() if optional else {(thing.namespace, name)}
        for one in bodies(spec, "imagePullSecrets"):
            pulled.setdefault((thing.namespace, text(one, "name")), {})[who] = None
    said = Proposed()
    for (namespace, name), users in sorted(given.items())[:MOST]:
        must = (namespace, name) in needed
        said = said.plus(_door(cluster, choice, Named(namespace, name, must=must), [*users]))
    # Each is a call: a pod that names thousands must not hold up the plan.
    if rest := [SECRETS.key(*pair) for pair in sorted(given)[MOST:]]:
        said = said.plus(Proposed(doors=(_left(rest),)))
    for (namespace, name), users in sorted(pulled.items()):
        if (namespace, name) not in given:
            why = f"pulls images of {some([*users])}; rotate it if the agent could read Secrets there"
            said = said.plus(Proposed(not_touched=(NotTouched(SECRETS.key(namespace, name), why[:500]),)))
    return said


def _left(keys: list[str]) -> ProposedDoor:
    reason = f"listed for rotation: the agent was given these, and they were not looked at: {some(keys)}"
    remedy = "list the Secrets that its pods name, and rotate each where it was issued"
    name = f"{len(keys)} more Secrets"
    door = Door(DoorKind.CREDENTIAL_WITHHELD, name, reason[:500], remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(door)


def _door(cluster: Cluster, choice: Choice, secret: Named, users: list[str]) -> Proposed:
    keys, what = "keys not read", "the agent has read it"
    try:
        body = cluster.maybe(SECRETS, secret.namespace, secret.name)
    except ProviderError:
        body = {}
    if body is None:
        if not secret.must:
            return Proposed()
        # Whoever deletes a Secret does not revoke what was in it, and the agent may have.
        keys, what = "it is not there any more", "what it held may be known"
    elif body:
        account = f"{secret.namespace}/{text(body, 'metadata', 'annotations', ACCOUNT)}"
        if text(body, "type") == TYPE and choice.cut.takes_account(account):
            return Proposed()
        keys = some(sorted(str(one) for one in part(body, "data"))) or "no keys"
    door = Door(
        kind=DoorKind.CREDENTIAL_WITHHELD,
        name=SECRETS.key(secret.namespace, secret.name)[:200],
        reason=f"listed for rotation: {what} ({keys}); given to {some(users)}"[:500],
        remedy="rotate it where it was issued, then change the Secret",
        owner="",
        closed_by=(),
        verdict=Verdict.UNKNOWN,
    )
    return Proposed(doors=(ProposedDoor(door),))


def read_by(spec: Body) -> Mapping[str, bool]:
    """Return the names of the Secrets that a pod's containers can read, and whether it starts without."""
    named: list[tuple[str, Body]] = []
    for volume in bodies(spec, "volumes"):
        named.append((text(volume, "secret", "secretName"), part(volume, "secret")))
        sources = bodies(volume, "projected", "sources")
        named += [(text(one, "secret", "name"), part(one, "secret")) for one in sources]
        # A driver gets its Secret from the kubelet, yet what it mounts comes by it (API reference, Volume).
        named.append((text(volume, "csi", "nodePublishSecretRef", "name"), {}))
    for group in _CONTAINERS:
        for container in bodies(spec, group):
            keys = (part(one, "valueFrom", "secretKeyRef") for one in bodies(container, "env"))
            whole = (part(one, "secretRef") for one in bodies(container, "envFrom"))
            named += [(text(one, "name"), one) for one in (*keys, *whole)]
    seen: dict[str, bool] = {}
    for name, one in named:
        if name:
            seen[name] = seen.get(name, True) and one.get("optional") is True
    return seen
