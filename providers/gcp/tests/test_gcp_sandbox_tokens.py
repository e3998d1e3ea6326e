"""Tokens in the sandbox: what makes them void, and valid again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.auth import exceptions as auth
from google.auth import identity_pool, impersonated_credentials
from google.auth.transport.requests import Request
from google.oauth2 import service_account

from breakglass.errors import Denied, ProviderError
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.rig_gcp import Rig

SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
STS = {"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "type": "external_account"}


def _reads(rig: Rig, token: str) -> str:
    """Return "" when a token reads the project, else what it is refused with."""
    calls = rig.calls_as(token)
    try:
        calls.call("projects", "get_project", {"name": f"projects/{rig.project}"})
    except ProviderError as error:
        return type(error).__name__
    finally:
        calls.close()
    return ""


def _key(rig: Rig, email: str) -> tuple[str, Any]:
    made = rig.admin.call(
        "iam_admin", "create_service_account_key", {"name": f"projects/-/serviceAccounts/{email}"}
    )
    info = json.loads(made.private_key_data)
    return made.name, service_account.Credentials.from_service_account_info(info, scopes=SCOPES)


def test_no_token_and_an_unknown_or_ended_one_are_refused(rig: Rig) -> None:
    """Nobody is let in without a token that was given and has not ended."""
    email = rig.account("visitor", roles=["roles/viewer"])
    short = rig.token(email, life_s=1)
    assert _reads(rig, short) == ""
    rig.control("advance", {"seconds": 2})
    assert {_reads(rig, one) for one in (short, "", "ya29.invented", "a.b.c")} == {"Unauthenticated"}


def test_a_disabled_accounts_token_is_refused_and_works_again_once_enabled(rig: Rig) -> None:
    """The trap of disabling: enabling revives the tokens that were given before."""
    email = rig.account("agent-one", roles=["roles/viewer"])
    token, name = rig.token(email), {"name": f"projects/-/serviceAccounts/{email}"}
    rig.admin.call("iam_admin", "disable_service_account", name)
    assert _reads(rig, token) == "Unauthenticated"
    rig.admin.call("iam_admin", "enable_service_account", name)
    assert _reads(rig, token) == ""


def test_a_remade_account_of_the_same_name_is_somebody_else(rig: Rig) -> None:
    """Neither the old token nor the old binding is good for it."""
    email = rig.account("agent-two", roles=["roles/viewer"])
    old = rig.token(email)
    rig.admin.call("iam_admin", "delete_service_account", {"name": f"projects/-/serviceAccounts/{email}"})
    assert _reads(rig, old) == "Unauthenticated"
    assert rig.account("agent-two") == email
    assert _reads(rig, old) == "Unauthenticated"
    assert _reads(rig, rig.token(email)) == "Denied"


def test_what_google_disabled_its_owner_cannot_enable(rig: Rig) -> None:
    """Google's own disable is not lifted by the method."""
    email = rig.account("agent-three")
    rig.control("iam.google_disables", {"email": email})
    with pytest.raises(ProviderError, match="disabled by Google"):
        rig.admin.call("iam_admin", "enable_service_account", {"name": f"projects/-/serviceAccounts/{email}"})


def test_a_disabled_key_gives_no_new_token_and_leaves_the_old_ones(rig: Rig) -> None:
    """google-auth signs with the key; disabling it stops the grant, not what was granted."""
    email = rig.account("agent-four", roles=["roles/viewer"])
    name, credentials = _key(rig, email)
    credentials.refresh(Request())
    token = credentials.token
    assert _reads(rig, token) == ""
    rig.admin.call("iam_admin", "disable_service_account_key", {"name": name})
    with pytest.raises(auth.RefreshError, match="invalid_grant"):
        credentials.refresh(Request())
    assert _reads(rig, token) == ""
    rig.admin.call("iam_admin", "enable_service_account_key", {"name": name})
    credentials.refresh(Request())


def test_a_jwt_that_a_key_signed_itself_is_a_token_until_the_key_is_disabled(rig: Rig) -> None:
    """Google's clients may show such a JWT instead of an access token."""
    name, credentials = _key(rig, rig.account("agent-five", roles=["roles/viewer"]))
    signed = credentials.with_always_use_jwt_access(always_use_jwt_access=True)
    signed._create_self_signed_jwt(None)  # noqa: SLF001 - google-auth does so itself only for its own hosts
    signed.refresh(Request())
    assert signed.token.count(".") == 2
    assert _reads(rig, signed.token) == ""
    rig.admin.call("iam_admin", "disable_service_account_key", {"name": name})
    assert _reads(rig, signed.token) == "Unauthenticated"


