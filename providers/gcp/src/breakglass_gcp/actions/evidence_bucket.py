"""Keeps evidence here and in a bucket whose retention policy is locked, and says where it lies.

A locked retention policy can be neither shortened nor removed, and what is younger can be neither deleted
nor overwritten (Cloud Storage reference, Bucket.retentionPolicy). Locking is for good, so that nothing here
ever locks a bucket: one that is not locked is refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from breakglass.canon import Json
from breakglass.errors import Denied, Gone, InDoubt, ProviderError, Transient
from breakglass.model.action import Judgement
from breakglass.model.resource import Resource, State
from breakglass.provider import collected
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

DEFAULT_DAYS = 30
DAY_S = 86_400
WRITES = ("storage.objects.create", "storage.objects.get")
BUCKET_PERMISSIONS = ("storage.buckets.get", *WRITES)
"""What a put into the evidence bucket needs."""
_TRIES = 3
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Stored:
    """One object, as the service itself tells it."""

    name: str
    generation: str
    size: int
    md5: str
    retained_until: str

    def facts(self, bucket: str) -> Json:
        """Return it for a record."""
        return {
            "name": bucket,
            "object": self.name,
            "generation": self.generation,
            "md5": self.md5,
            "retain_until": self.retained_until,
        }


class Taken(ProviderError):
    """The name holds other bytes already."""


class Bucket:
    """One bucket, always of the project that it belonged to when the plan was signed."""

    def __init__(self, project: Project, name: str, *, days: int, owner: str = "") -> None:
        """Make no call yet; `owner` is the number of the project that must own it, empty: any."""
        self.name = name
        self._project = project
        self._days = days
        self._owner = owner

    def check(self) -> str:
        """Look whether nobody can clean it up; return the number of its project.

        Raises:
            Denied: it is not there, belongs to another project, or is not locked for as many days.
            ProviderError: it cannot be asked.
        """
        try:
            told = self._project.rest("storage", "GET", f"storage/v1/b/{quote(self.name, safe='')}")
        except Gone as error:
            raise Denied("there is no such bucket", where=self._where()) from error
        owner = text(told, "projectNumber")
        if self._owner and owner != self._owner:
            said = f"belongs to project {owner} now, and the plan means that of {self._owner}"
            raise Denied(said, where=self._where())
        period_s = int(text(told, "retentionPolicy", "retentionPeriod") or 0)
        if field(told, "retentionPolicy", "isLocked") is not True:
            raise Denied(
                "has no locked retention policy: what is written there can be removed",
                where=self._where(),
                remedy="lock one in peacetime (it cannot be undone), or name another bucket",
            )
        if period_s < self._days * DAY_S:
            said = f"keeps what is written {period_s // DAY_S} days, and {self._days} are asked"
            raise Denied(said, where=self._where())
        return owner

    def lacking(self) -> tuple[str, ...]:
        """Return which rights the executor lacks on the bucket itself, which may be another project's.

        Raises:
            ProviderError: it cannot be asked.
        """
        path = f"storage/v1/b/{quote(self.name, safe='')}/iam/testPermissions"
        held = self._project.rest("storage", "GET", path, query={"permissions": [*WRITES]}).get("permissions")
        return tuple(one for one in WRITES if not isinstance(held, list) or one not in held)

    def put(self, name: str, data: bytes) -> Stored:
        """Write it where nothing is; the same bytes again are fine.

        Raises:
            Taken: the name holds other bytes.
            ProviderError: it is not known to be there, retained.
        """
        asked: Mapping[str, object] = {"uploadType": "media", "name": name, "ifGenerationMatch": 0}
        path = f"upload/storage/v1/b/{quote(self.name, safe='')}/o"
        for n in range(_TRIES):
            try:
                self._project.rest("storage", "POST", path, query=asked, body=data)
            except Conflict:
                break  # something is there: it is looked at below
            except (InDoubt, Transient):
                # The answer was lost, or the object: a second try of what is there meets the condition.
                if n == _TRIES - 1:
                    raise
                self._project.connection.clock.sleep(_PAUSE_S * 2**n)
            else:
                break
        return self._read_back(name, data)

    def _read_back(self, name: str, data: bytes) -> Stored:
        path = f"storage/v1/b/{quote(self.name, safe='')}/o/{quote(name, safe='')}"
        told = self._project.rest("storage", "GET", path)
        stored = Stored(
            name,
            text(told, "generation"),
            int(text(told, "size") or -1),
            text(told, "md5Hash"),
            text(told, "retentionExpirationTime"),
        )
        digest = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        if (stored.size, stored.md5) != (len(data), digest):
            raise Taken("holds other bytes already: nothing is ever written twice", where=self._where(name))
        created = _moment(text(told, "timeCreated"))
        until = _moment(stored.retained_until)
        if created is None or until is None or (until - created).total_seconds() < self._days * DAY_S:
            raise ProviderError(f"is there, but is not retained {self._days} days", where=self._where(name))
        return stored

    def _where(self, name: str = "") -> str:
        return f"gs://{self.name}/{name}".rstrip("/")


class Collected:
    """What one action collected in this run, by target, here and in the bucket where one is set."""

    def __init__(self, project: Project) -> None:
        """Write to this connection's incident, and to its evidence bucket where one is set."""
        self._project = project
        self._here = collected.Collected(project.connection.evidence)
        self.ended = self._here.ended
        self.state = self._here.state

    def put(self, resource: Resource, name: str, source: str, data: bytes) -> None:
        """Write an item here, then its same bytes to the bucket, unless this run has written it.

        Raises:
            ProviderError: the disk or the bucket refused; what is here stays here.
        """
        facts = self._here.put(resource, name, source, (data,))
        if facts["sha256"] != (digest := hashlib.sha256(data).hexdigest()):
            # An earlier try of this run wrote other bytes under this name: both stay.
            facts = self._here.put(resource, f"{name}.{digest[:16]}", source, (data,))
        owner = str(resource.params.get("bucket_project") or "")
        bucket = evidence_bucket(self._project, owner)
        if bucket is not None and "bucket" not in facts:
            bucket.check()
            name_there = f"{self._project.connection.incident}/{facts['path']}"
            facts["bucket"] = _copy(bucket, name_there, data)

    def end(self, resource: Resource, left_out: Sequence[str], partial: Sequence[str]) -> None:
        """Say what had to be left out, and what its bounds did not reach.

        Raises:
            Denied: something was left out; trying again would leave out the same.
        """
        self._here.end(resource, left_out, partial)


