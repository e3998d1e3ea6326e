"""Reads and joins entries of ``metadata.managedFields``: who owns which fields (FieldsV1 trees; pure).

FieldsV1: "f:<name>" is a field of a map, "." the map itself (Kubernetes API reference, ObjectMeta).
An entry is told by manager, operation, apiVersion and subresource ("Server-Side Apply", field managers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass_kubernetes.objects import part

Entry = Mapping[str, Any]
Path = tuple[str, ...]
_IDENTITY = ("manager", "operation", "apiVersion", "subresource")


def owns(entry: Entry, path: Path) -> bool:
    """Return whether an entry holds the field at a path, or anything below it."""
    tree: Any = entry.get("fieldsV1")
    for name in path:
        tree = tree.get(f"f:{name}") if isinstance(tree, Mapping) else None
    return isinstance(tree, Mapping)


def shares(entries: Sequence[Entry], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what each entry owns of these paths, as entries of their own."""
    found: list[dict[str, Any]] = []
    for entry in entries:
        tree: dict[str, Any] = {}
        for path in paths:
            if owns(entry, path):
                tree = _join(tree, _only(part(entry, "fieldsV1"), path))
        if tree:
            found.append({**entry, "fieldsV1": tree})
    return found


def drop(entry: Entry, paths: Sequence[Path]) -> dict[str, Any]:
    """Return an entry without these paths; empty maps go with them."""
    tree = dict(part(entry, "fieldsV1"))
    for path in paths:
        tree = _without(tree, path)
    return {**entry, "fieldsV1": tree}


def restore(entries: Sequence[Entry], owners: Sequence[Entry]) -> list[dict[str, Any]]:
    """Return the entries with what `shares` returned before; who has no entry any more gets one again."""
    found = [dict(one) for one in entries]
    for owner in owners:
        same = [one for one in found if all(one.get(key) == owner.get(key) for key in _IDENTITY)]
        if same:
            same[0]["fieldsV1"] = _join(part(same[0], "fieldsV1"), part(owner, "fieldsV1"))
        else:
            found.append(dict(owner))
    return found


def _only(tree: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the branch of one path, with the marks of the maps on its way (".")."""
    key = f"f:{path[0]}"
    below = part(tree, key)
    branch = dict(below) if len(path) == 1 else _only(below, path[1:])
    return {key: branch} | ({".": {}} if "." in tree else {})


def _without(tree: Mapping[str, Any], path: Path) -> dict[str, Any]:
    key = f"f:{path[0]}"
    if not isinstance(tree.get(key), Mapping):
        return dict(tree)
    below = {} if len(path) == 1 else _without(tree[key], path[1:])
    rest = {name: value for name, value in tree.items() if name != key}
    return rest | ({key: below} if below else {})


def _join(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(one)
    for key, below in other.items():
        mine = found.get(key)
        found[key] = _join(mine, below) if isinstance(mine, Mapping) else dict(below)
    return found
