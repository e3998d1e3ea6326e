"""How the sandbox decides: roles, inheritance, conditions, deny policies, boundaries, delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from breakglass.errors import ProviderError
from breakglass_gcp.refusals import Conflict
from providers.gcp.tests.rig_gcp import Rig

ACT = "iam.serviceAccounts.getAccessToken"
BUSY = 6


def _may(rig: Rig, email: str, *asked: str) -> Sequence[str]:
    calls = rig.calls_as(rig.token(email))
    try:
        request = {"resource": f"projects/{rig.project}", "permissions": list(asked)}
        return list(calls.call("projects", "test_iam_permissions", request).permissions)
    finally:
        calls.close()


def _deny(rig: Rig, email: str, permission: str, **more: Any) -> Any:  # noqa: ANN401 - fields of the API
    rule = {
        "denied_principals": [f"principal://iam.googleapis.com/projects/-/serviceAccounts/{email}"],
        "denied_permissions": [permission],
        **more,
    }
    policy = {"display_name": "stop", "rules": [{"deny_rule": rule}]}
    parent = f"policies/cloudresourcemanager.googleapis.com%2Fprojects%2F{rig.project}/denypolicies"
    rig.admin.operate("iam_deny", "create_policy", {"parent": parent, "policy": policy, "policy_id": "stop"})
    return rig.admin.call("iam_deny", "get_policy", {"name": f"{parent}/stop"})


def test_an_owner_does_not_impersonate_by_that_role(rig: Rig) -> None:
    """roles/owner holds much, but not to act with another's token, nor to write deny policies."""
    email = rig.account("owner-one", roles=["roles/owner"])
    asked = ("run.services.update", ACT, "iam.denypolicies.create", "resourcemanager.projects.setIamPolicy")
    assert _may(rig, email, *asked) == ["run.services.update", "resourcemanager.projects.setIamPolicy"]


def test_a_role_of_the_parent_is_inherited(rig: Rig) -> None:
    """What the organization grants holds in its projects, whatever the project's own policy says."""
    email = rig.account("inheritor")
    assert _may(rig, email, "run.services.get") == []
    parent = rig.control("project", {"id": rig.project})["parent"]
    organizations = rig.admin.rest("iam_rest", "POST", f"/v3/{parent}:getIamPolicy", body={})
    bindings = [{"role": "roles/viewer", "members": [f"serviceAccount:{email}"]}]
    policy = {**organizations, "bindings": [*organizations.get("bindings", []), *bindings]}
    rig.admin.rest("iam_rest", "POST", f"/v3/{parent}:setIamPolicy", body={"policy": policy})
    assert _may(rig, email, "run.services.get") == ["run.services.get"]


def test_a_deny_policy_wins_over_every_role_and_spares_the_excepted(rig: Rig) -> None:
    """SERVICE_FQDN/RESOURCE.ACTION, principals by name."""
    email = rig.account("denied-one", roles=["roles/iam.serviceAccountTokenCreator", "roles/viewer"])
    other = rig.account("denied-two", roles=["roles/iam.serviceAccountTokenCreator"])
    held = _deny(rig, email, "iam.googleapis.com/serviceAccounts.getAccessToken")
    assert f"projects%2F{rig.number}/denypolicies/stop" in held.name
    assert _may(rig, email, ACT, "run.services.get") == ["run.services.get"]
    assert _may(rig, other, ACT) == [ACT]


def test_a_deny_policys_etag_is_compared_and_its_list_has_no_rules(rig: Rig) -> None:
    """Read, modify, write; a listing tells metadata only."""
    held = _deny(rig, rig.account("denied-three"), "iam.googleapis.com/serviceAccounts.getAccessToken")
    parent = held.name.rpartition("/")[0]
    assert [
        list(one.rules) for one in rig.admin.every("iam_deny", "list_policies", {"parent": parent}).items
    ] == [[]]
    held.rules[0].deny_rule.denied_permissions.append("iam.googleapis.com/serviceAccounts.signJwt")
    assert rig.admin.operate("iam_deny", "update_policy", {"policy": held})
    with pytest.raises(Conflict):
        rig.admin.operate("iam_deny", "update_policy", {"policy": held})


def test_a_permission_that_deny_policies_do_not_know_is_refused(rig: Rig) -> None:
    """A permission in the form of roles is no permission here."""
    with pytest.raises(ProviderError, match="not supported"):
        _deny(rig, rig.account("denied-four"), ACT)


