"""Reads and writes one deny policy within five reads and five writes a minute (`few_reads`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from breakglass.canon import JsonObject
from breakglass.errors import Gone
from breakglass_gcp.actions.few_reads import FewReads, one_of
from breakglass_gcp.messages import as_json, of_json
from breakglass_gcp.project import Project

SERVICE = "iam_deny"


class DenyPolicies:
    """The deny policies of one connection."""

    def __init__(self, project: Project) -> None:
        """Read nothing yet."""
        self._project = project
        self._reads = FewReads(project, SERVICE, self._fetch)

    def look(
        self, name: str, settle_s: float, closed: Callable[[JsonObject | None], bool]
    ) -> JsonObject | None:
        """Return the policy, None where there is none; see `FewReads.look`. Raises ProviderError."""
        return self._reads.look(name, settle_s, closed)

    def remembered(self, name: str) -> JsonObject | None:
        """Return the policy as it was last seen, None where there is none. Raises ProviderError."""
        return self._reads.remembered(name)

    def read(self, name: str) -> JsonObject | None:
        """Return the policy as it is now, None where there is none. Raises ProviderError."""
        return self._reads.read(name)

    def write(self, name: str, policy: JsonObject, rules: Sequence[JsonObject]) -> None:
        """Replace the rules of exactly the policy that was read under this name; its own has the number.

        Raises:
            Conflict: somebody else wrote it meanwhile.
            ProviderError: refused.
        """
        from google.cloud import iam_v2

        kept = {key: policy[key] for key in ("name", "display_name", "etag", "annotations") if key in policy}
        asked = of_json(iam_v2.Policy, {**kept, "rules": [dict(one) for one in rules]})
        self._reads.change(name, "update_policy", {"policy": asked})

    def _fetch(self, name: str) -> JsonObject | None:
        try:
            policy = as_json(self._project.call(SERVICE, "get_policy", {"name": name}))
        except Gone:
            return None
        # IAM API v2 reference, Policy.deleteTime: it is still shown, and denies nobody any more.
        return None if policy.get("delete_time") else policy


def policies_of(project: Project) -> DenyPolicies:
    """Return the deny policies of a connection."""
    return one_of(project, DenyPolicies)
