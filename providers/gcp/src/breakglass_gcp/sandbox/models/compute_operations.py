"""Compute Engine's own kind of operations, and what all of its models share: rows by name, fingerprints."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import operations
from breakglass_gcp.sandbox.call import Refusal

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

URL = "https://www.googleapis.com/compute/v1/"


def scope_of(call: Call) -> str:
    """Return where a request acts: ``projects/P/zones/Z``, ``.../regions/R`` or ``projects/P/global``."""
    request = call.request
    for kind in ("zone", "region"):
        if getattr(request, kind, ""):
            return f"projects/{call.project}/{kind}s/{getattr(request, kind)}"
    return f"projects/{call.project}/global"


def row(world: World, call: Call, table: str, name: str) -> Any:  # noqa: ANN401 - a message
    """Return what a table holds under a name.

    Raises:
        Refusal: NOT_FOUND.
    """
    held = world.table(table).get(name)
    if held is None:
        call.fail("NOT_FOUND", f"The resource '{name}' was not found")
    return held


def in_project(world: World, table: str, prefix: str) -> list[tuple[str, Any]]:
    """Return names and rows of a table below a name, in order."""
    return sorted((name, held) for name, held in world.table(table).items() if name.startswith(f"{prefix}/"))


def url(name: str) -> str:
    """Return the URL by which Compute Engine tells a name."""
    return URL + name


def short(told: str) -> str:
    """Return a name without its URL's beginning."""
    return "projects/" + told.partition("projects/")[2] if "projects/" in told else told


def fingerprint(world: World) -> str:
    """Return one that was not given before."""
    return base64.b64encode(world.new_id(12).encode()).decode()


def same_print(call: Call, given: str, held: str) -> None:
    """Refuse a stale fingerprint as Compute does: 412, conditionNotMet.

    Raises:
        Refusal: it is stale.
    """
    if given != held:
        call.fail("FAILED_PRECONDITION", "Supplied fingerprint does not match current", http=412)


def merged(held: Any, patch: Any) -> None:  # noqa: ANN401 - messages
    """Carry the set fields of a patch into a row, messages deep and lists whole (JSON merge patch)."""
    into, given = (type(one).pb(one) if hasattr(type(one), "pb") else one for one in (held, patch))
    for field, value in given.ListFields():
        if field.is_repeated:
            into.ClearField(field.name)
            getattr(into, field.name).MergeFrom(value)
        elif field.message_type is not None:
            merged(getattr(into, field.name), value)
        else:
            setattr(into, field.name, value)


def begin(
    world: World,
    call: Call,
    kind: str,
    target: str,
    *,
    finish: Callable[[], None] | None = None,
    takes_s: float = 0.05,
) -> Any:  # noqa: ANN401 - compute's Operation
    """Start an operation on a target and return it as its call's answer."""
    scope = scope_of(call)
    pending = operations.begin(
        world, f"{scope}/operations/operation-{world.new_id()}", takes_s=takes_s, finish=finish
    )
    about = world.table("compute.instances").get(target)
    pending.told.update(kind=kind, target=target, target_id=getattr(about, "id", 0))
    return _shown(pending)


def _shown(pending: operations.Pending) -> Any:  # noqa: ANN401 - as above
    from google.cloud import compute_v1

    status = compute_v1.Operation.Status
    said = compute_v1.Operation(
        name=pending.id,
        id=int(pending.id.rpartition("-")[2]),
        operation_type=str(pending.told.get("kind", "")),
        target_id=int(pending.told.get("target_id", 0)),
        target_link=url(str(pending.told.get("target", ""))),
        status=status.DONE if pending.done else status.RUNNING,
        self_link=url(pending.name),
    )
    scope = pending.name.split("/")[2:4]
    if scope[0] in ("zones", "regions"):
        setattr(said, scope[0][:-1], url("/".join(pending.name.split("/")[:4])))
    if pending.error is not None:
        said.http_error_status_code = pending.error.http
        said.http_error_message = pending.error.message
        said.error = {"errors": [{"code": pending.error.code, "message": pending.error.message}]}
    return said


def _get(kind: str) -> Callable[[World, Call], Any]:
    def get(world: World, call: Call) -> Any:  # noqa: ANN401 - as above
        call.needs(f"compute.{kind}Operations.get", f"projects/{call.project}")
        name = f"{scope_of(call)}/operations/{call.request.operation}"
        pending = world.operations.get(name)
        if pending is None:
            raise Refusal("NOT_FOUND", f"The resource '{name}' was not found")
        pending.settle(world)
        return _shown(pending)

    return get


def _list_zone(world: World, call: Call) -> Any:  # noqa: ANN401 - as above
    """List what a filter of ``(key = value) AND ...`` leaves, of operations in one zone."""
    from google.cloud import compute_v1

    call.needs("compute.zoneOperations.list", f"projects/{call.project}")
    start = f"{scope_of(call)}/operations/"
    asked = dict(_TERM.findall(call.request.filter))
    found = []
    for name, pending in world.operations.items():
        if name.startswith(start) and pending.told.get("target_id"):
            pending.settle(world)
            said = _shown(pending)
            told = {
                "targetId": said.target_id,
                "operationType": said.operation_type,
                "status": said.status.name,
            }
            if all(str(told[key]) == value for key, value in asked.items()):
                found.append(said)
    return compute_v1.OperationList(items=found)


_TERM = re.compile(r'\((\w+) = "?([\w.]+)"?\)')
HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    "compute.zoneOperations.list": _list_zone,
    **{f"compute.{kind}Operations.get": _get(kind) for kind in ("zone", "region", "global")},
}
