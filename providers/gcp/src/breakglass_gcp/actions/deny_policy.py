"""Reads and writes one deny policy within five reads and five writes a minute (`few_reads`)."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import JsonObject
from breakglass.errors import Gone
from breakglass_gcp.actions.few_reads import FewReads, one_of
from breakglass_gcp.messages import as_json, of_json
from breakglass_gcp.project import Project

SERVICE = "iam_deny"


class DenyPolicies(FewReads):
    """The deny policies of one connection."""

    def __init__(self, project: Project) -> None:
        """Read nothing yet."""
        super().__init__(project, SERVICE, self._current)

    def write(self, name: str, policy: JsonObject, rules: Sequence[JsonObject]) -> None:
        """Replace the rules of exactly the policy that was read under this name; its own has the number.

        Raises:
            Conflict: somebody else wrote it meanwhile.
            ProviderError: refused.
        """
        from google.cloud import iam_v2

        kept = {key: policy[key] for key in ("name", "display_name", "etag", "annotations") if key in policy}
        asked = of_json(iam_v2.Policy, {**kept, "rules": [dict(one) for one in rules]})
        self.change(name, "update_policy", {"policy": asked})

    def _current(self, name: str) -> JsonObject | None:
        try:
            policy = as_json(self._project.call(SERVICE, "get_policy", {"name": name}))
        except Gone:
            return None
        # IAM API v2 reference, Policy.deleteTime: it is still shown, and denies nobody any more.
        return None if policy.get("delete_time") else policy


def policies_of(project: Project) -> DenyPolicies:
    """Return the deny policies of a connection."""
    return one_of(project, DenyPolicies)
