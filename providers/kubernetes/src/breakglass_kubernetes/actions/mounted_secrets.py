"""Lists for rotation the Secrets that the agent's pods are given: it has read them.

What lies in one is valid somewhere else and no step revokes it there, so it is not hidden: a door of its own.
Whether it is a key to production or a setting nobody can tell from here: it makes the verdict unknown, not
worse; a tool of the inventory, or a person's statement that it was rotated, says more. Image pull Secrets
are shown to the kubelet and not to the pods: they are only listed.
"""

from __future__ import annotations

from collections.abc import Iterator

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

MOST = 100
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def proposed(cluster: Cluster, found: Found, choice: Choice) -> Proposed:
    """Return a door for each Secret that a pod of the agent's can read."""
    given: dict[tuple[str, str], list[str]] = {}
    pulled: dict[tuple[str, str], list[str]] = {}
    for thing in found.held.things:  # a pod may be given more than its template says
        spec = pod_spec_of(thing.body)
        for name in read_by(spec):
            given.setdefault((thing.namespace, name), []).append(thing.key)
        for one in bodies(spec, "imagePullSecrets"):
            pulled.setdefault((thing.namespace, text(one, "name")), []).append(thing.key)
    said = Proposed()
    for (namespace, name), users in sorted(given.items())[:MOST]:
        said = said.plus(_door(cluster, choice, namespace, name, users))
    # Each is a call: a pod that names thousands must not hold up the plan.
    if rest := [SECRETS.key(*pair) for pair in sorted(given)[MOST:]]:
        said = said.plus(Proposed(doors=(_left(rest),)))
    for (namespace, name), users in sorted(pulled.items()):
        if (namespace, name) not in given:
            why = f"pulls images of {some(users)}; rotate it if the agent could read Secrets there"
            said = said.plus(Proposed(not_touched=(NotTouched(SECRETS.key(namespace, name), why[:500]),)))
    return said


def _left(keys: list[str]) -> ProposedDoor:
    reason = f"listed for rotation: the agent was given these, and they were not looked at: {some(keys)}"
    remedy = "list the Secrets that its pods name, and rotate each where it was issued"
    name = f"{len(keys)} more Secrets"
    door = Door(DoorKind.CREDENTIAL_WITHHELD, name, reason[:500], remedy, "", (), Verdict.UNKNOWN)
    return ProposedDoor(door)


def _door(cluster: Cluster, choice: Choice, namespace: str, name: str, users: list[str]) -> Proposed:
    keys = "keys not read"
    try:
        body = cluster.maybe(SECRETS, namespace, name)
    except ProviderError:
        pass
    else:
        if body is None:
            return Proposed()
        account = f"{namespace}/{text(body, 'metadata', 'annotations', ACCOUNT)}"
        if text(body, "type") == TYPE and choice.cut.takes_account(account):
            return Proposed()
        keys = some(sorted(str(one) for one in part(body, "data"))) or "no keys"
    door = Door(
        kind=DoorKind.CREDENTIAL_WITHHELD,
        name=SECRETS.key(namespace, name)[:200],
        reason=f"listed for rotation: the agent has read it ({keys}); given to {some(users)}"[:500],
        remedy="rotate it where it was issued, then change the Secret",
        owner="",
        closed_by=(),
        verdict=Verdict.UNKNOWN,
    )
    return Proposed(doors=(ProposedDoor(door),))


def read_by(spec: Body) -> Iterator[str]:
    """Yield the names of the Secrets that a pod's containers can read, each as often as it is given."""
    seen: dict[str, None] = {}
    for volume in bodies(spec, "volumes"):
        seen[text(volume, "secret", "secretName")] = None
        seen.update((text(one, "secret", "name"), None) for one in bodies(volume, "projected", "sources"))
        # A driver gets its Secret from the kubelet, yet what it mounts comes by it (API reference, Volume).
        seen[text(volume, "csi", "nodePublishSecretRef", "name")] = None
    for group in _CONTAINERS:
        for container in bodies(spec, group):
            for one in bodies(container, "env"):
                seen[text(one, "valueFrom", "secretKeyRef", "name")] = None
            for one in bodies(container, "envFrom"):
                seen[text(one, "secretRef", "name")] = None
    seen.pop("", None)
    yield from seen
