"""``aws.cloudtrail.collect_events``: what the agent's principals called, from the account's own history.

One scan of one window for all principals: two calls a second are all that the service allows. It reads
backwards and is bounded in time; what it did not reach is said, and stays in the event history, which
nobody can delete. CloudTrail delivers within about 5 minutes on average, not guaranteed (CloudTrail User
Guide, "How CloudTrail works"): the newest calls are collected by a later look.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.errors import ProviderError, Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass.provider.collected import nothing_to_revert
from breakglass.provider.redacting import Redactor
from breakglass_aws import collected, trail_scan
from breakglass_aws.account import Account
from breakglass_aws.collected import BUCKET_PERMISSIONS, Collected
from breakglass_aws.found import Found
from breakglass_aws.redact import redactor as redactor_of
from breakglass_aws.trail_events import Event, Marks, agents, redacted
from breakglass_aws.trail_scan import Scan, Trail

SPEC = ActionSpec(
    name="aws.cloudtrail.collect_events",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "copies the management events of the agent's users, roles, sessions and of what they issued, and"
        " those that name its resources, since 15 minutes before the harm began; secrets are taken out first"
    ),
    permissions=(
        "cloudtrail:DescribeTrails",
        "cloudtrail:GetTrailStatus",
        "cloudtrail:LookupEvents",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketVersioning",
        *BUCKET_PERMISSIONS,
    ),
    blast_radius="nothing: it only reads; other readers of LookupEvents share its two calls a second",
    reversibility=Reversibility.FULL,
    undo="nothing was changed; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="aws.cloudtrail.collect_events cloudtrail/eu-west-1",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "CloudTrail API reference, LookupEvents: 2/s, 50 a page"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_cloudtrail.py"),
    ),
    service="cloudtrail",
)
BUDGET_S = 10.0
BEFORE_S = 900
DAY_S = 86_400
LAG_S = 900
PIECE = 500
_NAMES = (
    "functions", "rules", "schedules", "pipes", "state_machines", "queues", "topics", "streams", "services",
    "task_families", "instances", "auto_scaling_groups", "buckets", "secrets", "keys", "agent_runtimes",
    "agent_gateways", "log_groups",
)  # fmt: skip


class CollectEvents:
    """The agent's events of one account, as this region and the global services have them."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Make the run's own redaction key; it is never written."""
        self._account = account
        self._redactor = redactor_of(secrets.token_bytes(32))
        self._collected = Collected(account)

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far."""
        return self._collected.state(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Collect once in a run.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        if self._collected.ended(resource):
            return
        clock = self._account.connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        since = Instant(int(str(resource.params["since_ms"])))
        places = trail_scan.regions(self._account)
        scans = []
        for n, region in enumerate(places):
            share_s = (end_s - clock.monotonic_s()) / (len(places) - n)
            until_s = clock.monotonic_s() + share_s
            left = lambda until_s=until_s: until_s - clock.monotonic_s()  # noqa: E731 - one line for one bound
            scans.append(trail_scan.scan(self._account, region, since, left))
        left_out = [f"events in {scan.region}: {scan.failed}" for scan in scans if scan.failed]
        left_out += self._write(resource, since, scans)
        self._collected.end(resource, left_out, _partial(scans))

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: what could be read was written, here and in the bucket."""
        return collected.judged(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing changed
        """Do nothing: reading changed nothing."""
        return nothing_to_revert(before)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _write(self, resource: Resource, since: Instant, scans: Sequence[Scan]) -> list[str]:
        """Write the agent's events and what is known of the trails; return what could not be kept."""
        marks, left_out = _marks(self._account.id, resource), []
        events = list({event.id or str(n): event for n, event in enumerate(_all(scans))}.values())
        own = agents(events, marks)
        pieces = [own[at : at + PIECE] for at in range(0, len(own), PIECE)]
        lines = [(f"events-{n:04d}.jsonl", self._lines(piece)) for n, piece in enumerate(pieces, 1)]
        try:
            trails: Sequence[Trail] = trail_scan.trails(self._account)
        except Transient:
            raise
        except ProviderError as error:
            trails = ()
            left_out.append(f"the trails: {error}"[:300])
        left_out += stopped(trails, since)
        lines.append(("cloudtrail.json", _about(scans, len(own), since, trails, self._redactor)))
        folder = f"aws/{self._account.id}/{self._account.region}/cloudtrail"
        for name, data in lines:
            try:
                source = f"cloudtrail:LookupEvents since {since}"
                self._collected.put(resource, f"{folder}/{name}", source, data)
            except Transient:
                raise
            except ProviderError as error:
                left_out.append(f"{name}: {error}"[:300])
        return left_out

    def _lines(self, events: Sequence[Event]) -> bytes:
        found = (json.dumps(redacted(event, self._redactor), separators=(",", ":")) for event in events)
        return "".join(f"{line}\n" for line in found).encode()


def propose(account: Account, found: Found) -> Proposed:
    """Propose one scan for all of the agent's principals, and say how the account's trails are."""
    users, roles, sessions = (found.of(key) for key in ("users", "roles", "role_sessions"))
    names = {name for key in _NAMES for name in found.of(key)}
    if not (users or roles or sessions or names):
        return Proposed(not_touched=(NotTouched("CloudTrail events", "nothing says which are the agent's"),))
    since = since_of(account)
    params: dict[str, Json] = {
        "since_ms": since.epoch_ms,
        "users": [*users],
        "roles": [role.rpartition("/")[2] for role in roles],
        "sessions": [*sessions],
        "resources": _sorted(names | {*users} | {*roles}),
    }
    assumed = "" if account.connection.since else " (a day before planning: nobody said when the harm began)"
    label = f"CloudTrail events in {account.region} since {since}{assumed}"
    target = Resource("evidence", f"cloudtrail/{account.region}", label, params)
    step = Proposal(f"collect_events:cloudtrail/{account.region}", SPEC.name, target)
    return Proposed((step,), incomplete=collected.bucket_complaints(account)).plus(_trails(account, since))


def _sorted(names: set[str]) -> list[Json]:
    return [*sorted({name.rpartition("/")[2] for name in names} | names)]


def since_of(account: Account) -> Instant:
    """Return where evidence starts: before the harm began, or a day ago where nobody said when."""
    connection = account.connection
    began = connection.since or connection.clock.now().plus(-DAY_S)
    return Instant(max(0, began.plus(-BEFORE_S).epoch_ms))


def stopped(trails: Sequence[Trail], since: Instant) -> list[str]:
    """Return the trails that somebody stopped since then, or that cannot be asked, each in loud words."""
    return [
        f"trail {trail.name} cannot be asked: {trail.failed}"
        if trail.logging is None
        else f"trail {trail.name} DOES NOT RECORD: stopped at {trail.stopped_at or 'an unknown time'}"
        for trail in trails
        if trail.logging is None
        or (not trail.logging and (trail.stopped_at is None or trail.stopped_at >= since))
    ]


def _trails(account: Account, since: Instant) -> Proposed:
    found = trail_scan.trails(account)
    notes = [
        NotTouched(f"trail {trail.name}", "records without log file validation: its files prove nothing")
        for trail in found
        if trail.logging and not trail.validated
    ]
    loud = stopped(found, since)
    quiet = [one for one in found if one.logging is False and f"trail {one.name} " not in " ".join(loud)]
    notes += [NotTouched(f"trail {one.name}", f"was stopped at {one.stopped_at}") for one in quiet]
    if not found:
        why = "there is none: only the event history of 90 days is left, without data events"
        notes.append(NotTouched("CloudTrail trails", why))
    return Proposed(not_touched=tuple(notes), incomplete=tuple(loud))


def _marks(account: str, resource: Resource) -> Marks:
    def names(key: str) -> tuple[str, ...]:
        value = resource.params.get(key)
        return tuple(str(one) for one in value) if isinstance(value, list | tuple) else ()

    users, roles, resources = (frozenset(names(key)) for key in ("users", "roles", "resources"))
    return Marks(account, users, roles, names("sessions"), resources)


def _all(scans: Sequence[Scan]) -> list[Event]:
    return [event for scan in scans for event in scan.events]


def _partial(scans: Sequence[Scan]) -> str:
    words = [
        f"{scan.region} was read back to {scan.back_to or 'nothing'} only: collect the rest later, the event"
        " history keeps it for 90 days"
        for scan in scans
        if not scan.complete and not scan.failed
    ]
    words.append(f"calls of the last {LAG_S // 60} minutes may not be delivered yet")
    return "; ".join(words)


def _about(
    scans: Sequence[Scan], kept: int, since: Instant, trails: Sequence[Trail], redactor: Redactor
) -> bytes:
    read: list[Json] = [
        {
            "region": scan.region,
            "pages": scan.pages,
            "events": len(scan.events),
            "complete": scan.complete,
            "back_to": scan.back_to,
            "failed": scan.failed,
        }
        for scan in scans
    ]
    about: JsonObject = {
        "since": str(since),
        "read": read,
        "kept": kept,
        "trails": [trail.facts() for trail in trails],
        "redacted": dict(redactor.counts),
        "partial": _partial(scans),
    }
    return json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"


ACTION_CLASSES = (CollectEvents,)
SPECS = (SPEC,)
