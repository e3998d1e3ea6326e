"""Looks at long-running operations, each look one call with an end.

Google's own futures poll with retries of up to ten minutes and answers of up to ten (google.api_core's
default retry, Compute's `Get` timeout): a stop that waits 8 s for an operation must not hang in them.
"""

from __future__ import annotations

from typing import Any

from breakglass_gcp.executor import CALL_S
from breakglass_gcp.wire import Wire

_COMPUTE_KINDS = (("zone", "zone_operations"), ("region", "region_operations"))


def newest(wire: Wire, service: str, location: str, begun: Any) -> Any:  # noqa: ANN401 - Google's messages have no types here
    """Return an operation as it is now, asked once."""
    if _of_compute(begun):
        return _compute(wire, begun)
    client = wire.client(service, location)
    return client.transport.operations_client.get_operation(begun.operation.name, retry=None, timeout=CALL_S)


def first(begun: Any) -> Any:  # noqa: ANN401 - as above
    """Return an operation as the call that began it told it."""
    return begun if _of_compute(begun) else begun.operation


def is_done(told: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether an operation has ended, well or not."""
    if not _of_compute(told):
        return bool(told.done)
    return bool(getattr(told.status, "name", "") == "DONE")


def failure(told: Any) -> Exception | None:  # noqa: ANN401 - as above
    """Return what a done operation failed with, in Google's words; None: it did what it should."""
    from google.api_core import exceptions

    failed: Exception | None = None
    if not _of_compute(told):
        if told.HasField("error"):
            status = told.error
            failed = exceptions.from_grpc_status(status.code, status.message, errors=(status,))
    elif said := [one.message or one.code for one in told.error.errors] or [told.http_error_message]:
        code = told.http_error_status_code
        if code or told.error.errors:
            failed = exceptions.from_http_status(code or 400, "; ".join(said))
    return failed


def _of_compute(told: Any) -> bool:  # noqa: ANN401 - as above
    """Return whether an operation is of Compute Engine's own kind: it lies in a zone, a region or nowhere."""
    return hasattr(told, "http_error_status_code")


def _compute(wire: Wire, begun: Any) -> Any:  # noqa: ANN401 - as above
    project = begun.self_link.partition("/projects/")[2].partition("/")[0]
    request = {"project": project, "operation": begun.name}
    service = "global_operations"
    for field, name in _COMPUTE_KINDS:
        if place := str(getattr(begun, field, "")).rpartition("/")[2]:
            request, service = {**request, field: place}, name
    return wire.client(service).get(request=request, retry=None, timeout=CALL_S)
