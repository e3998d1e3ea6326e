"""Reads CloudTrail: one scan of a window for all of the agent's principals, and how its trails are.

LookupEvents answers twice a second in an account and region, 50 events a page, newest first (CloudTrail API
reference, LookupEvents). So a window is read once, never once a principal. Nobody can change or delete the
event history of 90 days (CloudTrail User Guide, "Working with CloudTrail event history").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from breakglass.canon import JsonObject
from breakglass.clock import Instant
from breakglass.errors import ProviderError, Transient
from breakglass_aws.account import GLOBAL, Account
from breakglass_aws.patience import Patience
from breakglass_aws.refusals import CredentialsExpired
from breakglass_aws.trail_events import Event

PAGE = 50


@dataclass(slots=True)
class Scan:
    """What one region's event history gave."""

    region: str
    events: list[Event] = field(default_factory=list)
    pages: int = 0
    complete: bool = False
    back_to: str = ""
    """The oldest event that was read."""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class Trail:
    """One trail, and whether it records."""

    name: str
    arn: str
    validated: bool
    logging: bool | None
    """None: it cannot be asked."""
    stopped_at: Instant | None
    failed: str = ""

    def facts(self) -> JsonObject:
        """Return it as JSON."""
        return {
            "name": self.name,
            "arn": self.arn,
            "log_file_validation": self.validated,
            "logging": self.logging,
            "stopped_at": str(self.stopped_at) if self.stopped_at else None,
            "failed": self.failed,
        }


def regions(account: Account) -> tuple[str, ...]:
    """Return where the agent's calls are on record: here, and where IAM and other global services log.

    CloudTrail User Guide, "Global service events": those are in the history of one region alone.
    """
    return tuple(dict.fromkeys((account.region, GLOBAL[account.settings.partition])))


def scan(account: Account, region: str, since: Instant, left_s: Callable[[], float]) -> Scan:
    """Read a region's history back to `since`, as far as the time goes.

    Raises:
        CredentialsExpired: new ones let it go on.
    """
    found = Scan(region)
    clock = account.connection.clock
    patience = Patience(clock, left_s)
    window = {"StartTime": _moment(since), "EndTime": _moment(clock.now().plus(1)), "MaxResults": PAGE}
    marks: dict[str, str] = {}
    while left_s() > 0:
        try:
            call = partial(account.call_in, region, "cloudtrail", "lookup_events", **window, **marks)
            page = patience.tried(call, Transient)
        except CredentialsExpired:
            raise
        except Transient:
            break
        except ProviderError as error:
            found.failed = str(error)[:300]
            return found
        items = page.get("Events") or []
        found.events += [Event.of(item) for item in items]
        found.pages += 1
        if items:
            found.back_to = items[-1]["EventTime"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if not page.get("NextToken"):
            found.complete = True
            return found
        marks = {"NextToken": str(page["NextToken"])}
    if not found.pages:
        found.failed = "not answered in time"
    return found


def trails(account: Account) -> tuple[Trail, ...]:
    """Return every trail that records this region, shadows of trails of other regions included.

    Raises:
        ProviderError: they cannot be listed.
    """
    listed = account.call("cloudtrail", "describe_trails", includeShadowTrails=True).get("trailList") or ()
    return tuple(_trail(account, one) for one in listed)


def _trail(account: Account, one: dict[str, object]) -> Trail:
    name, arn = str(one.get("Name") or ""), str(one.get("TrailARN") or one.get("Name") or "")
    validated = one.get("LogFileValidationEnabled") is True
    try:
        status = account.call("cloudtrail", "get_trail_status", Name=arn)
    except CredentialsExpired:
        raise
    except ProviderError as error:
        return Trail(name, arn, validated, None, None, str(error)[:300])
    stopped = status.get("StopLoggingTime")
    at = Instant(int(stopped.timestamp() * 1000)) if isinstance(stopped, datetime) else None
    return Trail(name, arn, validated, status.get("IsLogging") is True, at)


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant.epoch_ms / 1000, UTC)
