"""Says which names of Google Cloud hold secrets, for what is redacted before it is written."""

from __future__ import annotations

import re

from breakglass.provider.redact_spans import by_rule
from breakglass.provider.redacting import Redactor, Words

NO_SECRETS = frozenset(
    {
        "insert_id",
        "insertid",
        "key_id",
        "keyid",
        "log_name",
        "logname",
        "method_name",
        "methodname",
        "principal_email",
        "principal_subject",
        "principalemail",
        "principalsubject",
        "resource_name",
        "resourcename",
        "service_account_key_name",
        "service_name",
        "serviceaccountkeyname",
        "servicename",
        "session_id",
        "sessionid",
        "span_id",
        "spanid",
        "trace",
        "unique_id",
        "uniqueid",
    }
)
"""Names that sound like a secret's, or hold what looks random, and are identifiers, which is what an
investigation needs: the name of a key is none (Cloud Audit Logs reference, AuthenticationInfo)."""
VARIABLES = frozenset({"env", "environmentvariables", "environment_variables", "substitutions"})
"""What programs are started with: no name in it says which value is a secret, so every value goes."""
_IDENTIFIER = re.compile(r"[\w+=,.@:/#*%-]{1,512}", re.ASCII)


def _identifies(text: str) -> bool:
    """Return whether a text may stand as it is under an identifier's name: the agent writes logs, too."""
    return _IDENTIFIER.fullmatch(text) is not None and not any(True for _ in by_rule(text.encode()))


WORDS = Words(NO_SECRETS, _identifies, VARIABLES)


def redactor(key: bytes) -> Redactor:
    """Return what redacts under a key, which is never written anywhere."""
    return Redactor(key, WORDS)
