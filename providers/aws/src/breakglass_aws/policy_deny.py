"""Adds a Deny to a resource's policy, sees whether it is there, and takes it out again; nothing else moves.

The Deny is found again by what it says, not by its text: a service may write a list of one as its member,
or the principal ``*`` as ``{"AWS": "*"}`` (IAM User Guide, "Principal"). A policy comes back byte for byte
where nobody else changed it; where somebody did, but for a Deny of another stop, it is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.canon import Json, JsonObject, canonical, sha256
from breakglass.errors import ProviderError
from breakglass.model.action import Judgement, Verdict
from breakglass.model.resource import State
from breakglass.provider import Outcome, Reversal

SID = "Breakglass"
_SETS = frozenset({"Action", "NotAction", "Resource", "NotResource"})


def denial(body: JsonObject) -> JsonObject:
    """Return a Deny statement; its id says what it is, so that two stops can share a policy."""
    statement: JsonObject = {"Effect": "Deny", **body}
    return {"Sid": f"{SID}{sha256(canonical(statement))[:16]}", **statement}


def holds(text: str | None, wanted: Sequence[JsonObject]) -> bool:
    """Return whether the policy has every one of these statements; one that cannot be read has none."""
    try:
        present = [_plain(one) for one in _statements(text)]
    except ProviderError:
        return False
    return all(_plain(one) in present for one in wanted)


def added(text: str | None, wanted: Sequence[JsonObject]) -> str:
    """Return the policy with these statements in front.

    Raises:
        ProviderError: the policy cannot be read, so nothing can be added to it without loss.
    """
    rest = _without(_statements(text), wanted)
    document = {"Version": "2012-10-17", **(_document(text) if text else {})}
    return json.dumps({**document, "Statement": [*wanted, *rest]}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class PutBack:
    """What a restore writes: the outcome, and the policy (None: it is removed) where it changes."""

    outcome: Outcome
    change: bool = False
    policy: str | None = None


def put_back(before: str | None, now: str | None, wanted: Sequence[JsonObject]) -> PutBack:
    """Decide what becomes of a policy at a restore."""
    try:
        was, is_now = _statements(before), _statements(now)
    except ProviderError:
        return PutBack(Outcome.ALREADY if before == now else Outcome.DRIFTED)
    if _same(was, is_now):
        return PutBack(Outcome.ALREADY)
    if not holds(now, wanted) or not _same(_foreign(was), _foreign(is_now)):
        return PutBack(Outcome.DRIFTED)
    rest = _without(is_now, wanted)
    if _same(rest, was):
        return PutBack(Outcome.RESTORED, change=True, policy=before)
    # A Deny of another stop stays: only this stop's own goes.
    text = json.dumps({**_document(now), "Statement": rest}, separators=(",", ":"))
    return PutBack(Outcome.RESTORED, change=True, policy=text if rest else None)


@dataclass(frozen=True, slots=True)
class Policies:
    """How a service's policies are written, by the key of the state, and which statements they must have."""

    wanted: Callable[[str], Sequence[JsonObject]]
    put: Callable[[str, str], None]
    remove: Callable[[str], None]


def close_policies(policies: Policies, before: State) -> None:
    """Add the Deny wherever it is missing."""
    for key, text in before.objects.items():
        prior = text if isinstance(text, str) else None
        if not holds(prior, policies.wanted(key)):
            policies.put(key, added(prior, policies.wanted(key)))


def judge_policies(policies: Policies, state: State, what: str) -> Judgement:
    """Decide whether every policy has the Deny."""
    bare = sorted(
        key
        for key, text in state.objects.items()
        if not holds(text if isinstance(text, str) else None, policies.wanted(key))
    )
    if bare:
        return Judgement(Verdict.NOT_CONTAINED, f"no policy denies {what} on {', '.join(bare)}")
    if not state.objects:
        return Judgement(Verdict.CONTAINED, "it is not there any more")
    return Judgement(Verdict.CONTAINED, f"the policy of {', '.join(state.objects)} denies {what}")


def revert_policies(policies: Policies, before: State, now: State) -> Reversal:
    """Take the Deny out again, policy by policy."""
    outcomes: dict[str, Outcome] = {}
    for key, text in before.objects.items():
        if key not in now.objects:
            outcomes[key] = Outcome.DRIFTED
            continue
        prior, current = text, now.objects[key]
        decided = put_back(
            prior if isinstance(prior, str) else None,
            current if isinstance(current, str) else None,
            policies.wanted(key),
        )
        outcomes[key] = decided.outcome
        if not decided.change:
            continue
        if decided.policy is None:
            policies.remove(key)
        else:
            policies.put(key, decided.policy)
    return Reversal(outcomes, "the policy is as it was; one that others changed or removed is left alone")


def _document(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError as error:
        raise ProviderError("the policy there is not JSON") from error
    if not isinstance(found, dict):
        raise ProviderError("the policy there is not an object")
    return found


def _statements(text: str | None) -> list[JsonObject]:
    found = _document(text).get("Statement", [])
    listed = found if isinstance(found, list) else [found]
    if not all(isinstance(one, dict) for one in listed):
        raise ProviderError("the policy there has statements that are not objects")
    return listed


def _without(statements: Sequence[JsonObject], wanted: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the statements but those of this stop; one of its id that was weakened goes too."""
    ids = {one["Sid"] for one in wanted}
    return [one for one in statements if one.get("Sid") not in ids]


def _foreign(statements: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the statements that no stop wrote."""
    return [one for one in statements if not str(one.get("Sid", "")).startswith(SID)]


def _same(left: Sequence[JsonObject], right: Sequence[JsonObject]) -> bool:
    return [_plain(one) for one in left] == [_plain(one) for one in right]


def _plain(statement: JsonObject) -> Json:
    """Return a statement in one spelling, for comparing."""
    plain: dict[str, Json] = {}
    for name, value in statement.items():
        if name in _SETS:
            plain[name] = _many(value)
        elif name in {"Principal", "NotPrincipal"}:
            plain[name] = _principal(value)
        elif name == "Condition" and isinstance(value, dict):
            plain[name] = {
                operator: {key: _many(one) for key, one in keys.items()} if isinstance(keys, dict) else keys
                for operator, keys in value.items()
            }
        else:
            plain[name] = value
    return plain


def _principal(value: Json) -> Json:
    if isinstance(value, dict):
        return {kind: _many(one) for kind, one in value.items()}
    return {"AWS": _many(value)}


def _many(value: Json) -> Json:
    listed = value if isinstance(value, list) else [value]
    return sorted(listed, key=str)
