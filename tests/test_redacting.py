"""What stands under a secret's name goes, however a platform wraps it; what tells who did what stays."""

from __future__ import annotations

import json

import pytest

from breakglass.provider.redacting import Redactor, Words

WORDS = Words(frozenset({"keyid"}), lambda text: text.isalnum(), frozenset({"env"}))
HELD = "hunter2"


def redacted(value: object) -> str:
    """Return what would be written of a value."""
    return json.dumps(Redactor(b"k" * 32, WORDS).value(value))


@pytest.mark.parametrize(
    "value",
    [
        {"password": HELD},
        {"password": {"value": HELD}},
        {"secret": {"data": [HELD]}},
        {"token": {"value": {"stringValue": HELD}}},
        {"name": "DB_PASSWORD", "value": {"literal": HELD}},
        {"name": "x", "key": "password", "value": HELD},
        {"key": "password", "name": "x", "value": HELD},
        {"passwords": ["-x", HELD]},
        {"passwords": [["-x", HELD]]},
        {"args": ["--password", HELD]},
        {"env": [{"name": "A", "value": {"x": HELD}}]},
        {"text": json.dumps({"password": HELD})},
    ],
    ids=json.dumps,
)
def test_a_secret_goes_however_it_is_wrapped(value: object) -> None:
    """The name above it counts where what holds it has a name that says nothing."""
    assert HELD not in redacted(value)


@pytest.mark.parametrize(
    "value",
    [
        {"authorizationInfo": [{"permission": "iam.roles.get", "resource": "projects/p", "granted": True}]},
        {"authenticationInfo": {"principal": "bot", "keyId": "abc123"}},
        {"sessionContext": {"issuer": {"arn": "arn:aws:iam::1:role/bot"}}},
        {"args": ["-v", "run"]},
    ],
    ids=json.dumps,
)
def test_what_an_investigation_needs_stays(value: object) -> None:
    """Names that sound like a secret's stand above much that is none."""
    assert json.loads(redacted(value)) == value
