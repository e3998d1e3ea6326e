"""Keeps IAM's policy documents as the text that IAM gave, byte for byte, beside what botocore makes of them.

botocore parses every policy document of IAM (``handlers.json_decode_policies``) and forgets the text; what
is put back after a stop must be the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_KEPT = "PolicyTexts"
_DETAILS = "PolicyTextsOfDetails"
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


def detail_texts(answer: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """Return the texts of one page of GetAccountAuthorizationDetails.

    By ``Role/NAME`` or ``User/NAME``: the inline policies by name, and under the empty name the trust policy.
    """
    kept: Mapping[str, Mapping[str, str]] = answer["ResponseMetadata"].get(_DETAILS, {})
    return kept


def _keep(parsed: dict[str, Any], **_: object) -> None:
    texts: dict[str, str] = {}
    for holder in (parsed, *(parsed.get(name) or {} for name in _HOLDERS)):
        texts |= {key: unquote(holder[key]) for key in _DOCUMENTS if isinstance(holder.get(key), str)}
    if texts:
        parsed["ResponseMetadata"][_KEPT] = texts
    if details := {**_details("Role", parsed), **_details("User", parsed)}:
        parsed["ResponseMetadata"][_DETAILS] = details


def _details(kind: str, parsed: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for item in parsed.get(f"{kind}DetailList") or ():
        inline = item.get(f"{kind}PolicyList") or ()
        documents = {one["PolicyName"]: one.get("PolicyDocument") for one in inline}
        documents[""] = item.get("AssumeRolePolicyDocument")
        texts = {name: unquote(text) for name, text in documents.items() if isinstance(text, str)}
        found[f"{kind}/{item[f'{kind}Name']}"] = texts
    return found
