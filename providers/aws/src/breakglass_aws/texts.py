"""Keeps IAM's policy documents as the text that IAM gave, byte for byte, beside what botocore makes of them.

botocore parses every policy document of IAM (``handlers.json_decode_policies``) and forgets the text; what
is put back after a stop must be the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_KEPT = "PolicyTexts"
_DOCUMENTS = ("AssumeRolePolicyDocument", "PolicyDocument", "Document")
_HOLDERS = ("Role", "PolicyVersion")


def keep_texts(client: Any) -> None:  # noqa: ANN401 - boto3 makes its clients at run time
    """Let this IAM client keep the text of each document that it reads; `document_text` returns it."""
    client.meta.events.register_first("after-call.iam", _keep)


def document_text(answer: Mapping[str, Any], key: str) -> str:
    """Return the text of a document of one answer (GetRole, GetRolePolicy, GetUserPolicy, GetPolicyVersion).

    IAM answers with the text percent-encoded by RFC 3986 (IAM API reference, GetRolePolicy).
    """
    return str(answer["ResponseMetadata"][_KEPT][key])


def _keep(parsed: dict[str, Any], **_: object) -> None:
    texts: dict[str, str] = {}
    for holder in (parsed, *(parsed.get(name) or {} for name in _HOLDERS)):
        texts |= {key: unquote(holder[key]) for key in _DOCUMENTS if isinstance(holder.get(key), str)}
    if texts:
        parsed["ResponseMetadata"][_KEPT] = texts