def evidence_bucket(project: Project, owner: str = "") -> Bucket | None:
    """Return the bucket that evidence goes to; None where the inventory names none."""
    name = project.settings.text("evidence_bucket")
    days = int(project.settings.text("evidence_days") or DEFAULT_DAYS)
    return Bucket(project, name, days=days, owner=owner) if name else None


def looked_at(project: Project) -> tuple[dict[str, Json], tuple[str, ...]]:
    """Return what a target must carry of the bucket, and why it is none, for a plan."""
    bucket = evidence_bucket(project)
    if bucket is None:
        return {}, ()
    try:
        owner = bucket.check()
    except ProviderError as error:
        return {"bucket": bucket.name}, (str(error)[:500],)
    params: dict[str, Json] = {"bucket": bucket.name, "bucket_project": owner}
    try:
        lacking = bucket.lacking()
    except ProviderError:
        return params, ()  # each put meets its own refusal, and is then said
    if not lacking:
        return params, ()
    who = project.me or "the executor"
    said = f"gs://{bucket.name}: {who} may not write there: {', '.join(lacking)}; entries are kept here only"
    return params, (said,)


def judged(state: State) -> Judgement:
    """Contained: everything that the step names was collected, and lies where it should."""
    items = [one for one in state.objects.values() if isinstance(one, Mapping)]
    locked = any("bucket" in one for one in items)
    return collected.judged(state, kept=", here and locked in the bucket" if locked else "")


def _copy(bucket: Bucket, name: str, data: bytes) -> Json:
    try:
        return bucket.put(name, data).facts(bucket.name)
    except Taken:
        # Another executor collected under the same name: both stay.
        digest = hashlib.sha256(data).hexdigest()[:16]
        return bucket.put(f"{name}.{digest}", data).facts(bucket.name)


def _moment(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
