"""Holds a few fields of an object by our field manager, and gives them back to those who owned them.

Server-side apply by force takes a field and its ownership (Kubernetes documentation, "Server-Side Apply").
Giving back takes two writes: one puts the old value back, which makes the field ours by that update; the
next changes nothing but ``metadata.managedFields``, which the server then takes as it is given (seen on
1.36.2). A crash between the two leaves a field with its old value that is still ours: `give_back` goes on
from there. An application that leaves out what we applied before would drop it: `hold` repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, Transient
from breakglass.provider import Outcome
from breakglass_kubernetes import recordable
from breakglass_kubernetes.cluster import JSON_PATCH, MANAGER, Cluster
from breakglass_kubernetes.kinds import Kind
from breakglass_kubernetes.objects import Body, bodies, part, text, uid_of, version_of
from breakglass_kubernetes.owners import Entry, Path, drop, owns, restore, shares
from breakglass_kubernetes.ownership import Thing

TRIES = 8
"""A controller's status update moves resourceVersion under us; each try reads anew."""
_ABSENT = object()


def hold(cluster: Cluster, kind: Kind, thing: Thing, fields: Mapping[Path, Json]) -> Body:
    """Hold fields of a thing: ``{("spec", "suspend"): True}``; what else of it is ours already stays so.

    A path ends at a field that has one owner: a single annotation, but the whole of an atomic map
    (``nodeSelector``) or list. Nothing is created: a thing that is gone, or is another one, is refused.

    Raises:
        Gone: there is none.
        Transient: it is another one by now.
        ProviderError: the server refuses.
    """
    whole: dict[str, Any] = {}
    kept = [path for path in ours(thing.body) if not any(_overlap(path, new) for new in fields)]
    for path in kept:
        if (value := value_at(thing.body, path)) is not _ABSENT:
            _set(whole, path, value)
    for path, value in fields.items():
        _set(whole, path, value)
    return cluster.apply(kind, thing.namespace, thing.name, whole, uid=thing.uid)


def record(body: Body, *paths: Path) -> dict[str, Json]:
    """Return all that `give_back` needs of an object, as it is before `hold`; JSON, for a State."""
    found: list[Json] = []
    for path in paths:
        value = value_at(body, path)
        depth = next((n for n in range(len(path)) if value_at(body, path[: n + 1]) is _ABSENT), len(path))
        one: dict[str, Json] = {"path": list(path), "depth": depth}
        found.append(one if value is _ABSENT else {**one, **recordable.written(value)})
    owners: list[Json] = [one for one in shares(_entries(body), paths) if not _is_ours(one)]
    return {"uid": uid_of(body), "fields": found, "owners": owners}


def is_held(body: Body, fields: Mapping[Path, Json]) -> bool:
    """Return whether these fields have our values and are ours by application."""
    mine = [one for one in _entries(body) if _is_ours(one) and one.get("operation") == "Apply"]
    return all(
        value_at(body, path) == value and any(owns(one, path) for one in mine)
        for path, value in fields.items()
    )


def has(body: Body, fields: Mapping[Path, Json]) -> bool:
    """Return whether these fields have our values, whoever owns them."""
    return all(value_at(body, path) == value for path, value in fields.items())


def is_as_before(body: Body, before: Mapping[str, Any]) -> bool:
    """Return whether these fields have the values that `record` found, whoever owns them."""
    return not _differing(body, before)


def ours(body: Body) -> list[Path]:
    """Return the paths that our manager owns by application; never one inside of a keyed list."""
    return [
        path
        for one in _entries(body)
        if _is_ours(one) and one.get("operation") == "Apply" and not one.get("subresource")
        for path in _paths(part(one, "fieldsV1"))
    ]


