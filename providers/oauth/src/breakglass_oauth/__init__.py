"""Revokes an agent's tokens at any issuer that speaks RFC 7009 and RFC 7662; this module holds the card."""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.model.action import Capability
from breakglass.model.resource import Reach
from breakglass.provider import Card, Connection, Provider, Setting, SettingType
from breakglass_oauth.actions import disable_client, revoke_token


def _connect(connection: Connection) -> Provider:
    from breakglass_oauth.connect import connect

    return connect(connection)


def _check(reach: Reach) -> Sequence[str]:
    from breakglass_oauth.settings import complaints

    return complaints(reach.settings)


CARD = Card(
    name="oauth",
    summary="tokens at an issuer that speaks RFC 7009 (revocation) and RFC 7662 (introspection)",
    capabilities=(Capability.REVOKE_CREDENTIALS,),
    settings=(
        Setting("issuer", SettingType.TEXT, "the issuer's identifier, an https address", required=True),
        Setting("client_id", SettingType.TEXT, "the agent's client at the issuer", required=True),
        Setting(
            "as",
            SettingType.TEXT,
            "the executor's own client there; its secret is a credential",
            required=True,
        ),
        Setting(
            "token",
            SettingType.MAPPING,
            "where the agent's token lies: {file: PATH}, on another machine {file: PATH, host: NAME},"
            " or {keyring: SERVICE/NAME}",
        ),
        Setting(
            "disable_client",
            SettingType.TEXT,
            "POST here disables the agent's client",
        ),
        Setting("enable_client", SettingType.TEXT, "POST here enables it again, for restore"),
        Setting(
            "client_status",
            SettingType.TEXT,
            "GET here tells {enabled: true|false}; default: the folder of disable_client",
        ),
        Setting(
            "revocation_endpoint", SettingType.TEXT, "where the issuer's metadata (RFC 8414) does not say it"
        ),
        Setting("introspection_endpoint", SettingType.TEXT, "where the issuer's metadata does not say it"),
        Setting(
            "probe_url", SettingType.TEXT, "GET here takes a live access token and answers 401 to a dead one"
        ),
        Setting("ca_file", SettingType.TEXT, "CA certificates (PEM) in place of the system's"),
        Setting(
            "settle_s", SettingType.TEXT, "seconds until a revocation is effective everywhere; default 5"
        ),
    ),
    specs=(revoke_token.SPEC, disable_client.SPEC),
    connect=_connect,
    check=_check,
    ignores=("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
)
