"""Tells what the logs of a project hold, and what somebody turned off: audit kinds, sinks, exclusions."""

from __future__ import annotations

from breakglass.clock import Instant
from breakglass.errors import ProviderError
from breakglass.model.plan import NotTouched
from breakglass.provider import Proposed
from breakglass_gcp.project import Project

DAY_S = 86_400
BEFORE_S = 15 * 60
"""So long before the harm began evidence starts: what led to it."""
_KINDS = frozenset({"DATA_READ", "DATA_WRITE"})


def since_of(project: Project) -> Instant:
    """Return where evidence starts: before the harm began, or a day ago where nobody said when."""
    connection = project.connection
    began = connection.since or connection.clock.now().plus(-DAY_S)
    return Instant(max(0, began.plus(-BEFORE_S).epoch_ms))


def data_access(project: Project) -> tuple[str, tuple[NotTouched, ...]]:
    """Return whether reads of data are logged (on, off, in part, not known), and what a plan says of it.

    google/iam/v1/policy.proto, AuditConfig: Data Access audit logs are off for every service but BigQuery
    unless the allow policy of the project, or of what is above it, turns them on.
    """
    try:
        policy = project.call("projects", "get_iam_policy", {"resource": project.name})
    except ProviderError as error:
        said = f"whether they are on is not known: {error}"[:500]
        return "not known", (NotTouched("Data Access audit logs", said),)
    on = {
        one.service: {
            log.LogType.Name(log.log_type) for log in one.audit_log_configs if not log.exempted_members
        }
        for one in policy.audit_configs
    }
    if on.get("allServices", set()) >= _KINDS:
        return "on", ()
    if on:
        said = f"are on for {', '.join(sorted(on))} in the project's own policy, and maybe above it"
        return "on in part", (NotTouched("Data Access audit logs", said[:500]),)
    said = "are off in the project's own policy (their default): what the agent only read is in no log"
    return "off", (NotTouched("Data Access audit logs", said),)


def sinks(project: Project) -> Proposed:
    """Return what is said of sinks that drop entries: an agent may have hidden itself there."""
    try:
        found = project.every("log_config", "list_sinks", {"parent": project.name})
    except ProviderError as error:
        return Proposed(incomplete=(f"log sinks: {error}"[:500],))
    notes = []
    for sink in found.items:
        if sink.disabled:
            said = "is DISABLED: entries that only it would keep are kept nowhere"
            notes.append(NotTouched(f"log sink {sink.name}", said))
        for one in sink.exclusions:
            if not one.disabled:
                said = f"drops entries: exclusion {one.name} with filter {one.filter}"
                notes.append(NotTouched(f"log sink {sink.name}", said[:500]))
    missed = tuple(f"log sinks in {one}" for one in found.unreachable)
    return Proposed(not_touched=tuple(notes), incomplete=missed)
