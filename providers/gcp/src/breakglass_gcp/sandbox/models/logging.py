"""google.logging.v2.LoggingServiceV2: log entries, written, listed by a filter, deleted by the log.

Admin Activity audit entries of every write call are there by themselves, and nobody deletes them (Cloud
Logging documentation, "Audit logs overview").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breakglass_gcp.sandbox import audited
from breakglass_gcp.sandbox.call import CODES
from breakglass_gcp.sandbox.models.logging_filter import FilterError, Test, compiled

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Call
    from breakglass_gcp.sandbox.world import World

START = "/google.logging.v2.LoggingServiceV2/"
TABLE = "logging.entries"
ACTIVITY = "cloudaudit.googleapis.com%2Factivity"
MOST_PAGE = 1000
"""LoggingServiceV2 ListLogEntries answers with at most so many entries a page."""
LATEST_S = 86_400
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: its moment, the message, and its JSON, which filters are held against."""

    at_ns: int
    message: Any
    said: Mapping[str, Any]

    @property
    def order(self) -> tuple[int, str]:
        """Return what entries are ordered by: the timestamp, then the insert id."""
        return self.at_ns, str(self.said.get("insertId", ""))


def row_of(message: Any) -> Row:  # noqa: ANN401 - LogEntry
    """Return a row of a typed entry."""
    from google.protobuf import json_format

    pb = type(message).pb(message)
    try:
        said = json_format.MessageToDict(pb)
    except json_format.Error:  # a number that JSON does not know, within a payload
        said = {"logName": message.log_name, "insertId": message.insert_id, "textPayload": str(pb)}
        said["timestamp"] = pb.timestamp.ToJsonString()
        said["resource"] = {"type": message.resource.type, "labels": dict(message.resource.labels)}
    return Row(pb.timestamp.ToNanoseconds(), message, said)


def rows(world: World, project: str) -> Iterator[Row]:
    """Yield every entry of a project: what was written, and what was audited."""
    yield from world.table(TABLE).get(project, ())
    kept = world.table("logging.audited")
    for one in world.audit:
        if one["project"] == project:
            if one["n"] not in kept:
                kept[one["n"]] = row_of(_audited(one))
            yield kept[one["n"]]


def _audited(one: Mapping[str, Any]) -> Any:  # noqa: ANN401 - LogEntry
    from google.cloud.audit import audit_log_pb2
    from google.cloud.logging_v2.types import LogEntry

    log = audit_log_pb2.AuditLog(
        service_name=one["service"], method_name=one["method"], resource_name=one["resource"]
    )
    if "://" in one["principal"]:
        log.authentication_info.principal_subject = one["principal"]
    else:
        log.authentication_info.principal_email = one["principal"]
    log.status.code = CODES.get(one["code"], (2, 500))[0]
    audited.pack(log, one)
    entry = LogEntry(
        log_name=f"projects/{one['project']}/logs/{ACTIVITY}",
        insert_id=f"audit-{one['n']}",
        severity="NOTICE",
        resource={
            "type": "audited_resource",
            "labels": {"project_id": one["project"], "service": one["service"], "method": one["method"]},
        },
    )
    pb = LogEntry.pb(entry)
    pb.proto_payload.Pack(log)
    pb.timestamp.FromNanoseconds(int(one["at_s"] * _NS))
    pb.receive_timestamp.CopyFrom(pb.timestamp)
    return entry


