"""The executor's own identity: where its credentials come from, and new ones when the old ones end.

They come from a named secret of the executor's or from the application default credentials; never from the
agent. The `as` account is impersonated unless the credentials are its own already.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from breakglass.clock import Clock
from breakglass.errors import Denied, ProviderError, Transient
from breakglass.provider import Connection
from breakglass_gcp import adc
from breakglass_gcp.refusals import translate
from breakglass_gcp.settings import GcpSettings, on_loopback

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
CALL_S = 8.0
RENEWAL_PAUSE_S = 1.0
IMPERSONATION_S = 3600
"""The longest life of an impersonated token without an exception (IAM documentation, "Create short-lived
credentials for a service account")."""
TOKEN_URIS = frozenset({"https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"})
UNIVERSE = "googleapis.com"
_ADDRESSES = ("token_uri", "token_url", "service_account_impersonation_url", "token_info_url", "revoke_uri")
"""What google-auth sends a key's assertion, a token or a secret to; `auth_uri` it never calls."""
MAX_DEPTH = 5


class Executor:
    """Finds the executor's credentials and keeps an access token of theirs alive."""

    def __init__(self, settings: GcpSettings, connection: Connection) -> None:
        """Find them; only the main thread may call this (first imports, DESIGN 10).

        Raises:
            Denied: there are none.
        """
        self._settings = settings
        self._connection = connection
        self._clock: Clock = connection.clock
        self._gate = threading.Lock()
        self._renewed_s = float("-inf")
        self.audience = ""
        """Of the workload identity pool that its credentials come from; empty: they come from none."""
        self.credentials = self._find()

    def token(self) -> str:
        """Return an access token that is good for a while.

        Raises:
            ProviderError: none is given.
        """
        with self._gate:
            credentials = self.credentials
            if not credentials.valid or credentials.token_state.name == "STALE":
                _refresh(credentials, "the executor's credentials")
            return str(credentials.token)

    def renew(self) -> None:
        """Read the source again, at most once a second; the old credentials stay where that fails."""
        with self._gate:
            now_s = self._clock.monotonic_s()
            if now_s - self._renewed_s < RENEWAL_PAUSE_S:
                return
            self._renewed_s = now_s
            try:
                self.credentials = self._find()
            except ProviderError:
                return

    def _find(self) -> Any:  # noqa: ANN401 - google-auth's credentials have no types here
        name = self._settings.text("credential")
        if name:
            base = credentials_of(
                self._connection.credentials.secret(name), name, drill=self._connection.drill
            )
        else:
            base = self._default()
        self.audience = str(getattr(base, "_audience", None) or "")
        target = self._settings.text("as")
        if not target or getattr(base, "service_account_email", "") == target:
            return base
        return self._impersonating(base, target)

    def _default(self) -> Any:  # noqa: ANN401 - as above
        """Find the application default credentials, within a deadline."""
        file = adc.credentials_file()
        found = (
            credentials_of(*file, drill=self._connection.drill)
            if file is not None
            else adc.of_machine(SCOPES)
        )
        if found is None:
            raise Denied(
                "the executor has no Google credentials",
                where=f"project {self._settings.project}",
                remedy="give its credential in the inventory, or: gcloud auth application-default login",
            )
        return found

    def _impersonating(self, base: Any, target: str) -> Any:  # noqa: ANN401 - as above
        from google.auth import impersonated_credentials

        endpoint = endpoint_of(self._settings, "iam_credentials", "rest")
        path = f"/v1/projects/-/serviceAccounts/{target}:generateAccessToken"
        return impersonated_credentials.Credentials(
            source_credentials=base,
            target_principal=target,
            target_scopes=list(SCOPES),
            lifetime=IMPERSONATION_S,
            iam_endpoint_override=f"{endpoint}{path}" if endpoint else None,
        )


def credentials_of(data: bytes, name: str, *, drill: bool) -> Any:  # noqa: ANN401 - as above
    """Return the credentials of a secret: a service account's key, an external account, or a bare token.

    Raises:
        Denied: it is none of them, or it would be shown to somebody who is not Google.
    """
    from google.auth import exceptions
    from google.oauth2 import credentials

    where = f"credential {name}"
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, Mapping):
        raise Denied("is not JSON of Google credentials", where=where)
    if isinstance(token := body.get("token"), str) and body.get("type") == "access_token":
        return credentials.Credentials(token)
    _check_addresses(body, where, drill=drill, depth=0)
    try:
        return _of_type(dict(body), where)
    except (exceptions.GoogleAuthError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Denied("is not JSON of Google credentials", where=where) from error


def _of_type(body: dict[str, Any], where: str) -> Any:  # noqa: ANN401 - as above
    """Make credentials by their type, without a call: google-auth's own loader asks Google for the project.

    Raises:
        Denied: no such type is taken.
    """
    from google.auth import aws, identity_pool, impersonated_credentials
    from google.oauth2 import credentials, service_account

    source = body.get("credential_source")
    match body.get("type"):
        case "service_account":
            return service_account.Credentials.from_service_account_info(body, scopes=SCOPES)
        case "authorized_user":
            return credentials.Credentials.from_authorized_user_info(body, scopes=SCOPES)
        case "impersonated_service_account":
            return impersonated_credentials.Credentials.from_impersonated_service_account_info(
                body, scopes=SCOPES
            )
        case "external_account" if isinstance(source, Mapping) and "executable" not in source:
            of_aws = str(source.get("environment_id", "")).startswith("aws")
            kind = aws.Credentials if of_aws else identity_pool.Credentials
            return kind.from_info(body, scopes=SCOPES)
    raise Denied(f"credentials of type {body.get('type')!r} are not taken", where=where)


def _check_addresses(body: Mapping[str, Any], where: str, *, drill: bool, depth: int) -> None:
    """Refuse what would show a key or a token to somebody else; credentials may hold others inside.

    Raises:
        Denied: it would.
    """
    if body.get("universe_domain", UNIVERSE) != UNIVERSE:
        raise Denied(f"universe_domain is not {UNIVERSE}", where=where)
    for key in _ADDRESSES:
        url = body.get(key)
        if url is None or (isinstance(url, str) and (url in TOKEN_URIS or _of_google(url))):
            continue
        if not (drill and isinstance(url, str) and on_loopback(_origin(url))):
            raise Denied(f"{key} is no address of Google's", where=where)
    for inner in body.values():
        if isinstance(inner, Mapping) and depth < MAX_DEPTH:
            _check_addresses(inner, where, drill=drill, depth=depth + 1)


def _of_google(url: str) -> bool:
    plain = all("\x21" <= one < "\x7f" and one not in "\\@" for one in url)
    return plain and url.startswith("https://") and _host(url).endswith(f".{UNIVERSE}")


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def _refresh(credentials: Any, where: str) -> None:  # noqa: ANN401 - as above
    """Get a new access token. Raises ProviderError: none is given."""
    import functools

    from google.auth import exceptions
    from google.auth.transport.requests import Request

    try:
        credentials.refresh(functools.partial(Request(), timeout=CALL_S))
    except exceptions.GoogleAuthError as error:
        raise translate(error, "get_token", where) from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # google-auth lets these out where an answer is JSON of another shape, or a key is none.
        said = f"no access token is given: the answer cannot be read ({type(error).__name__})"
        raise Transient(said, where=where) from error


def token_of(data: bytes, name: str, *, drill: bool) -> str:
    """Return an access token of a secret of the agent's, held for proof.

    Raises:
        Denied: it is none, or no token is given for it any more.
        ProviderError: whether one would be given is not known.
    """
    credentials = credentials_of(data, name, drill=drill)
    if not credentials.token:
        _refresh(credentials, f"credential {name}")
    return str(credentials.token)


def endpoint_of(settings: GcpSettings, service: str, transport: str) -> str:
    """Return the sandbox's endpoint for a service; empty: the real one."""
    endpoints = settings.mapping("endpoints")
    return (endpoints.get(service) or endpoints.get(transport) or "").rstrip("/")
