"""What services, worker pools and jobs of Cloud Run have in common: desired state that is reconciled later.

google/cloud/run/v2/service.proto, ``reconciling``: an update changes the desired state at once; until the
reconciliation is over ``observed_generation`` and what serves are the ones before. It may fail: then what
served before goes on, and ``terminal_condition`` says so.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

BROKEN = "run.broken"
"""Table: name -> why its next reconciliations fail (control ``run.break``)."""
TAKES_S = 0.05
VOLATILE = frozenset(
    {"etag", "generation", "observed_generation", "update_time", "last_modifier", "conditions"}
    | {"terminal_condition", "reconciling", "latest_ready_revision", "latest_created_revision"}
)


def at(world: World) -> datetime:
    """Return the world's time as messages have it."""
    return datetime.fromtimestamp(world.now_s(), UTC)


def find(world: World, call: Call, table: str, name: str) -> Any:  # noqa: ANN401 - a message of that table
    """Return one, or refuse with NOT_FOUND."""
    held = world.table(table).get(world.normal(name))
    return held if held is not None else call.fail("NOT_FOUND", f"Resource '{name}' was not found.")


def copied(message: Any) -> Any:  # noqa: ANN401 - a proto-plus message
    """Return a copy."""
    kind = type(message)
    made = kind()
    kind.pb(made).CopyFrom(kind.pb(message))
    return made


def merged(held: Any, asked: Any, mask: Sequence[str], writable: Sequence[str]) -> Any:  # noqa: ANN401 - messages
    """Return what an update makes: the paths of the mask, or every writable field without one."""
    from google.protobuf import field_mask_pb2

    made, kind = copied(held), type(held)
    paths = [one for one in mask or writable if one.partition(".")[0] in writable]
    field_mask_pb2.FieldMask(paths=paths).MergeMessage(
        kind.pb(asked), kind.pb(made), replace_message_field=True, replace_repeated_field=True
    )
    for path in paths:
        # MergeMessage leaves a message alone that the update does not have; an update clears it.
        if "." not in path and path not in asked and path in made:
            kind.pb(made).ClearField(path)
    return made


def check_etag(call: Call, asked: str, held: str) -> None:
    """Refuse a write to a version that is not the newest."""
    if asked and asked != held:
        call.fail("ABORTED", "Conflict for resource: version was specified but current version differs.")


def stamp(world: World, message: Any, call: Call | None) -> None:  # noqa: ANN401 - a message
    """Make it a new version."""
    message.generation += 1
    message.etag = f'"{world.new_id()}"'
    message.update_time = at(world)
    message.uid = message.uid or str(uuid.uuid4())
    message.last_modifier = call.caller.principal if call is not None and call.caller else "sandbox"
    if message.generation == 1:
        message.create_time, message.creator = message.update_time, message.last_modifier


def reconcile(
    world: World,
    held: Any,  # noqa: ANN401 - a message
    verb: str,
    in_force: Callable[[Any], None],
) -> Any:  # noqa: ANN401 - google.longrunning.Operation
    """Begin to bring a resource to its desired state; `in_force` is given what serves from then on."""
    from breakglass_gcp.sandbox.call import Refusal

    held.reconciling = True
    wanted = copied(held)

    def finish() -> None:
        why = world.table(BROKEN).get(held.name)
        if held.generation == wanted.generation:
            held.reconciling = False
            held.terminal_condition = {
                "type_": "Ready",
                "state": "CONDITION_FAILED" if why else "CONDITION_SUCCEEDED",
                "message": why or "",
            }
        if why:
            raise Refusal("INTERNAL", why)
        held.observed_generation = max(held.observed_generation, wanted.generation)
        in_force(wanted)

    place = held.name.rsplit("/", 2)[0]
    return world.operation(verb, place, lambda: copied(held), copied(held), TAKES_S, finish)


def page(items: Sequence[Any], size: int, token: str, longest: int = 100) -> tuple[Sequence[Any], str]:
    """Return one page of a listing and the token of the next."""
    start = int(token or 0)
    end = start + (min(size, longest) if size > 0 else longest)
    return items[start:end], str(end) if end < len(items) else ""


def under(world: World, table: str, parent: str) -> list[Any]:
    """Return what lies directly or (``-``) anywhere under a parent, oldest first."""
    start = world.normal(parent).replace("/-", "") + "/"
    return [held for name, held in world.table(table).items() if name.startswith(start)]


def as_state(message: Any, leave_out: frozenset[str] = VOLATILE) -> Mapping[str, Any]:  # noqa: ANN401 - a message
    """Return what a restore must bring back."""
    from google.protobuf import json_format

    told = json_format.MessageToDict(type(message).pb(message), preserving_proto_field_name=True)
    return {key: value for key, value in told.items() if key not in leave_out and value != {}}


def short(name: str) -> str:
    """Return the last part of a name."""
    return name.rpartition("/")[2]


def full(asked: Mapping[str, Any], kind: str, key: str) -> str:
    """Return the full name of what a control verb names as LOCATION/NAME."""
    location, _, name = str(asked[key]).partition("/")
    return f"projects/{asked['project']}/locations/{location}/{kind}/{name}"
