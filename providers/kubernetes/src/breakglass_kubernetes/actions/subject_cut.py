"""Takes subjects out of bindings and puts them back; what one subject of a binding may, others keep.

A cut holds ``subjects`` by server-side apply, guarded by uid and resourceVersion: a deployer's next apply
then conflicts, in place of binding the agent again (seen on 1.36.2: a PUT drops the deployer's ownership and
its next apply gets 200). Where the version has changed by then, a patch cuts that tests each subject which it
takes out, and then ``subjects`` is held if nobody was quicker. A binding whose last subject goes stays, with
its roleRef, uid and labels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError, Transient
from breakglass.model.action import Judgement, Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome, Reversal
from breakglass_kubernetes.actions.peacetime import BOUND, MADE, IsCut, bound_mark, made_mark
from breakglass_kubernetes.cluster import JSON_PATCH, MANAGER, Cluster
from breakglass_kubernetes.glance import Read, glance
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import (
    Body,
    bodies,
    items,
    name_of,
    namespace_of,
    part,
    text,
    uid_of,
    version_of,
)
from breakglass_kubernetes.owners import drop, restore, shares
from breakglass_kubernetes.rbac import BINDINGS
from breakglass_kubernetes.refusals import failure_of

TRIES = 8
SHOWN = 5
_SUBJECTS = (("subjects",),)
_NOT_THERE = frozenset({HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
"""A subject is at another place, or the binding is another one: to be read again."""


def observe(cluster: Cluster, is_cut: IsCut) -> State:
    """Read every binding of the cluster that names one of them. Raises ProviderError: a listing failed."""
    found: dict[str, Json] = {}
    for kind in BINDINGS:
        for body in cluster.every(kind):
            if any(is_cut(one, namespace_of(body)) for one in bodies(body, "subjects")):
                found[kind.key(namespace_of(body), name_of(body))] = _record(body, is_cut)
    return State(found)


def _record(body: Body, is_cut: IsCut) -> Json:
    subjects = bodies(body, "subjects")
    namespace = namespace_of(body)
    listed: list[Json] = [dict(one) for one in subjects]
    cut: list[Json] = [n for n, one in enumerate(subjects) if is_cut(one, namespace)]
    owners: list[Json] = [*shares(_others(body), _SUBJECTS)]
    return {
        "uid": uid_of(body),
        "version": version_of(body),
        "namespace": namespace,
        "name": name_of(body),
        "role": dict(part(body, "roleRef")),
        "subjects": listed,
        "cut": cut,
        "owners": owners,
    }


def judge(state: State, whom: str) -> Judgement:
    """Decide whether a binding is left that names them."""
    if not (left := sorted(state.objects)):
        return Judgement(Verdict.CONTAINED, f"no binding of the cluster names {whom}")
    return Judgement(Verdict.NOT_CONTAINED, f"{len(left)} bindings name {whom}: {some(left)}")


def some(names: Sequence[str]) -> str:
    """Return a few of many names."""
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def apply(cluster: Cluster, state: State) -> None:
    """Take them out of each binding; one that changed meanwhile is refused and read again."""
    cluster.each(state.objects.items(), lambda one: _cut(cluster, one[0], part({"of": one[1]}, "of")))


def _cut(cluster: Cluster, key: str, was: Body) -> None:
    subjects = bodies(was, "subjects")
    kept = [one for n, one in enumerate(subjects) if n not in was["cut"]]
    try:
        _hold(cluster, key, was, str(was["version"]), kept)
    except Transient as error:
        if failure_of(error).status != HTTPStatus.CONFLICT:
            raise
        # Who changes it all the time would win every race for a version. Here the server itself compares no
        # more than what is taken out, and tries again when the object changes under it.
        change: list[Json] = [{"op": "test", "path": "/metadata/uid", "value": str(was["uid"])}]
        for n in sorted(was["cut"], reverse=True):
            change.append({"op": "test", "path": f"/subjects/{n}", "value": dict(subjects[n])})
            change.append({"op": "remove", "path": f"/subjects/{n}"})
        place = str(was["namespace"]), str(was["name"])
        try:
            body = cluster.patch(_kind(key), *place, change, content_type=JSON_PATCH)
        except ProviderError as other:
            if failure_of(other).status in _NOT_THERE:
                raise error  # noqa: B904 - its own cause is the server's answer, by which it is read again
            raise
        with contextlib.suppress(Transient):
            _hold(cluster, key, was, version_of(body), bodies(body, "subjects"))


def _hold(cluster: Cluster, key: str, was: Body, version: str, kept: Sequence[Body]) -> None:
    """Own what is left of the subjects, as of this version."""
    fields = {"metadata": {"resourceVersion": version}, "roleRef": was["role"], "subjects": [*kept]}
    cluster.apply(_kind(key), str(was["namespace"]), str(was["name"]), fields, uid=str(was["uid"]))


def revert(cluster: Cluster, before: State, may_be_away: IsCut, signed: Mapping[str, Json]) -> Reversal:
    """Put the subjects back at their old places where all else is as the stop left it.

    `may_be_away` tells subjects that another step of the same stop takes out; `signed` are the parameters of
    the step: who was bound only after the plan, or by a binding that was made since the harm began, bound
    itself, for all that anybody knows, and is not bound again.

    Raises:
        Transient: somebody changes a binding all the time.
        ProviderError: a call failed.
    """
    outcomes: dict[str, Outcome] = {}
    then, made = (frozenset(str(one) for one in items(signed, name)) for name in (BOUND, MADE))
    since: list[str] = []
    later: list[str] = []
    reads = {kind: glance(cluster, kind, _places(before, kind)) for kind in BINDINGS}

    def one(item: tuple[str, Json]) -> None:
        key, was = item
        record, new = _without_later(key, part({"of": was}, "of"), then)
        kind = _kind(key)
        outcome = _put_back(cluster, kind, record, may_be_away, reads[kind])
        if new:
            (since if made_mark(key, str(record["uid"])) in made else later).append(key)
            # Where nothing was to be put back, a binding that is gone or changed is no drift.
            outcome = outcome if items(record, "cut") else Outcome.ENDED
        outcomes[key] = outcome

    cluster.each(before.objects.items(), one)
    reason = "subjects are where they were; a binding that somebody changed is left alone"
    for why, keys in (("made since the harm began", since), ("bound after the plan was made", later)):
        reason += f"; {why}, so not bound again: {some(sorted(keys))}" if keys else ""
    return Reversal(outcomes, reason)


def _without_later(key: str, was: Body, then: frozenset[str]) -> tuple[dict[str, Any], bool]:
    """Return the record without the subjects that are not to be bound again, and if there are any."""
    subjects = bodies(was, "subjects")
    cut = [int(n) for n in items(was, "cut")]
    new = {n for n in cut if bound_mark(key, str(was["uid"]), subjects[n]) not in then}
    left = [n for n in range(len(subjects)) if n not in new]
    kept = {"subjects": [subjects[n] for n in left], "cut": [left.index(n) for n in cut if n not in new]}
    return {**was, **kept}, bool(new)


def _places(before: State, kind: Kind) -> list[tuple[str, str]]:
    mine = [part({"of": was}, "of") for key, was in before.objects.items() if _kind(key) == kind]
    return [(str(was["namespace"]), str(was["name"])) for was in mine]


def _put_back(cluster: Cluster, kind: Kind, was: Body, may_be_away: IsCut, read: Read) -> Outcome:
    for attempt in range(TRIES):
        body = read(str(was["namespace"]), str(was["name"]))
        if body is None or uid_of(body) != was["uid"] or part(body, "roleRef") != was["role"]:
            return Outcome.DRIFTED
        now = list(bodies(body, "subjects"))
        wanted = merged(was, now, may_be_away)
        if wanted is None:
            return Outcome.DRIFTED
        owners = [*part({"of": was}, "of")["owners"], *shares(_others(body), _SUBJECTS)]
        try:
            if wanted != now:
                body = cluster.replace(kind, {**body, "subjects": wanted})
            elif not any(
                text(one, "manager") == MANAGER for one in bodies(body, "metadata", "managedFields")
            ):
                return Outcome.ALREADY
            give_back(cluster, kind, body, owners)
        except Transient:
            if attempt == TRIES - 1:
                raise
        except Gone:
            return Outcome.DRIFTED
        else:
            return Outcome.RESTORED
    raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def merged(was: Body, now: Sequence[Body], may_be_away: IsCut) -> list[Body] | None:
    """Return the subjects with those of the stop at their places; None: somebody changed others since.

    Another step of the stop may have taken some of its own out, or have put them back already.
    """
    subjects, namespace = bodies(was, "subjects"), str(was["namespace"])
    cut = [subjects[n] for n in was["cut"]]
    rest = [one for one in subjects if one not in cut and not may_be_away(one, namespace)]
    if rest != [one for one in now if one not in cut and not may_be_away(one, namespace)]:
        return None
    found = list(now)
    for n in reversed(was["cut"]):
        if subjects[n] not in found:
            after = (found.index(one) for one in subjects[n + 1 :] if one in found)
            found.insert(next(after, len(found)), subjects[n])
    return found


def give_back(cluster: Cluster, kind: Kind, body: Body, owners: Sequence[Mapping[str, Any]]) -> None:
    """Leave ``subjects`` with whoever owned it; this write changes ``managedFields`` alone."""
    entries = [
        drop(one, (*_SUBJECTS, ("roleRef",))) if text(one, "manager") == MANAGER else one
        for one in bodies(body, "metadata", "managedFields")
    ]
    whole = restore([one for one in entries if part(one, "fieldsV1")], owners)
    about = {**part(body, "metadata"), "managedFields": whole or [{}]}
    cluster.replace(kind, {**body, "metadata": about})


def _others(body: Body) -> list[Body]:
    """Return the entries of all managers but ours."""
    return [one for one in bodies(body, "metadata", "managedFields") if text(one, "manager") != MANAGER]


def _kind(key: str) -> Kind:
    return next(kind for kind in BINDINGS if key.startswith(kind.name + "/"))