def _list(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import ListLogEntriesResponse

    asked = call.request
    if not asked.resource_names:
        call.fail("INVALID_ARGUMENT", "resource_names is required.")
    found: list[Row] = []
    test = _filter(call, asked.filter)
    for name in asked.resource_names:
        project = world.project(name).id
        call.needs("logging.logEntries.list", f"projects/{project}")
        found += [row for row in rows(world, project) if test(row.said)]
    if asked.order_by not in ("", "timestamp asc", "timestamp desc"):
        call.fail("INVALID_ARGUMENT", f"order_by {asked.order_by!r} is not permitted.")
    newest = asked.order_by == "timestamp desc"
    found.sort(key=lambda row: row.order, reverse=newest)
    if asked.page_token:
        at_ns, _, insert_id = asked.page_token.partition(":")
        last = (int(at_ns), insert_id)
        found = [row for row in found if (row.order < last if newest else row.order > last)]
    size = min(asked.page_size or 50, MOST_PAGE)
    page = found[:size]
    more = f"{page[-1].at_ns}:{page[-1].order[1]}" if len(found) > size else ""
    return ListLogEntriesResponse(entries=[row.message for row in page], next_page_token=more)


def _filter(call: Call, text: str) -> Test:
    try:
        return compiled(text)
    except FilterError as error:
        return call.fail("INVALID_ARGUMENT", f"Unparseable filter: {error}")


def _write(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import LogEntry, WriteLogEntriesResponse

    for one in call.request.entries:
        entry = LogEntry(one)
        entry.log_name = world.normal(entry.log_name or call.request.log_name)
        if not entry.resource.type:
            entry.resource = call.request.resource
        project = world.project(entry.log_name).id
        call.needs("logging.logEntries.create", f"projects/{project}")
        if "cloudaudit.googleapis.com" in entry.log_name:
            call.fail("INVALID_ARGUMENT", "Audit logs are written by the platform alone.")
        keep(world, project, entry)
    return WriteLogEntriesResponse()


def keep(world: World, project: str, entry: Any) -> None:  # noqa: ANN401 - LogEntry
    """Keep one entry of a project; its moment and its id are made where it has none."""
    pb = type(entry).pb(entry)
    now_ns = int(world.now_s() * _NS)
    if not entry.insert_id:
        entry.insert_id = f"i{world.new_id(12)}"
    if not pb.timestamp.ToNanoseconds():
        pb.timestamp.FromNanoseconds(now_ns)
    pb.receive_timestamp.FromNanoseconds(now_ns)
    world.table(TABLE).setdefault(project, []).append(row_of(entry))


def _delete_log(world: World, call: Call) -> None:
    name = world.normal(call.request.log_name)
    project = world.project(name).id
    call.needs("logging.logs.delete", f"projects/{project}")
    if "cloudaudit.googleapis.com" in name:
        call.fail("PERMISSION_DENIED", "Audit logs cannot be deleted.")
    table = world.table(TABLE)
    table[project] = [row for row in table.get(project, ()) if row.said.get("logName") != name]


def _list_logs(world: World, call: Call) -> object:
    from google.cloud.logging_v2.types import ListLogsResponse

    project = world.project(call.request.parent).id
    call.needs("logging.logs.list", f"projects/{project}")
    return ListLogsResponse(log_names=sorted({str(row.said["logName"]) for row in rows(world, project)}))


def _log(world: World, asked: Mapping[str, Any]) -> object:
    """Write `times` entries of one text as a workload does: project, type, labels, text or json."""
    from google.cloud.logging_v2.types import LogEntry

    project = world.project(str(asked["project"])).id
    for n in range(int(asked.get("times", 1))):
        entry = LogEntry(
            log_name=f"projects/{project}/logs/{asked.get('log', 'stdout')}",
            resource={"type": asked.get("type", "global"), "labels": asked.get("labels", {})},
            labels=asked.get("entry_labels", {}),
            severity=asked.get("severity", "INFO"),
        )
        if "json" in asked:
            entry.json_payload = asked["json"]
        else:
            entry.text_payload = str(asked.get("text", "")).replace("{n}", str(n))
        if "at_s" in asked:
            LogEntry.pb(entry).timestamp.FromNanoseconds(int(asked["at_s"] * _NS) + n)
        keep(world, project, entry)
    return {"entries": len(world.table(TABLE).get(project, ()))}


HANDLERS: Mapping[str, Callable[[World, Call], Any]] = {
    f"{START}ListLogEntries": _list,
    f"{START}WriteLogEntries": _write,
    f"{START}DeleteLog": _delete_log,
    f"{START}ListLogs": _list_logs,
}
CONTROLS: Mapping[str, Callable[[World, Mapping[str, Any]], object]] = {"logging.log": _log}
