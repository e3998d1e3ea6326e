"""Reads the allow policy of any resource, and changes it by compare-and-set; the decisions are `policies`'.

policy = read_policy(project, "iam_admin", "projects/-/serviceAccounts/EMAIL")
change_policy(project, "iam_admin", resource, lambda policy: without(policy, gone))
"""

from __future__ import annotations

from collections.abc import Callable

from breakglass.canon import Json, JsonObject
from breakglass_gcp.messages import as_json, of_json
from breakglass_gcp.policies import CONDITIONS_VERSION, bindings
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

MOST_TRIES = 5


def read_policy(project: Project, service: str, resource: str, *, location: str = "") -> JsonObject:
    """Return a resource's allow policy with its conditions and its etag.

    Raises:
        ProviderError: it cannot be read.
    """
    asked = {"resource": resource, "options": {"requested_policy_version": CONDITIONS_VERSION}}
    return as_json(project.call(service, "get_iam_policy", asked, location=location))


def change_policy(
    project: Project,
    service: str,
    resource: str,
    change: Callable[[Json], JsonObject],
    *,
    location: str = "",
) -> bool:
    """Write what `change` makes of the newest policy; return whether anything had to be written.

    Raises:
        Conflict: somebody else wrote between each read and write, five times.
        ProviderError: it cannot be read or written.
    """
    from google.iam.v1 import policy_pb2

    for tried in range(1, MOST_TRIES + 1):
        policy = read_policy(project, service, resource, location=location)
        wanted = change(policy)
        if bindings(wanted) == bindings(policy):
            return False
        asked = {"resource": resource, "policy": of_json(policy_pb2.Policy, dict(wanted))}
        try:
            project.call(service, "set_iam_policy", asked, location=location)
        except Conflict:
            if tried == MOST_TRIES:
                raise
            continue
        return True
    return False