def test_deny_policies_have_five_writes_a_minute(rig: Rig) -> None:
    """The sixth is refused until a minute has gone, by the documented budget."""
    parent = f"policies/cloudresourcemanager.googleapis.com%2Fprojects%2F{rig.project}/denypolicies"
    codes = []
    for n in range(BUSY):
        try:
            asked = {"parent": parent, "policy": {}, "policy_id": f"busy-{n}"}
            rig.admin.call("iam_deny", "create_policy", asked)
        except ProviderError as error:
            codes.append(type(error).__name__)
    assert codes == ["Throttled"]
    rig.control("advance", {"seconds": 61})
    asked = {"parent": parent, "policy": {}, "policy_id": "later"}
    assert rig.admin.operate("iam_deny", "create_policy", asked)


def test_what_iam_changed_is_seen_after_the_delay_and_read_at_once(rig: Rig) -> None:
    """The policy reads changed; the evaluator still lets the caller, then does not."""
    email = rig.account("delayed", roles=["roles/viewer"])
    token = rig.token(email)
    calls = rig.calls_as(token)
    get = ("projects", "get_project", {"name": f"projects/{rig.project}"})
    rig.control("settings", {"visibility_delay_s": 60})
    try:
        calls.call(*get)
    except ProviderError:
        rig.control("advance", {"seconds": 61})
        calls.call(*get)
    name = {"name": f"projects/-/serviceAccounts/{email}"}
    rig.admin.call("iam_admin", "disable_service_account", name)
    assert rig.admin.call("iam_admin", "get_service_account", name).disabled
    calls.call(*get)
    rig.control("advance", {"seconds": 61})
    with pytest.raises(ProviderError, match="disabled"):
        calls.call(*get)
    rig.control("settings", {"visibility_delay_s": 0})
    calls.close()


def test_a_condition_is_kept_and_decided(rig: Rig) -> None:
    """A grant until a moment that is over does not hold; who asks for version 1 does not see conditions."""
    email = rig.account("conditional")
    resource = f"projects/{rig.project}"
    wanted = {"resource": resource, "options": {"requested_policy_version": 3}}
    policy = rig.admin.call("projects", "get_iam_policy", wanted)
    policy.version = 3
    binding = policy.bindings.add(role="roles/viewer", members=[f"serviceAccount:{email}"])
    binding.condition.title, binding.condition.expression = (
        "until",
        'request.time < timestamp("2020-01-01T00:00:00Z")',
    )
    rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": policy})
    assert _may(rig, email, "run.services.get") == []
    older = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    assert not any(one.condition.expression for one in older.bindings)
    with pytest.raises(ProviderError, match="conditions"):
        rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": older})


def test_a_boundary_leaves_only_what_it_names(rig: Rig) -> None:
    """A principal access boundary bound to the project's principals, for one subject."""
    email = rig.account("bounded", roles=["roles/viewer"])
    other = rig.account("unbounded", roles=["roles/viewer"])
    parent = rig.control("project", {"id": rig.project})["parent"] + "/locations/global"
    short = f"none-{rig.project}"
    query = {"principalAccessBoundaryPolicyId": short}
    details = {
        "rules": [{"resources": [f"//cloudresourcemanager.googleapis.com/{parent}"], "effect": "ALLOW"}]
    }
    rig.admin.rest(
        "iam_rest",
        "POST",
        f"/v3/{parent}/principalAccessBoundaryPolicies",
        query=query,
        body={"details": details},
    )
    rig.control("advance", {"seconds": 1})
    body = {
        "target": {"principalSet": f"//cloudresourcemanager.googleapis.com/projects/{rig.number}"},
        "policyKind": "PRINCIPAL_ACCESS_BOUNDARY",
        "policy": f"{parent}/principalAccessBoundaryPolicies/{short}",
        "condition": {"expression": f"principal.subject == '{email}'"},
    }
    own = f"projects/{rig.project}/locations/global"
    rig.admin.rest("iam_rest", "POST", f"/v3/{own}/policyBindings", query={"policyBindingId": "b"}, body=body)
    rig.control("advance", {"seconds": 1})
    assert _may(rig, email, "run.services.get") == []
    assert _may(rig, other, "run.services.get") == ["run.services.get"]


def test_a_policy_that_names_a_deleted_account_is_refused_whole(rig: Rig) -> None:
    """What was read before cannot be written back as it was."""
    resource = f"projects/{rig.project}"
    email = rig.account("short-lived", roles=["roles/viewer"])
    before = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    rig.admin.call("iam_admin", "delete_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    now = rig.admin.call("projects", "get_iam_policy", {"resource": resource})
    assert any(one.startswith("deleted:") for binding in now.bindings for one in binding.members)
    before.etag = now.etag
    with pytest.raises(ProviderError, match="does not exist"):
        rig.admin.call("projects", "set_iam_policy", {"resource": resource, "policy": before})
