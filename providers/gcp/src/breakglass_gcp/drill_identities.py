"""The identities of a drill's agent, as an administrator would make them, and the executor's."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from breakglass.errors import Gone
from breakglass_gcp.actions.class_deny_spec import SPEC as DENY_SPEC
from breakglass_gcp.actions.deny_baseline import BASELINE
from breakglass_gcp.calls import Calls
from breakglass_gcp.sandbox.process import Sandbox

PROJECT = "rogue-prod"
POOL = "rogue-pool"
EXECUTOR = "breakglass-executor"
SOON = 100
_TOP = "organization"
DENIED = (*BASELINE, "cloudscheduler.googleapis.com/jobs.enable")
"""What the class deny policy denies."""


def role(admin: Calls, name: str, allowed: Sequence[str]) -> str:
    """Make a custom role of the project; return its name."""
    asked = {
        "parent": f"projects/{PROJECT}",
        "role_id": name,
        "role": {"title": name, "included_permissions": list(allowed)},
    }
    return str(admin.call("iam_admin", "create_role", asked).name)


def account(admin: Calls, name: str, role: str) -> str:
    """Make a service account with a role of the project; return its address."""
    asked = {"name": f"projects/{PROJECT}", "account_id": name, "service_account": {"display_name": name}}
    email = str(admin.call("iam_admin", "create_service_account", asked).email)
    grant(admin, f"serviceAccount:{email}", role)
    return email


def grant(admin: Calls, member: str, role: str) -> None:
    """Give a principal a role of the project."""
    resource = f"projects/{PROJECT}"
    policy = admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role=role, members=[member])
    admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})


def key(admin: Calls, email: str) -> bytes:
    """Make a key of an account; return its JSON."""
    made = admin.call(
        "iam_admin", "create_service_account_key", {"name": f"projects/-/serviceAccounts/{email}"}
    )
    return bytes(made.private_key_data)


def federated(sandbox: Sandbox, admin: Calls, number: str, folder: Path) -> tuple[str, bytes]:
    """Make a pool that the agent gets in through from outside, and what it does that with."""
    pools = f"v1/projects/{PROJECT}/locations/global/workloadIdentityPools"
    asked = {"workloadIdentityPoolId": POOL}
    admin.rest("iam_rest", "POST", pools, query=asked, body={"displayName": "rogue"})
    _until(partial(admin.rest, "iam_rest", "GET", f"{pools}/{POOL}"))
    body = {
        "oidc": {"issuerUri": "https://ci.example.com"},
        "attributeMapping": {"google.subject": "assertion.sub"},
    }
    providers = f"{pools}/{POOL}/providers"
    query = {"workloadIdentityPoolProviderId": "ci"}
    admin.rest("iam_rest", "POST", providers, query=query, body=body)
    _until(partial(admin.rest, "iam_rest", "GET", f"{providers}/ci"))
    where = f"projects/{number}/locations/global/workloadIdentityPools/{POOL}"
    principal = f"principal://iam.googleapis.com/{where}/subject/rogue"
    grant(admin, principal, f"projects/{PROJECT}/roles/rogueWork")
    told = sandbox.control("federated_subject", {"provider": f"{where}/providers/ci", "subject": "rogue"})
    held = folder / "gcp-subject"
    held.touch(0o600)
    held.write_text(told["token"], encoding="utf-8")
    external = {
        "type": "external_account",
        "audience": told["audience"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{sandbox.rest}/v1/token",
        "credential_source": {"file": str(held)},
    }
    return principal, json.dumps(external).encode()


def _until(look: Callable[[], object]) -> None:
    """Look until it is there: what makes it goes on after the call that began it."""
    for _ in range(SOON):
        try:
            look()
        except Gone:
            time.sleep(0.1)
        else:
            return


def class_policy(admin: Calls) -> str:
    """Make the deny policy of the agent's class, as in peacetime: it denies nobody who exists; its name.

    It hangs on the organisation: the Agent Engine's identity may be granted something in any project there.
    """
    point = f"cloudresourcemanager.googleapis.com%2F{organisation(admin, PROJECT).replace('/', '%2F')}"
    spared = f"principal://iam.googleapis.com/projects/-/serviceAccounts/{EXECUTOR}@{PROJECT}.iam.gserviceaccount.com"
    rule = {
        "denied_principals": [
            f"principal://iam.googleapis.com/projects/-/serviceAccounts/nobody@{PROJECT}.iam.gserviceaccount.com"
        ],
        "exception_principals": [spared],
        "denied_permissions": list(DENIED),
    }
    policy = {"display_name": "breakglass class", "rules": [{"deny_rule": rule}]}
    asked = {"parent": f"policies/{point}/denypolicies", "policy_id": "breakglass-class", "policy": policy}
    admin.operate("iam_deny", "create_policy", asked)
    return f"policies/{point}/denypolicies/breakglass-class"


def executor(admin: Calls) -> bytes:
    """Make the executor with exactly the rights that `providers show gcp --roles` prints; return its key."""
    from breakglass_gcp import permissions

    given = role(admin, "breakglassExecutor", sorted(permissions.needed("")))
    email = account(admin, EXECUTOR, given)
    may_deny(admin, email, organisation(admin, PROJECT))
    return key(admin, email)


def organisation(admin: Calls, project: str) -> str:
    """Return the name of the organisation that a project is in."""
    answer = admin.rest("projects", "POST", f"v1/projects/{project}:getAncestry", body={})
    [found] = [one["resourceId"]["id"] for one in answer["ancestor"] if one["resourceId"]["type"] == _TOP]
    return f"organizations/{found}"


def may_deny(admin: Calls, email: str, where: str) -> None:
    """Let an executor edit the deny policies of an organisation, by a custom role of it and no more."""
    name = f"{where}/roles/breakglassDeny"
    try:
        admin.call("iam_admin", "get_role", {"name": name})
    except Gone:
        held = {"title": "breakglass: class deny", "included_permissions": [*DENY_SPEC.permissions]}
        asked = {"parent": where, "role_id": "breakglassDeny", "role": held}
        admin.call("iam_admin", "create_role", asked)
    policy = admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
    bound = [*policy.get("bindings", []), {"role": name, "members": [f"serviceAccount:{email}"]}]
    asked = {"policy": {**policy, "bindings": bound}}
    admin.rest("projects", "POST", f"v3/{where}:setIamPolicy", body=asked)
