"""Says a refusal in each service's own code, status and shape.

Sources: "Common Errors" of the IAM, EC2, SNS, Lambda, Kinesis and Step Functions API references, "Error
responses" of the Amazon S3 API reference, "Troubleshoot Signature Version 4" (IAM User Guide), botocore.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from xml.sax.saxutils import escape

from breakglass_aws.sandbox.call import Refusal

Code = tuple[str, int]
SIGNATURE, UNKNOWN_KEY, UNSIGNED, INCOMPLETE = "signature", "unknown_key", "unsigned", "incomplete"
SKEW, EXPIRED, DENIED, THROTTLED, BROKEN = "skew", "expired", "denied", "throttled", "broken"
QUERY: Mapping[str, Code] = {
    SIGNATURE: ("SignatureDoesNotMatch", 403),
    UNKNOWN_KEY: ("InvalidClientTokenId", 403),
    UNSIGNED: ("MissingAuthenticationToken", 403),
    INCOMPLETE: ("IncompleteSignature", 400),
    SKEW: ("SignatureDoesNotMatch", 403),
    EXPIRED: ("ExpiredToken", 403),
    DENIED: ("AccessDenied", 403),
    THROTTLED: ("Throttling", 400),
    BROKEN: ("InternalFailure", 500),
}
JSON: Mapping[str, Code] = {
    SIGNATURE: ("InvalidSignatureException", 400),
    UNKNOWN_KEY: ("UnrecognizedClientException", 400),
    UNSIGNED: ("MissingAuthenticationTokenException", 400),
    INCOMPLETE: ("IncompleteSignatureException", 400),
    SKEW: ("InvalidSignatureException", 400),
    EXPIRED: ("ExpiredTokenException", 400),
    DENIED: ("AccessDeniedException", 400),
    THROTTLED: ("ThrottlingException", 400),
    BROKEN: ("InternalFailure", 500),
}
REST_JSON: Mapping[str, Code] = {
    **{kind: (code, 403) for kind, (code, _) in JSON.items()},
    INCOMPLETE: ("IncompleteSignatureException", 400),
    THROTTLED: ("ThrottlingException", 429),
    BROKEN: ("InternalServerException", 500),
}
EC2: Mapping[str, Code] = {
    **QUERY,
    SIGNATURE: ("AuthFailure", 401),
    UNKNOWN_KEY: ("AuthFailure", 401),
    SKEW: ("RequestExpired", 400),
    EXPIRED: ("RequestExpired", 400),
    DENIED: ("UnauthorizedOperation", 403),
    THROTTLED: ("RequestLimitExceeded", 503),
    BROKEN: ("InternalError", 500),
}
S3: Mapping[str, Code] = {
    **QUERY,
    UNKNOWN_KEY: ("InvalidAccessKeyId", 403),
    UNSIGNED: ("AccessDenied", 403),
    INCOMPLETE: ("AuthorizationHeaderMalformed", 400),
    SKEW: ("RequestTimeTooSkewed", 403),
    EXPIRED: ("ExpiredToken", 400),
    THROTTLED: ("SlowDown", 503),
    BROKEN: ("InternalError", 500),
}
BY_PROTOCOL = {"query": QUERY, "rest-xml": QUERY, "json": JSON, "rest-json": REST_JSON, "ec2": EC2}
BY_SERVICE: Mapping[str, Mapping[str, Code]] = {
    "s3": S3,
    "sns": {**QUERY, DENIED: ("AuthorizationError", 403)},
    "sqs": {**QUERY, THROTTLED: ("RequestThrottled", 403)},
    "lambda": {**REST_JSON, THROTTLED: ("TooManyRequestsException", 429), BROKEN: ("ServiceException", 500)},
    "apigateway": {**REST_JSON, THROTTLED: ("TooManyRequestsException", 429)},
    "apigatewayv2": {**REST_JSON, THROTTLED: ("TooManyRequestsException", 429)},
    "organizations": {**JSON, THROTTLED: ("TooManyRequestsException", 400)},
    "kinesis": {**JSON, THROTTLED: ("LimitExceededException", 400)},
}
_QUERY_CODES: Mapping[str, str] = {"AccessDenied": "AccessDeniedException"}


def refusal(service: str, protocol: str, kind: str, message: str) -> Refusal:
    """Return a refusal of this kind as this service says it."""
    code, status = (BY_SERVICE.get(service) or BY_PROTOCOL[protocol])[kind]
    return Refusal(code, message, status)


def written(service: str, protocol: str, error: Refusal) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and body of an error, in the protocol's shape."""
    request_id = str(uuid.uuid4())
    code, status, message = error.code, error.status, error.message
    headers = [("x-amzn-RequestId", request_id)]
    if protocol in ("json", "rest-json"):
        name = _QUERY_CODES.get(code, code) if service == "sqs" else code
        if service == "sqs":
            headers.append(("x-amzn-query-error", f"{code};{'Sender' if status < 500 else 'Receiver'}"))  # noqa: PLR2004 - HTTP
        body = json.dumps({"__type": name, "message": message, "Message": message}).encode()
        kind = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
        return status, [*headers, ("X-Amzn-Errortype", name), ("Content-Type", kind)], body
    said = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        xml = f"<Error>{said}<RequestId>{request_id}</RequestId><HostId>sandbox</HostId></Error>"
    elif protocol == "ec2":
        xml = (
            f"<Response><Errors><Error>{said}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
        )
    else:
        side = "Sender" if status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's own border
        xml = (
            f"<ErrorResponse><Error><Type>{side}</Type>{said}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return status, [*headers, ("Content-Type", "text/xml")], f'<?xml version="1.0"?>{xml}'.encode()
