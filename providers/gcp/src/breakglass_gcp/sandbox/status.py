"""How a refusal looks on the wire: google.rpc.Status with ErrorInfo, in gRPC and in JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from breakglass_gcp.sandbox.call import Refusal


def details(refusal: Refusal) -> Any:  # noqa: ANN401 - google.rpc.Status
    """Return the status of a refusal."""
    from google.rpc import error_details_pb2, status_pb2

    status = status_pb2.Status(code=refusal.grpc, message=refusal.message)
    if refusal.reason:
        info = error_details_pb2.ErrorInfo(
            reason=refusal.reason, domain=refusal.domain, metadata=refusal.metadata
        )
        status.details.add().Pack(info)
    return status


def as_json(refusal: Refusal) -> bytes:
    """Return a refusal as Google's REST interfaces word it."""
    error: dict[str, Any] = {"code": refusal.http, "message": refusal.message, "status": refusal.code}
    if refusal.reason:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": refusal.reason,
                "domain": refusal.domain,
                "metadata": refusal.metadata,
            }
        ]
        error["errors"] = [{"message": refusal.message, "domain": refusal.domain, "reason": refusal.reason}]
    return json.dumps({"error": error}).encode()
