"""Makes the agent's calls as real signed requests to our own endpoint."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from breakglass_aws.sandbox.process import REGION

CLIENTS = 512
TIMEOUT_S = 10
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


@dataclass(frozen=True, slots=True)
class Said:
    """What the endpoint said: `code` is empty when it did what was asked."""

    code: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class Caller:
    """Clients by service and key, made one at a time; botocore's session is not for many threads."""

    endpoint: str = ""
    _session: Any = None
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, keys: Mapping[str, str], service: str, operation: str, params: Mapping[str, Any]) -> Said:
        """Make one call; every failure is an answer, since nobody waits for it."""
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.loaders import UnknownServiceError

        try:
            client = self._client(keys, service)
            method = getattr(client, _method(operation))
            return Said("", method(**params))
        except ClientError as error:
            return Said(str(error.response.get("Error", {}).get("Code", "Unknown")), {})
        except (BotoCoreError, UnknownServiceError, AttributeError) as error:
            return Said(type(error).__name__, {"text": str(error)})

    def forget(self) -> None:
        """Drop the clients: their keys are gone."""
        with self._lock:
            self._clients.clear()

    def _client(self, keys: Mapping[str, str], service: str) -> Any:  # noqa: ANN401 - botocore has no types
        import botocore.session
        from botocore.config import Config

        name = (service, keys["AccessKeyId"], keys.get("SessionToken", ""))
        with self._lock:
            if name in self._clients:
                return self._clients[name]
            if self._session is None:
                self._session = botocore.session.Session()
            if len(self._clients) >= CLIENTS:
                self._clients.clear()
            made = self._session.create_client(
                service,
                region_name=REGION,
                endpoint_url=self.endpoint,
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys.get("SessionToken"),
                config=Config(
                    retries={"total_max_attempts": 1},
                    connect_timeout=TIMEOUT_S,
                    read_timeout=TIMEOUT_S,
                    s3={"addressing_style": "path"},
                ),
            )
            self._clients[name] = made
            return made


def _method(operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


CALLER = Caller()
