"""Further ways to a token in the sandbox: signed by Google for somebody, a user's, iam over REST."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest

from breakglass.errors import Denied, ProviderError
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.rig_gcp import Rig

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _claims(email: str, **more: str) -> str:
    now = int(time.time())
    return json.dumps({"iss": email, "aud": "token", "iat": now, "exp": now + 600, "scope": "all", **more})


def _granted(rig: Rig, jwt: str) -> dict[str, Any]:
    form = urllib.parse.urlencode({"grant_type": GRANT, "assertion": jwt}).encode()
    try:
        with urllib.request.urlopen(f"{rig.sandbox.rest}/token", data=form, timeout=10) as answer:  # noqa: S310 - our own program on loopback
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))


def _sign(rig: Rig, token: str, email: str, payload: str) -> str:
    calls = rig.calls_as(token)
    try:
        path = f"/v1/projects/-/serviceAccounts/{email}:signJwt"
        return str(calls.rest("iam_rest", "POST", path, body={"payload": payload})["signedJwt"])
    finally:
        calls.close()


def test_who_may_sign_for_an_account_gets_its_tokens_until_it_is_disabled(rig: Rig) -> None:
    """No key of its own is needed, so disabling keys does not stop it; disabling the account does."""
    target, signer = rig.account("target-one", roles=["roles/viewer"]), rig.account("signer-one")
    token = rig.token(signer)
    with pytest.raises(Denied):
        _sign(rig, token, target, _claims(target))
    rig.grant(f"serviceAccount:{signer}", "roles/iam.serviceAccountTokenCreator")
    jwt = _sign(rig, token, target, _claims(target))
    assert "error" not in _granted(rig, jwt)
    name = f"projects/-/serviceAccounts/{target}"
    keys = rig.admin.call("iam_admin", "list_service_account_keys", {"name": name}).keys
    assert [key.key_type.name for key in keys] == ["SYSTEM_MANAGED"]
    with pytest.raises(ProviderError, match="manages"):
        rig.admin.call("iam_admin", "disable_service_account_key", {"name": keys[0].name})
    rig.admin.call("iam_admin", "disable_service_account", {"name": name})
    assert _granted(rig, jwt)["error"] == "invalid_grant"


def test_a_users_token_through_domain_wide_delegation_outlives_the_account(rig: Rig) -> None:
    """It is the user's: disabling the account that asked for it does not void it."""
    email = rig.account("delegated", roles=["roles/iam.serviceAccountTokenCreator"])
    rig.grant("user:boss@sandbox.example", "roles/viewer")
    jwt = _sign(rig, rig.token(email), email, _claims(email, sub="boss@sandbox.example"))
    assert _granted(rig, jwt)["error"] == "unauthorized_client"
    rig.control("iam.delegate_domain", {"email": email})
    calls = rig.calls_as(_granted(rig, jwt)["access_token"])
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    calls.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    calls.close()


def test_an_ended_jwt_and_a_tampered_one_are_refused(rig: Rig) -> None:
    """The signature and the times are looked at."""
    email = rig.account("honest", roles=["roles/iam.serviceAccountTokenCreator"])
    token, old = rig.token(email), json.loads(_claims(email))
    ended = _sign(rig, token, email, json.dumps({**old, "iat": 1000, "exp": 2000}))
    good = _sign(rig, token, email, _claims(email))
    head, _, end = good.split(".")
    for jwt in (ended, f"{head}.{ended.split('.')[1]}.{end}", "x.y.z"):
        assert _granted(rig, jwt)["error"] == "invalid_grant"


def test_iam_over_rest_is_the_same_as_over_grpc(rig: Rig) -> None:
    """What gcloud and the API client call ends in the same world."""
    email = rig.account("both-ways")
    path = f"/v1/projects/{rig.project}/serviceAccounts/{email}"
    name = {"name": f"projects/-/serviceAccounts/{email}"}
    rig.admin.rest("iam_rest", "POST", f"{path}:disable", body={})
    assert rig.admin.call("iam_admin", "get_service_account", name).disabled
    rig.admin.rest("iam_rest", "POST", f"{path}:enable", body={})
    assert "disabled" not in rig.admin.rest("iam_rest", "GET", path)
    change = {"serviceAccount": {"displayName": "Both"}, "updateMask": "displayName"}
    assert rig.admin.rest("iam_rest", "PATCH", path, body=change)["displayName"] == "Both"
    key = rig.admin.rest("iam_rest", "POST", f"{path}/keys", body={})
    assert key["privateKeyData"]
    rig.admin.rest("iam_rest", "POST", f"/v1/{key['name']}:disable", body={})
    listed = rig.admin.rest("iam_rest", "GET", f"{path}/keys", query={"keyTypes": "USER_MANAGED"})["keys"]
    assert [one["disabled"] for one in listed] == [True]
    policy = rig.admin.rest(
        "iam_rest", "POST", f"{path}:getIamPolicy", query={"options.requestedPolicyVersion": 3}
    )
    assert policy["etag"]


def test_an_identity_that_no_pool_of_ours_issued_is_its_own_principal(rig: Rig) -> None:
    """An agent identity of Agent Engine: allow policies name it whole; there is no account to disable."""
    who = "principal://agents.global.org-1.system.id.goog/resources/aiplatform/projects/1/locations/l/reasoningEngines/2"
    calls = rig.calls_as(rig.token(who))
    asked = ("projects", "get_project", {"name": f"projects/{rig.project}"})
    with pytest.raises(Denied) as refused:
        calls.call(*asked)
    assert not isinstance(refused.value, Unauthenticated)
    rig.grant(who, "roles/viewer")
    calls.call(*asked)
    calls.close()


def test_the_token_endpoint_is_recorded_and_fails_when_told(rig: Rig) -> None:
    """A call for a token is one of the account's project, whether it is granted or not."""
    email = rig.account("recorded", roles=["roles/iam.serviceAccountTokenCreator"])
    jwt = _sign(rig, rig.token(email), email, _claims(email))
    rig.control("faults", {"faults": [{"method": "oauth2.token", "code": "UNAVAILABLE", "times": 1}]})
    assert _granted(rig, jwt)["error"]["status"] == "UNAVAILABLE"
    assert "error" not in _granted(rig, jwt)
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    assert _granted(rig, jwt)["error"] == "invalid_grant"
    told = [(one["code"]) for one in rig.control("calls") if one["method"] == "oauth2.token"]
    assert told == ["UNAVAILABLE", "OK", "HTTP_400"]
