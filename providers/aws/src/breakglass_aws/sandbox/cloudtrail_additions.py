"""LookupEvents, from what was really called: moto has none.

Sources: CloudTrail API reference, LookupEvents (50 a page, newest first, management events of 90 days, one
attribute); CloudTrail User Guide, "CloudTrail record contents", "userIdentity element", "Logging data
events" (those are not in the history) and "Global service events" (in the history of one region).
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from breakglass_aws.sandbox import peacetime, record
from breakglass_aws.sandbox.call import Call, Handler, Refusal
from breakglass_aws.sandbox.record import Recorded
from breakglass_aws.sandbox.trail_records import (
    DATA_EVENTS,
    HOME,
    body,
    elsewhere,
    event_name,
    event_source,
    username,
)

PAGE = 50
_KEPT = timedelta(days=90)
_SETTING = "trail_delay_s"


@dataclass(slots=True)
class _Delivery:
    """How long an event takes until the history shows it."""

    delay_s: float = 0.0


_DELIVERY = _Delivery()
_GATE = threading.Lock()


def configure(asked: Mapping[str, Any]) -> None:
    """Take ``trail_delay_s`` of the control verb ``settings``: how late the history shows a call."""
    with _GATE:
        _DELIVERY.delay_s = float(asked[_SETTING])


def lookup_events(call: Call) -> Mapping[str, Any]:
    """Answer one page of the account's history in this region.

    Raises:
        Refusal: the window, the page or the token make no sense.
    """
    start, end, most, below = _asked(call)
    attributes = call.params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise Refusal("InvalidLookupAttributesException", "You can specify only one attribute")
    found: list[dict[str, Any]] = []
    last = 0
    for recorded in _history(call):
        at = datetime.fromtimestamp(recorded.at_ms / 1000, UTC).replace(microsecond=0)
        if recorded.n >= below or not start <= at <= end:
            continue
        if len(found) == most:
            return {"Events": found, "NextToken": str(last)}
        item = _item(recorded, at)
        if all(_meets(item, one) for one in attributes):
            found.append(item)
            last = recorded.n
    return {"Events": found}


def _history(call: Call) -> Iterator[Recorded]:
    """Yield what this region's history shows, newest first."""
    shown_ms = time.time() * 1000 - _DELIVERY.delay_s * 1000
    for recorded in reversed(record.calls()):
        made = recorded.call
        where = HOME if elsewhere(made.service) else made.region
        if recorded.identity is None or made.account != call.account or where != call.region:
            continue
        if recorded.at_ms <= shown_ms and not _is_data(made) and peacetime.in_history(recorded):
            yield recorded


def _is_data(made: Call) -> bool:
    operations = DATA_EVENTS.get(made.service, ())
    return made.operation in operations or (made.service == "s3" and "Key" in made.params)


def _asked(call: Call) -> tuple[datetime, datetime, int, int]:
    now = datetime.now(UTC)
    start = _moment(call.params.get("StartTime")) or now - _KEPT
    end = _moment(call.params.get("EndTime")) or now
    if start > end:
        raise Refusal("InvalidTimeRangeException", "The start time must be before the end time")
    most = int(call.params.get("MaxResults") or PAGE)
    if not 1 <= most <= PAGE:
        raise Refusal("InvalidMaxResultsException", "MaxResults must be between 1 and 50")
    token = str(call.params.get("NextToken") or 2**62)
    if not token.isdecimal():
        raise Refusal("InvalidNextTokenException", "The token is not valid")
    return max(start, now - _KEPT), end, most, int(token)


def _moment(value: object) -> datetime | None:
    """Return a moment in UTC: the parser leaves out the zone, or gives seconds since 1970."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromtimestamp(float(value), UTC) if isinstance(value, int | float) else None


def _item(recorded: Recorded, at: datetime) -> dict[str, Any]:
    identity = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{recorded.n}-{recorded.monotonic_us}"))
    record_body = body(recorded, at, identity)
    item: dict[str, Any] = {
        "EventId": identity,
        "EventName": event_name(recorded.call.service, recorded.call.operation),
        "ReadOnly": "true" if record_body["readOnly"] else "false",
        "AccessKeyId": recorded.call.access_key,
        "EventTime": at,
        "EventSource": event_source(recorded.call.service),
        "Resources": [
            {"ResourceType": kind, "ResourceName": name} for kind, name in _resources(recorded.resource)
        ],
        "CloudTrailEvent": json.dumps(record_body),
    }
    if name := username(recorded):
        item["Username"] = name
    return item


def _resources(arn: str) -> Iterator[tuple[str, str]]:
    parts = arn.split(":", 5)
    if len(parts) == 6:  # noqa: PLR2004 - the parts of an ARN (AWS General Reference)
        kind = f"AWS::{parts[2].upper()}::{parts[5].partition('/')[0].title() or 'Resource'}"
        yield kind, arn
        yield kind, parts[5].replace(":", "/").rpartition("/")[2]


def _meets(item: Mapping[str, Any], attribute: Mapping[str, str]) -> bool:
    key, value = attribute["AttributeKey"], attribute["AttributeValue"]
    if key in ("ResourceName", "ResourceType"):
        return any(one[key] == value for one in item["Resources"])
    return bool(item.get(key) == value)


def _forget() -> None:
    with _GATE:
        _DELIVERY.delay_s = 0.0


HANDLERS: Mapping[tuple[str, str], Handler] = {("cloudtrail", "LookupEvents"): lookup_events}
SETTINGS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {_SETTING: configure}
RESETS: tuple[Callable[[], None], ...] = (_forget,)