def give_back(  # noqa: PLR0913 - an object, how it was, what was held of it, and what is known of it
    cluster: Cluster,
    kind: Kind,
    namespace: str,
    name: str,
    *,
    before: Mapping[str, Any],
    fields: Mapping[Path, Json],
    newest: Body | None = None,
) -> Outcome:
    """Put values and owners of held fields back: `before` is what `record` returned, `fields` what was held.

    A field that is not ours any more, or has another value than the stop left, is somebody else's since:
    the whole object is left alone then. `newest` is the object where it has just been read.

    Raises:
        Transient: somebody changes it all the time.
        ProviderError: the server refuses.
    """
    paths = tuple(tuple(one["path"]) for one in before["fields"])
    for attempt in range(TRIES):
        try:
            fresh = newest is not None and attempt == 0
            body = newest if fresh and newest is not None else cluster.get(kind, namespace, name)
            if uid_of(body) != before["uid"]:
                return Outcome.DRIFTED
            mine = [
                path for path in paths if any(_is_ours(one) and owns(one, path) for one in _entries(body))
            ]
            back = _differing(body, before)
            if not mine:
                return Outcome.DRIFTED if back else Outcome.ALREADY
            for one in back:
                path = tuple(one["path"])
                if path not in mine or value_at(body, path) != fields.get(path, _ABSENT):
                    return Outcome.DRIFTED
            if back:
                body = _write(cluster, kind, body, [change for one in back for change in _changes(body, one)])
            return_ownership(cluster, kind, body, paths, before["owners"])
        except Gone:
            return Outcome.DRIFTED
        except Transient:
            if attempt == TRIES - 1:
                raise
        else:
            return Outcome.RESTORED
    raise AssertionError("unreachable")  # pragma: no cover - the last try returns or raises


def return_ownership(
    cluster: Cluster, kind: Kind, body: Body, paths: Sequence[Path], owners: Sequence[Entry]
) -> bool:
    """Take these paths from our manager and give them to who owned them; return whether it took a write."""
    entries = [drop(one, paths) if _is_ours(one) else one for one in _entries(body)]
    wanted: list[Json] = [*restore([one for one in entries if part(one, "fieldsV1")], owners)]
    if wanted == _entries(body):
        return False
    # An empty list would leave all as it is; one empty entry clears it ("Clearing managedFields").
    change: Json = {"op": "replace", "path": "/metadata/managedFields", "value": wanted or [{}]}
    _write(cluster, kind, body, [change])
    return True


def _differing(body: Body, before: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [one for one in before["fields"] if value_at(body, tuple(one["path"])) != _prior(one)]


def _write(cluster: Cluster, kind: Kind, body: Body, changes: Sequence[Json]) -> Body:
    """Change what was read and nothing newer."""
    guard: list[Json] = [
        {"op": "test", "path": "/metadata/uid", "value": uid_of(body)},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": version_of(body)},
    ]
    namespace, name = text(body, "metadata", "namespace"), text(body, "metadata", "name")
    return cluster.patch(kind, namespace, name, [*guard, *changes], content_type=JSON_PATCH)


def _changes(body: Body, one: Mapping[str, Any]) -> list[Json]:
    """Return the changes of a JSON patch (RFC 6902) that put one field back."""
    path = tuple(one["path"])
    if (value := _prior(one)) is not _ABSENT:
        made = [n for n in range(1, len(path)) if value_at(body, path[:n]) is _ABSENT]
        parents: list[Json] = [{"op": "add", "path": pointer(path[:n]), "value": {}} for n in made]
        return [*parents, {"op": "add", "path": pointer(path), "value": value}]
    # What was made for our field alone goes with it, as far up as nothing else is in it by now.
    end = len(path)
    while end - 1 > one["depth"] and len(part(body, *path[: end - 1])) == 1:
        end -= 1
    return [{"op": "remove", "path": pointer(path[:end])}]


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + one.replace("~", "~0").replace("/", "~1") for one in path)


def value_at(body: Body, path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return the value at a path; a mark of its own where there is none."""
    above = part(body, *path[:-1])
    return above.get(path[-1], _ABSENT)


def _prior(one: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    return recordable.read(one, _ABSENT)


def _entries(body: Body) -> list[Entry]:
    return list(bodies(body, "metadata", "managedFields"))


def _is_ours(one: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(one, Mapping) and one.get("manager") == MANAGER


def _set(whole: dict[str, Any], path: Path, value: Any) -> None:  # noqa: ANN401 - JSON
    for name in path[:-1]:
        whole = whole.setdefault(name, {})
    whole[path[-1]] = value


def _overlap(one: Path, other: Path) -> bool:
    short = min(len(one), len(other))
    return one[:short] == other[:short]


def _paths(fields: Body, above: Path = ()) -> list[Path]:
    """Return the leaves of a FieldsV1 tree that lie in maps alone."""
    found: list[Path] = []
    for key, below in fields.items():
        if key.startswith("f:") and isinstance(below, Mapping):
            path = (*above, key[2:])
            found += _paths(below, path) if any(one.startswith("f:") for one in below) else [path]
    return found
