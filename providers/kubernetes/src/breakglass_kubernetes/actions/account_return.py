"""Makes a deleted service account again, as it was but for uid and times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from breakglass.errors import Gone, Transient
from breakglass.provider import Outcome
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.glance import Read
from breakglass_kubernetes.kinds import SERVICE_ACCOUNTS, Kind
from breakglass_kubernetes.objects import Body, bodies, managers_of, part, text, uid_of
from breakglass_kubernetes.owners import restore

TRIES = 8
_REST = ("secrets", "imagePullSecrets", "automountServiceAccountToken")


def put_back(
    cluster: Cluster, was: Body, is_emptied: Callable[[Body], bool], mark: str, read: Read
) -> Outcome:
    """Make an account again where there is none, or where the one that is there is what the stop left.

    Raises:
        Transient: somebody changes it all the time.
        ProviderError: the server refuses.
    """
    namespace, name = str(was["namespace"]), str(was["name"])
    for attempt in range(TRIES):
        try:
            return _try(cluster, was, read(namespace, name), is_emptied, mark)
        except Gone:
            # Its namespace went, or somebody deletes it all the time.
            if attempt == TRIES - 1:
                return Outcome.DRIFTED
        except Transient:
            if attempt == TRIES - 1:
                raise
    raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def _try(
    cluster: Cluster, was: Body, now: Body | None, is_emptied: Callable[[Body], bool], mark: str
) -> Outcome:
    about = {**part(was, "metadata"), "name": was["name"], "namespace": was["namespace"]}
    wanted: dict[str, Any] = {"apiVersion": "v1", "kind": "ServiceAccount", **part(was, "rest")}
    if now is None:
        made = cluster.create(SERVICE_ACCOUNTS, str(was["namespace"]), {**wanted, "metadata": about})
        hand_over(cluster, SERVICE_ACCOUNTS, made, bodies(was, "managed"))
        return Outcome.RESTORED
    if uid_of(now) == was["uid"]:
        return Outcome.ALREADY
    if not is_emptied(now):
        if _content(now, mark) != _content({**wanted, "metadata": about}, mark):
            return Outcome.DRIFTED
        if MANAGER not in managers_of(now):
            return Outcome.ALREADY
        # Made by a restore that was cut off before it gave the fields to who owned them.
        hand_over(cluster, SERVICE_ACCOUNTS, now, bodies(was, "managed"))
        return Outcome.RESTORED
    mine = _content(now, mark) in (_bare(), _content({**wanted, "metadata": about}, mark))
    live = part(now, "metadata")
    kept = {key: value for key, value in part(live, "annotations").items() if key != mark}
    if mine:
        body = {**wanted, "metadata": {**{k: v for k, v in live.items() if k not in _OWN}, **about}}
    else:
        # A deployer filled it meanwhile: what it wrote stays, our mark and our switch go.
        body = {key: value for key, value in now.items() if key != "automountServiceAccountToken"}
        body["metadata"] = {**live, "annotations": kept}
    made = cluster.replace(SERVICE_ACCOUNTS, body)
    hand_over(cluster, SERVICE_ACCOUNTS, made, bodies(was, "managed") if mine else ())
    return Outcome.RESTORED if mine else Outcome.DRIFTED


_OWN = ("labels", "annotations", "ownerReferences", "finalizers")


def _content(body: Body, mark: str) -> dict[str, Any]:
    about = part(body, "metadata")
    found: dict[str, Any] = {name: about[name] for name in _OWN if about.get(name)}
    notes = {key: value for key, value in part(about, "annotations").items() if key != mark}
    found = {key: value for key, value in found.items() if key != "annotations"}
    found |= {"annotations": notes} if notes else {}
    return found | {name: body[name] for name in _REST if name in body}


def _bare() -> dict[str, Any]:
    return {"automountServiceAccountToken": False}


def hand_over(cluster: Cluster, kind: Kind, made: Body, managed: Sequence[Body]) -> None:
    """Leave every field with whoever owned it before; this write changes ``managedFields`` alone."""
    others = [one for one in bodies(made, "metadata", "managedFields") if text(one, "manager") != MANAGER]
    owners = [one for one in managed if text(one, "manager") != MANAGER]
    whole = restore(others, owners)
    if whole == list(bodies(made, "metadata", "managedFields")):
        return
    cluster.replace(kind, {**made, "metadata": {**part(made, "metadata"), "managedFields": whole or [{}]}})
