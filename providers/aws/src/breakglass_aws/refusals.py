"""Says in the engine's words what an AWS call failed with.

Codes: "Common Errors" of the IAM and EC2 API references, "Error retries" of the AWS SDKs and Tools Reference
Guide (which codes are throttling), and the services' own models in botocore.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Throttled, Transient

THROTTLING = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException.Throttled",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
DEAD_KEY = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"})
DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AccessDeniedForDependencyException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "AllAccessDisabled",
        "Client.UnauthorizedOperation",
        "ForbiddenException",
        "NotAuthorized",
        "UnauthorizedOperation",
        "UnauthorizedException",
        "403",
    }
)
GONE = frozenset(
    {
        "404",
        "AWS.SimpleQueueService.NonExistentQueue",
        "ExecutionDoesNotExist",
        "NoSuchBucket",
        "NoSuchEntity",
        "NoSuchEntityException",
        "NoSuchKey",
        "QueueDoesNotExist",
        "StateMachineDoesNotExist",
        "StateMachineDeleting",
        "TargetNotConnectedException",
    }
)
BUSY = frozenset(
    {
        "ConcurrentModification",
        "ConcurrentModificationException",
        "ConflictException",
        "EntityTemporarilyUnmodifiable",
        "OperationAborted",
        "PreconditionFailedException",
        "ResourceConflictException",
        "ResourceInUseException",
        "ServiceUpdateInProgress",
    }
)
SERVER_ERROR = 500
_NOT_FOUND = re.compile(r"NotFound(Exception|Fault)?$|\.NotFound$|DoesNotExist(Exception)?$")
_READS = ("Get", "List", "Describe", "Lookup", "Simulate", "Filter", "Head", "BatchGet", "Search", "Query")
_CODE = re.compile(r"[A-Za-z0-9._-]{1,80}")
LONGEST_TEXT = 300


class CredentialsExpired(Transient):
    """The executor's own credentials have ended: new ones let the stop go on."""


def code_of(error: BaseException) -> str:
    """Return the service's own error code behind an error of ours; empty where it has none."""
    response = getattr(error.__cause__, "response", None)
    return _code(response) if isinstance(response, Mapping) else ""


def text_of(error: BaseException) -> str:
    """Return the service's own words behind an error of ours, made safe to show."""
    response = getattr(error.__cause__, "response", None)
    return _message(response) if isinstance(response, Mapping) else ""


def not_by_a_deny_of_identity(error: BaseException) -> bool:
    """Return whether a refusal says itself that no policy of the caller's own denied it.

    "because no ... policy allows", or a resource's Deny: both may be the caller's own work. Services that
    give no reason leave it open (IAM User Guide, "Troubleshoot access denied error messages").
    """
    response = getattr(error.__cause__, "response", None)
    said = str(response.get("Error", {}).get("Message", "")) if isinstance(response, Mapping) else ""
    return "because no " in said or "explicit deny in a resource-based policy" in said


def is_write(operation: str) -> bool:
    """Return whether an API operation (``PutRolePolicy``) may change anything."""
    return not operation.startswith(_READS)


def translate(error: Exception, operation: str, where: str) -> ProviderError:
    """Return the error of ours for one of boto3's; raise it ``from`` that one, so that `code_of` works."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        return _refusal(error.response, where)
    name = type(error).__name__
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectionClosedError | boto.ResponseStreamingError):
        if is_write(operation):
            return InDoubt(f"its answer was lost ({name})", where=where)
        return Transient(f"does not answer ({name})", where=where)
    if isinstance(error, boto.HTTPClientError):
        return Transient(f"cannot be reached ({name})", where=where)
    if isinstance(
        error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError
    ):
        return Denied("the executor has no credentials", where=where)
    if isinstance(error, boto.TokenRetrievalError | boto.SSOError | boto.UnauthorizedSSOTokenError):
        return CredentialsExpired("the executor's sign-on has ended: renew it (aws sso login)", where=where)
    return ProviderError(f"failed before it was sent: {name}: {_shown(str(error))}", where=where)


def _refusal(response: Mapping[str, Any], where: str) -> ProviderError:
    code, said = _code(response), _message(response)
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    words = f"{code}: {said}" if said else code
    if code in THROTTLING or status == 429:  # noqa: PLR2004 - RFC 6585 4
        return Throttled(f"throttles ({code})", where=where)
    if code in EXPIRED:
        return CredentialsExpired("the executor's credentials have expired: renew them", where=where)
    if code in DENIED or code in DEAD_KEY or "SignatureDoesNotMatch" in code:
        return Denied(f"refused: {words}", where=where)
    if code in GONE or _NOT_FOUND.search(code):
        return Gone(f"is not there: {words}", where=where)
    if code in BUSY:
        return Transient(f"is busy: {words}", where=where)
    if isinstance(status, int) and status >= SERVER_ERROR:
        return Transient(f"failed at the service: {words}", where=where)
    return ProviderError(f"refused: {words}", where=where)


def _code(response: Mapping[str, Any]) -> str:
    code = str(response.get("Error", {}).get("Code", ""))
    return code if _CODE.fullmatch(code) else "an error without a code"


def _message(response: Mapping[str, Any]) -> str:
    return _shown(str(response.get("Error", {}).get("Message", "")))


def _shown(text: str) -> str:
    return "".join(one if "\x20" <= one < "\x7f" else "?" for one in text)[:LONGEST_TEXT]
