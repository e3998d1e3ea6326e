"""What the tests of class denies share: a deny policy as somebody makes it in peacetime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from breakglass_gcp import drill_identities
from breakglass_gcp.actions.deny_baseline import BASELINE
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig

ACCOUNT = "principal://iam.googleapis.com/projects/-/serviceAccounts/"
DENIED = (
    "cloudresourcemanager.googleapis.com/projects.get",
    "cloudresourcemanager.googleapis.com/projects.setIamPolicy",
    "iam.googleapis.com/serviceAccountKeys.create",
    "iam.googleapis.com/serviceAccounts.getAccessToken",
    "pubsub.googleapis.com/topics.publish",
)
SERVICE = "iam_deny"


def policy_name(rig: Rig, name: str = "agents") -> str:
    """Return the full name of a deny policy of the rig's project."""
    return f"policies/cloudresourcemanager.googleapis.com%2Fprojects%2F{rig.number}/denypolicies/{name}"


def rule(rig: Rig, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a rule
    """Return a rule that denies nobody yet and spares the executor."""
    deny = {
        "denied_permissions": list(DENIED),
        "exception_principals": [f"{ACCOUNT}{rig.email(EXECUTOR)}"],
        **more,
    }
    return {"deny_rule": deny, "description": "agents that are stopped"}


def arm(rig: Rig, *rules: dict[str, Any]) -> str:
    """Make the policy; return its name."""
    attached = policy_name(rig).rpartition("/")[0]
    policy = {"display_name": "agents", "rules": list(rules) or [rule(rig)]}
    asked = {"parent": attached, "policy": policy, "policy_id": "agents"}
    assert rig.admin.operate(SERVICE, "create_policy", asked)
    return policy_name(rig)


def organisation(rig: Rig) -> str:
    """Return the name of the organisation that the rig's project is in."""
    return drill_identities.organisation(rig.admin, rig.project)


def arm_above(rig: Rig, where: str) -> str:
    """Make a policy there that denies the baseline, and let the executor edit it; return its name."""
    attached = f"policies/cloudresourcemanager.googleapis.com%2F{where.replace('/', '%2F')}/denypolicies"
    policy = {"display_name": "agents", "rules": [rule(rig, denied_permissions=[*BASELINE])]}
    asked = {"parent": attached, "policy": policy, "policy_id": f"agents-{rig.project}"}
    assert rig.admin.operate(SERVICE, "create_policy", asked)
    held = rig.admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
    mine = {"role": "roles/iam.denyAdmin", "members": [f"serviceAccount:{rig.email(EXECUTOR)}"]}
    asked = {"policy": {**held, "bindings": [*held.get("bindings", []), mine]}}
    rig.admin.rest("projects", "POST", f"v3/{where}:setIamPolicy", body=asked)
    return f"{attached}/agents-{rig.project}"


def read(rig: Rig) -> Any:  # noqa: ANN401 - iam_v2.Policy
    """Return the policy as the administrator sees it."""
    return rig.admin.call(SERVICE, "get_policy", {"name": policy_name(rig)})


def write(rig: Rig, policy: Any) -> None:  # noqa: ANN401 - iam_v2.Policy
    """Write the policy as the administrator."""
    assert rig.admin.operate(SERVICE, "update_policy", {"policy": policy})


def denied(rig: Rig, rule_at: int = 0) -> Sequence[str]:
    """Return whom a rule denies."""
    return tuple(read(rig).rules[rule_at].deny_rule.denied_principals)


def roomy(rig: Rig) -> None:
    """Let this sandbox take more calls a minute than Google does, for tests that need them."""
    rig.control("settings", {"quotas": {}, "deny_reads_per_min": 1000, "deny_writes_per_min": 1000})
