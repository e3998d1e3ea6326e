"""``aws.logs.collect_events``: what the agent's log groups hold, copied out; and nobody deletes them.

The deletion protection comes first: an agent that may call CloudWatch Logs could delete the group before
its deny is seen. It may also lift that protection again; the deny ends both.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping

from breakglass.canon import Json, JsonObject
from breakglass.clock import Instant
from breakglass.errors import Gone, ProviderError, Transient
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws import collected, log_reading
from breakglass_aws.account import Account
from breakglass_aws.actions.cloudtrail_events import since_of
from breakglass_aws.collected import BUCKET_PERMISSIONS, Collected
from breakglass_aws.found import Found
from breakglass_aws.log_reading import Pieces, Put, Reading
from breakglass_aws.redact import redactor

SPEC = ActionSpec(
    name="aws.logs.collect_events",
    capability=Capability.SNAPSHOT_LOGS,
    summary=(
        "protects the log group from deletion and copies its events since 15 minutes before the harm began;"
        " secrets are taken out first"
    ),
    permissions=(
        "logs:DescribeLogGroups",
        "logs:FilterLogEvents",
        "logs:GetQueryResults",
        "logs:PutLogGroupDeletionProtection",
        "logs:StartQuery",
        "logs:StopQuery",
        *BUCKET_PERMISSIONS,
    ),
    undo_permissions=("logs:DescribeLogGroups", "logs:PutLogGroupDeletionProtection"),
    blast_radius="nobody can delete the log group until it is restored; a query is billed by bytes scanned",
    reversibility=Reversibility.FULL,
    undo="lifts the deletion protection where the stop set it; the evidence stays",
    settle_s=0,
    best_grade=Grade.READ_BACK,
    example="aws.logs.collect_events log-group//aws/lambda/support-bot",
    sources=(
        Source(
            "summary", Authority.VENDOR_TEXT, "CloudWatch Logs API reference, FilterLogEvents: 1 MB, 10,000"
        ),
        Source("undo", Authority.VENDOR_TEXT, "CloudWatch Logs API reference, PutLogGroupDeletionProtection"),
        Source("effect", Authority.OWN_SANDBOX, "providers/aws/tests/test_aws_logs.py"),
    ),
    service="logs",
)
BUDGET_S = 10.0
FILTER_SHARE = 0.7
"""Of the time, where a query was started too."""
BIG_BYTES = 64 * 1024 * 1024
"""A group of this size gets a query at once: 5 pages of 1 MB a second do not get through it."""
_INFREQUENT = "INFREQUENT_ACCESS"
_PROTECTION = "protection"


class CollectLogs:
    """One log group."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Make the run's own redaction key; it is never written."""
        self._account = account
        self._redactor = redactor(secrets.token_bytes(32))
        self._collected = Collected(account)
        self._refused: dict[str, str] = {}

    def observe(self, resource: Resource) -> State:
        """Return what this run has collected so far, and whether the group is protected now."""
        state = self._collected.state(resource)
        group = describe(self._account, _group(resource))
        protection: Json = {
            "on": group.get("deletionProtectionEnabled") is True if group else None,
            "created_ms": _whole(group.get("creationTime")),
            "refused": self._refused.get(resource.id, ""),
        }
        return State({**state.objects, _PROTECTION: protection}, state.complete, state.note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - evidence is only added to
        """Protect the group, then collect once in a run.

        Raises:
            Denied: something had to be left out; trying again would leave out the same.
        """
        name = _group(resource)
        if _on(before) is False and resource.id not in self._refused:
            try:
                if why := log_reading.protect(self._account, name, on=True):
                    self._refused[resource.id] = why
            except Gone:
                pass  # said below, by the group that is not there any more
        if not self._collected.ended(resource):
            self._collect(resource, name)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Contained: collected, and nobody can delete what was not, or the service has no such protection."""
        judged = collected.judged(state)
        if judged.verdict is not Verdict.CONTAINED or _on(state) is True:
            return judged
        protection = state.objects[_PROTECTION]
        refused = protection.get("refused") if isinstance(protection, Mapping) else ""
        if _on(state) is None:
            return Judgement(judged.verdict, f"{judged.reason}; the log group is gone since", judged.grade)
        if not refused:
            return Judgement(Verdict.NOT_CONTAINED, "the log group can be deleted", Grade.NONE)
        return Judgement(judged.verdict, f"{judged.reason}; can be deleted: {refused}", judged.grade)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Lift the protection where the stop set it, and the group is the same one."""
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        was, there = before.objects.get(_PROTECTION), now.objects.get(_PROTECTION)
        if not isinstance(was, Mapping) or not isinstance(there, Mapping):
            return Reversal(outcomes, "nothing was changed; the evidence stays")
        if there.get("created_ms") != was.get("created_ms"):
            outcomes[_PROTECTION] = Outcome.DRIFTED
        elif was.get("on") is False and there.get("on") is True:
            why = log_reading.protect(self._account, _group(resource), on=False)
            outcomes[_PROTECTION] = Outcome.CANNOT if why else Outcome.RESTORED
        return Reversal(outcomes, "the protection is as it was; the evidence stays")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: there is nothing to try."""
        return None

    def _collect(self, resource: Resource, name: str) -> None:
        group = describe(self._account, name)
        if not group:
            self._collected.end(resource, (f"log group {name} is gone: somebody deleted it",), "")
            return
        window = (int(str(resource.params["since_ms"])), self._account.connection.clock.now().epoch_ms)
        source = f"log group {name} since {Instant(window[0])}"
        folder = f"aws/{self._account.id}/{self._account.region}/logs/{_file_name(name)}"
        lost: list[str] = []

        def put(piece: str, data: bytes) -> None:
            try:
                self._collected.put(resource, f"{folder}/{piece}", source, data)
            except Transient:
                raise
            except ProviderError as error:
                lost.append(f"{piece}: {error}"[:300])

        filtered, queried = self._read(name, group, window, put)
        put("about.json", self._about(group, window, filtered, queried))
        words = _partial(filtered, queried)
        enough = _enough(filtered, queried, protected=resource.id not in self._refused)
        self._collected.end(resource, [*lost, *([words] if words and not enough else [])], words)

    def _read(
        self, name: str, group: Mapping[str, object], window: tuple[int, int], put: Put
    ) -> tuple[Reading, Reading]:
        """Read by filter, and a big group by query too, which was started before."""
        clock = self._account.connection.clock
        end_s = clock.monotonic_s() + BUDGET_S
        infrequent = group.get("logGroupClass") == _INFREQUENT
        query, no_query = "", "none was started"
        if infrequent or (_whole(group.get("storedBytes")) or 0) >= BIG_BYTES:
            query, no_query = log_reading.start_query(self._account, name, window)
        filtered = Reading(failed="a group of infrequent access has no filter" if infrequent else "")
        if not infrequent:
            until_s = end_s - (BUDGET_S * (1 - FILTER_SHARE) if query else 0.0)
            pieces = Pieces("filter", self._redactor, put)
            left = lambda: until_s - clock.monotonic_s()  # noqa: E731 - one bound in one line
            filtered = log_reading.by_filter(self._account, name, window, pieces, left)
        if not query:
            return filtered, Reading(failed=no_query)
        pieces = Pieces("query", self._redactor, put)
        left = lambda: end_s - clock.monotonic_s()  # noqa: E731 - as above
        return filtered, log_reading.by_query(self._account, query, pieces, left)

    def _about(
        self, group: Mapping[str, object], window: tuple[int, int], filtered: Reading, queried: Reading
    ) -> bytes:
        about: JsonObject = {
            "log_group": str(group.get("logGroupName")),
            "arn": str(group.get("arn")),
            "class": str(group.get("logGroupClass") or "STANDARD"),
            "retention_days": _whole(group.get("retentionInDays")),
            "stored_bytes": _whole(group.get("storedBytes")),
            "since": str(Instant(window[0])),
            "until": str(Instant(window[1])),
            "filter": _facts(filtered),
            "query": _facts(queried),
            "redacted": dict(self._redactor.counts),
        }
        return json.dumps(about, indent=1, sort_keys=True).encode() + b"\n"


def propose(account: Account, found: Found) -> Proposed:
    """Propose to collect each group that the inventory names, and each function's own."""
    named = found.of("log_groups")
    functions = [f"/aws/lambda/{name.partition(':')[0]}" for name in found.of("functions")]
    since, proposals, notes = since_of(account), [], []
    for name in dict.fromkeys((*named, *functions)):
        group = describe(account, name)
        if not group:
            notes.append(NotTouched(f"log group {name}", "there is none of this name"))
            continue
        params: dict[str, Json] = {"group": name, "since_ms": since.epoch_ms}
        target = Resource("log-group", f"log-group/{name}", f"log group {name} since {since}", params)
        proposals.append(Proposal(f"collect_events:log-group/{name}", SPEC.name, target))
        if isinstance(days := group.get("retentionInDays"), int) and days <= 1:
            notes.append(NotTouched(f"retention of log group {name}", f"{days} day: older events are gone"))
    return Proposed(tuple(proposals), not_touched=tuple(notes))


def describe(account: Account, name: str) -> Mapping[str, object]:
    """Return what the service tells of one group; empty where there is none of this name."""
    for group in account.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name):
        if group.get("logGroupName") == name:
            return dict(group)
        if str(group.get("logGroupName")) > name:
            break
    return {}