def test_impersonation_needs_the_permission_and_an_enabled_account(rig: Rig) -> None:
    """google-auth's impersonated credentials, refused and let as the policy of the account says."""
    target = rig.account("agent-six", roles=["roles/viewer"])
    _, source = _key(rig, rig.account("broker"))
    path = f"/v1/projects/-/serviceAccounts/{target}:generateAccessToken"
    asked = impersonated_credentials.Credentials(
        source, target, SCOPES, iam_endpoint_override=f"{rig.sandbox.rest}{path}"
    )
    with pytest.raises(auth.RefreshError, match="getAccessToken"):
        asked.refresh(Request())
    rig.grant(f"serviceAccount:{rig.email('broker')}", "roles/iam.serviceAccountTokenCreator")
    asked.refresh(Request())
    assert _reads(rig, asked.token) == ""
    rig.admin.call("iam_admin", "disable_service_account", {"name": f"projects/-/serviceAccounts/{target}"})
    assert _reads(rig, asked.token) == "Unauthenticated"
    with pytest.raises(auth.RefreshError):
        asked.refresh(Request())


def _pool(rig: Rig, pool: str) -> tuple[str, str]:
    """Make a pool and a provider; return their names."""
    parent = f"projects/{rig.project}/locations/global"
    rig.admin.rest(
        "iam_rest",
        "POST",
        f"/v1/{parent}/workloadIdentityPools",
        query={"workloadIdentityPoolId": pool},
        body={},
    )
    rig.control("advance", {"seconds": 1})
    name = f"{parent}/workloadIdentityPools/{pool}"
    body = {"oidc": {"issuerUri": "https://issuer.example"}, "attributeMapping": {"google.subject": "a.sub"}}
    rig.admin.rest(
        "iam_rest", "POST", f"/v1/{name}/providers", query={"workloadIdentityPoolProviderId": "ci"}, body=body
    )
    rig.control("advance", {"seconds": 1})
    return name, f"{name}/providers/ci"


def _switch(rig: Rig, name: str, *, disabled: bool) -> None:
    query = {"updateMask": "disabled"}
    rig.admin.rest("iam_rest", "PATCH", f"/v1/{name}", query=query, body={"disabled": disabled})
    rig.control("advance", {"seconds": 1})
    assert rig.admin.rest("iam_rest", "GET", f"/v1/{name}").get("disabled", False) is disabled


def _external(rig: Rig, provider: str, subject: str, file: Any) -> identity_pool.Credentials:  # noqa: ANN401 - a path
    minted = rig.control("federated_subject", {"provider": provider, "subject": subject})
    file.write_text(minted["token"], encoding="utf-8")
    info = {
        **STS,
        "audience": minted["audience"],
        "token_url": f"{rig.sandbox.rest}/v1/token",
        "credential_source": {"file": str(file)},
    }
    return identity_pool.Credentials.from_info(info, scopes=SCOPES)


def test_a_disabled_provider_leaves_tokens_alive_and_a_disabled_pool_does_not(rig: Rig) -> None:
    """Both refuse new exchanges; only the pool voids what was given, and enabling it revives it."""
    pool, provider = _pool(rig, "robots")
    number = pool.replace(rig.project, rig.number)
    rig.grant(f"principal://iam.googleapis.com/{number}/subject/bot", "roles/viewer")
    credentials = _external(rig, provider, "bot", rig.folder / "subject.jwt")
    credentials.refresh(Request())
    token = credentials.token
    assert _reads(rig, token) == ""
    for name, then in ((provider, ""), (pool, "Unauthenticated")):
        _switch(rig, name, disabled=True)
        assert _reads(rig, token) == then
        with pytest.raises(auth.OAuthError, match="invalid_grant"):
            credentials.refresh(Request())
        _switch(rig, name, disabled=False)
        assert _reads(rig, token) == ""


def test_an_exchange_of_another_subjects_token_is_refused(rig: Rig) -> None:
    """An invented subject token is nobody's."""
    _, provider = _pool(rig, "strangers")
    file = rig.folder / "subject.jwt"
    credentials = _external(rig, provider, "bot", file)
    file.write_text("a.b.c", encoding="utf-8")
    with pytest.raises(auth.OAuthError):
        credentials.refresh(Request())


def test_refusals_are_the_engines_words(rig: Rig) -> None:
    """A refused token is `Unauthenticated`, a refused permission `Denied`: what actions rely on."""
    assert issubclass(Unauthenticated, Denied)
    email = rig.account("agent-seven")
    assert _reads(rig, rig.token(email)) == "Denied"
