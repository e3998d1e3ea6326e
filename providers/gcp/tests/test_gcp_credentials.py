"""The executor's credentials: shown to Google alone, impersonated for real, bounded in time."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from breakglass.errors import Denied, Transient
from breakglass_gcp.executor import credentials_of, token_of
from breakglass_gcp.refusals import Unauthenticated
from providers.gcp.tests.rig_gcp import EXECUTOR, Rig
from providers.gcp.tests.said_gcp import saying

GOOGLE = "https://oauth2.googleapis.com/token"


def key_of(rig: Rig, email: str) -> dict[str, Any]:
    """Return the JSON of a new key of an account, as gcloud writes it, for this sandbox."""
    asked = {"name": f"projects/-/serviceAccounts/{email}"}
    key = rig.admin.call("iam_admin", "create_service_account_key", asked)
    return {**json.loads(key.private_key_data), "token_uri": f"{rig.sandbox.rest}/token"}


def packed(body: object) -> bytes:
    """Return a secret's bytes."""
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"not json",
        b'{"type": "access_token"}',
        b'{"type": "service_account"}',
        b"{" * 9999,
    ],
)
def test_what_is_no_credential_is_said_and_not_shown(data: bytes) -> None:
    """Denied, by its name; nothing of the secret is in the words."""
    with pytest.raises(Denied) as caught:
        credentials_of(data, "executor-key", drill=False)

    assert "executor-key" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"token_uri": "https://oauth2.googleapis.com.evil.example/token"},
        {"token_uri": "http://oauth2.googleapis.com/token"},
        {"token_uri": "https://oauth2.googleapis.com@evil.example/token"},
        {"token_uri": "https://evil.example\\.googleapis.com/token"},
        {"token_uri": ["https://evil.example/token"]},
        {"universe_domain": "evil.example"},
        {"service_account_impersonation_url": "https://evil.example/v1/x:generateAccessToken"},
        {"token_info_url": "https://evil.example/introspect"},
        {"source_credentials": {"type": "authorized_user", "token_uri": "https://evil.example/token"}},
    ],
)
def test_a_key_that_would_be_shown_to_somebody_else_is_refused(rig: Rig, change: dict[str, object]) -> None:
    """Also where the address lies inside, and in a drill: whoever edits the file must not get a token."""
    key = {**key_of(rig, rig.account("robot")), "token_uri": GOOGLE, **change}

    for drill in (False, True):
        with pytest.raises(Denied):
            credentials_of(packed(key), "key", drill=drill)


def test_a_sandbox_address_is_for_drills_alone(rig: Rig) -> None:
    """The same key is good in a drill."""
    key = packed(key_of(rig, rig.account("robot")))

    assert token_of(key, "key", drill=True)
    with pytest.raises(Denied):
        credentials_of(key, "key", drill=False)


def test_a_key_connects_and_a_disabled_one_says_so(rig: Rig) -> None:
    """No token is given any more: refused, and not taken for an outage."""
    email = rig.email(EXECUTOR)
    key = key_of(rig, email)
    rig.secrets.held[EXECUTOR] = packed(key)
    assert rig.provider().project.me == email
    name = f"projects/-/serviceAccounts/{email}/keys/{key['private_key_id']}"
    rig.admin.call("iam_admin", "disable_service_account_key", {"name": name})

    with pytest.raises(Unauthenticated):
        token_of(rig.secrets.held[EXECUTOR], "key", drill=True)


def test_the_account_of_as_is_impersonated(rig: Rig) -> None:
    """The calls are made as that account, by a token that IAM Credentials gave."""
    operator = rig.account("operator-machine")
    rig.grant(f"serviceAccount:{operator}", "roles/iam.serviceAccountTokenCreator")
    rig.secrets.keep_token(EXECUTOR, rig.token(operator))
    executor = rig.email(EXECUTOR)

    project = rig.provider(**{"as": executor}).project

    calls = [one for one in rig.control("calls") if one["method"].endswith("GetProject")]
    assert calls[-1]["principal"] == executor
    assert project.me == executor


def test_without_the_right_to_impersonate_the_reason_is_told(rig: Rig) -> None:
    """In the service's own words, since the operator must know which grant is missing."""
    rig.secrets.keep_token(EXECUTOR, rig.token(rig.account("operator-machine")))

    with pytest.raises(Denied, match="getAccessToken"):
        rig.provider(**{"as": rig.email(EXECUTOR)})


@pytest.mark.parametrize("answer", [b'"text"', b"[1]", b'{"token": 1}', b"<html>", b""])
def test_a_token_endpoint_that_answers_nonsense_gives_no_token(rig: Rig, answer: bytes) -> None:
    """And no crash: whether a token would be given is not known, or it is refused."""
    with saying(answer) as url:
        key = packed({**key_of(rig, rig.account("robot")), "token_uri": f"{url}/token"})

        with pytest.raises((Transient, Denied)):
            token_of(key, "key", drill=True)


def test_a_token_endpoint_that_hangs_ends_in_a_deadline(rig: Rig, timed: Callable[[], float]) -> None:
    """Transient: it may be given the next time."""
    with saying(b"", delay_s=30) as url:
        key = packed({**key_of(rig, rig.account("robot")), "token_uri": f"{url}/token"})

        with pytest.raises(Transient):
            token_of(key, "key", drill=True)

    assert timed() < 15


@pytest.fixture
def timed() -> Callable[[], float]:
    """Return what tells the seconds since the test began."""
    import time

    began = time.monotonic()
    return lambda: time.monotonic() - began