def _group(resource: Resource) -> str:
    return str(resource.params["group"])


def _on(state: State) -> bool | None:
    protection = state.objects.get(_PROTECTION)
    value = protection.get("on") if isinstance(protection, Mapping) else None
    return value if isinstance(value, bool) else None


def _enough(filtered: Reading, queried: Reading, *, protected: bool) -> bool:
    """Return whether what was not read is safe where it is: something was read, and nobody can delete it."""
    read = filtered.events or queried.events
    return protected and bool(read) and not (filtered.failed and queried.failed)


def _partial(filtered: Reading, queried: Reading) -> str:
    if filtered.complete or queried.complete:
        return ""
    until = f" to {Instant(filtered.until_ms)}" if filtered.until_ms else ""
    words = f"the filter read {filtered.events} events{until} ({filtered.failed or 'its time was over'})"
    words += f", the query the newest {queried.events} ({queried.failed or 'of more'})"
    return f"{words}: collect the rest later"


def _facts(reading: Reading) -> JsonObject:
    until = str(Instant(reading.until_ms)) if reading.until_ms else None
    return {"events": reading.events, "complete": reading.complete, "until": until, "failed": reading.failed}


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _file_name(group: str) -> str:
    """Return a name for a folder that no other group has, though a slash is written as "_"."""
    name = re.sub(r"[^A-Za-z0-9._@-]", "_", group).strip("._-")[:150] or "group"
    if group == f"/{name.replace('_', '/')}":
        return name
    return f"{name}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"


ACTION_CLASSES = (CollectLogs,)
SPECS = (SPEC,)
