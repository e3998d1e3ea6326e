"""Says which names of AWS hold secrets, for what is redacted before it is written."""

from __future__ import annotations

import re

from breakglass.provider.redacting import Redactor, Words

NO_SECRETS = frozenset(
    {
        "accesskeyid",
        "clienttoken",
        "grantid",
        "key",
        "keyid",
        "kmskeyid",
        "masterkeyid",
        "nexttoken",
        "parameterkey",
        "rolesessionname",
        "secretid",
        "sessionname",
        "tagkeys",
    }
)
"""Names that sound like a secret's and hold an identifier, which is what an investigation needs: an access
key id is none (IAM User Guide, "IAM identifiers": unique identifiers)."""
VARIABLES = frozenset({"environment", "environmentvariables", "variables", "stagevariables"})
"""What programs are started with: no name in it says which value is a secret, so every value goes."""
_LABELS = ("key", "name", "parameterkey", "parametername")
_VALUES = ("value", "parametervalue")
_IDENTIFIER = re.compile(r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,28}|[\w+=,.@:/#*-]{1,256}", re.ASCII)
WORDS = Words(NO_SECRETS, _IDENTIFIER.fullmatch, VARIABLES, _LABELS, _VALUES)


def redactor(key: bytes) -> Redactor:
    """Return what redacts under a key, which is never written anywhere."""
    return Redactor(key, WORDS)
