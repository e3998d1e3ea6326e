"""What a claim on a mirror says, and whose it is: signed with the executor's log key.

Whoever may write to the mirror can lay something under the name of a claim before we do. An unsigned text
there would let the agent forbid its own stop; so only a text that an executor of the roster signed counts.
"""

from __future__ import annotations

import json

from breakglass.canon import Json, JsonObject, canonical
from breakglass.errors import BreakglassError
from breakglass.keys.signer import Signer
from breakglass.model.plan import Plan
from breakglass.model.roster import Roster

MAX_CLAIM_BYTES = 64 * 1024


def claim_of(plan: Plan, digest: str, run_name: str, executor: str, state: str) -> JsonObject:
    """Return what a claim says: the same for every attempt of one run, and for no other run.

    `state` names the state folder: another machine that calls itself by this executor's name has another.
    """
    return {
        "v": 1,
        "type": "claim",
        "org": plan.org,
        "plan_sha256": digest,
        "nonce": plan.nonce,
        "incident": plan.incident,
        "run": run_name,
        "executor": executor,
        "state": state,
    }


def signed(claim: JsonObject, signer: Signer) -> bytes:
    """Return the text of a claim."""
    from breakglass.keys.sshsig import namespace

    signature = signer.sign(canonical(claim), namespace("claim", str(claim["org"])))
    return canonical({"claim": claim, "signature": signature.decode("ascii")})


def executor_of(data: bytes, ours: JsonObject, roster: Roster) -> str | None:
    """Return which executor of the roster claimed this plan with that text; None: it is no claim of it."""
    said = _claim(data)
    claim, signature = said.get("claim"), said.get("signature")
    if not isinstance(claim, dict) or not isinstance(signature, str) or claim.keys() != ours.keys():
        return None
    if any(claim[key] != ours[key] for key in ("v", "type", "org", "plan_sha256", "nonce", "incident")):
        return None
    known = roster.executor(str(claim["executor"]))
    if known is None or not _is_signed(claim, signature, known.log_key):
        return None
    return known.name


def is_ours(data: bytes, ours: JsonObject, roster: Roster) -> bool:
    """Return whether this run made that claim, whatever its signature's bytes (an agent's key may vary)."""
    return executor_of(data, ours, roster) is not None and _claim(data)["claim"] == ours


def _claim(data: bytes) -> dict[str, Json]:
    if len(data) > MAX_CLAIM_BYTES:
        return {}
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _is_signed(claim: JsonObject, signature: str, log_key: str) -> bool:
    from breakglass.keys.sshsig import PublicKey, namespace, verify

    try:
        by = verify(signature.encode(), canonical(claim), namespace("claim", str(claim["org"])))
        return by.blob == PublicKey.parse(log_key).blob
    except (BreakglassError, ValueError):
        return False
