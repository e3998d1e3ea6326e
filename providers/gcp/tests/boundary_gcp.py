"""What the tests of class boundaries share: a boundary and its binding, made in peacetime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from breakglass.errors import Denied
from providers.gcp.tests.deny_gcp import organisation
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig

ARMED = "principal.subject in ['breakglass-nobody']"
USER = "roles/iam.principalAccessBoundaryUser"


def binding_name(rig: Rig) -> str:
    """Return the full name of the binding of the rig's project."""
    return f"projects/{rig.project}/locations/global/policyBindings/agents"


def project_set(rig: Rig) -> str:
    """Return the principal set of the rig's project."""
    return f"//cloudresourcemanager.googleapis.com/projects/{rig.number}"


def pool_set(rig: Rig, pool: str = "ci") -> str:
    """Return the principal set of a pool of this project."""
    return f"//iam.googleapis.com/projects/{rig.number}/locations/global/workloadIdentityPools/{pool}"


def engine_of(rig: Rig, number: str = "") -> str:
    """Return the identity of an engine in this project, or in another."""
    place = f"projects/{number or rig.number}/locations/europe-west1/reasoningEngines/9"
    return f"principal://agents.global.org-100000000001.system.id.goog/resources/aiplatform/{place}"


def federated(rig: Rig, pool: str = "ci") -> str:
    """Return a principal of a pool of this project."""
    pools = f"projects/{rig.number}/locations/global/workloadIdentityPools"
    return f"principal://iam.googleapis.com/{pools}/{pool}/subject/bot"


def empty_folder(rig: Rig) -> str:
    """Return a folder that nothing is in."""
    return f"//cloudresourcemanager.googleapis.com/folders/{rig.number}9"


def boundary(rig: Rig, name: str = "none", **details: Any) -> str:  # noqa: ANN401 - fields of the API
    """Make a boundary of the organisation that allows an empty folder alone; return its name."""
    parent = f"{organisation(rig)}/locations/global"
    rules = [{"resources": [empty_folder(rig)], "effect": "ALLOW"}]
    asked = {
        "parent": parent,
        "principal_access_boundary_policy_id": f"{name}-{rig.project}",
        "principal_access_boundary_policy": {
            "details": {"rules": rules, "enforcement_version": "4", **details}
        },
    }
    assert rig.admin.operate("boundary_policies", "create_principal_access_boundary_policy", asked)
    return f"{parent}/principalAccessBoundaryPolicies/{name}-{rig.project}"


def bind(rig: Rig, policy: str, *, name: str = "agents", **more: Any) -> None:  # noqa: ANN401 - as above
    """Bind a boundary to the project's principals whom the condition names: nobody yet."""
    condition = {"title": "stopped agents", "description": "breakglass", "expression": ARMED}
    held = {"target": {"principal_set": project_set(rig)}, "policy": policy, "condition": condition, **more}
    asked = {
        "parent": f"projects/{rig.project}/locations/global",
        "policy_binding_id": name,
        "policy_binding": held,
    }
    assert rig.admin.operate("policy_bindings", "create_policy_binding", asked)


def may_bind(rig: Rig, executor: str = EXECUTOR) -> None:
    """Give the executor what the printed rights name beside the project's role."""
    where = organisation(rig)
    held = rig.admin.rest("projects", "POST", f"v3/{where}:getIamPolicy", body={})
    mine = {"role": USER, "members": [f"serviceAccount:{rig.email(executor)}"]}
    asked = {"policy": {**held, "bindings": [*held.get("bindings", []), mine]}}
    rig.admin.rest("projects", "POST", f"v3/{where}:setIamPolicy", body=asked)


def arm(
    rig: Rig,
    *,
    details: Mapping[str, Any] | None = None,
    executor: str = EXECUTOR,
    **more: Any,  # noqa: ANN401 - as above
) -> str:
    """Make both, and an executor that may use them; return the binding's name."""
    may_bind(rig, executor)
    bind(rig, boundary(rig, **(details or {})), **more)
    return binding_name(rig)


def shown(rig: Rig, name: str = "agents") -> dict[str, str]:
    """Return the binding, without a call that counts."""
    found: dict[str, str] = rig.control("state", {})["iam_boundaries"][name]
    return found


def say(rig: Rig, expression: str) -> None:
    """Write a condition as somebody else does, without a look before."""
    said = {"name": binding_name(rig), "condition": {"expression": expression}}
    asked = {"policy_binding": said, "update_mask": {"paths": ["condition.expression"]}}
    assert rig.admin.operate("policy_bindings", "update_policy_binding", asked)


def naming(*subjects: str) -> str:
    """Return the condition that names these, as the stop writes it."""
    return ARMED.replace("]", "".join(f",'{one}'" for one in subjects) + "]")


def elsewhere(rig: Rig, member: str) -> str:
    """Make another project that lets somebody look at it; return its name."""
    made = str(rig.sandbox.control("project", {})["project"])
    resource = f"projects/{made}"
    policy = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    policy.bindings.add(role="roles/viewer", members=[member])
    rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
    return resource


def works(rig: Rig, token: str, project: str) -> bool:
    """Return whether a token looks at a project."""
    agent = rig.calls_as(token)
    try:
        agent.call("projects", "get_project", {"name": project})
    except Denied:
        return False
    else:
        return True
    finally:
        agent.close()


def calls(rig: Rig, method: str) -> int:
    """Return how often the executor called a method of bindings or boundaries in this project."""
    ways: Sequence[str] = (f"PolicyBindings/{method}", f"PrincipalAccessBoundaryPolicies/{method}")
    told = rig.control("calls")
    return sum(
        1 for one in told if one["method"].endswith(tuple(ways)) and one["principal"] == rig.email(EXECUTOR)
    )
