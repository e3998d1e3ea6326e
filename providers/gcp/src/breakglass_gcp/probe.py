"""Proves with the agent's own credential that an account is dead: calls that must be refused, and stay so.

google/api/error_reason.proto: ACCOUNT_STATE_INVALID says that the token's account is disabled or deleted,
ACCESS_TOKEN_EXPIRED that the token has ended, which proves nothing of the account. What a key is refused for
is told in words only, so a token is asked of it before anything is changed, and kept in memory for the proof.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Unauthenticated, reason_of

TRIES = 3
APART_S = 5.0
"""IAM is eventually consistent (IAM documentation, "Access change propagation"): one refusal is not all."""
ACCOUNT_DEAD = "ACCOUNT_STATE_INVALID"
TOKEN_ENDED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105 - a reason of Google's
KEPT_S = 3000.0
"""A token that a key gave lives an hour (OAuth 2.0 for server-to-server applications)."""
_DEAD_WORDS = ("robot is disabled", "account not found", "account has been d", "account is disabled")
"""What a key of a disabled or deleted account is told beside ``invalid_grant``; no document lists them."""

_CLOCK_WORDS = ("short-lived token", "timeframe")
"""What a good key is told as well where the clock of who signs is wrong ("OAuth 2.0 for server-to-server
applications", JWT error codes: "Check your iat and exp values and use a clock with skew")."""


class Said(StrEnum):
    """What one try as the agent says."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one try says, in words."""

    said: Said
    words: str


def judge_account(project: Project, identity: str, *, tries: int = TRIES) -> Judgement:
    """Decide whether an account of the agent's is refused as disabled, several times in a row."""
    first_s = project.connection.clock.monotonic_s()
    answer = Answer(Said.NOTHING, "not tried")
    for n in range(tries):
        if n:
            project.connection.clock.sleep(APART_S * project.settings.settle_factor)
        answer = _tried(project, identity, n)
        if answer.said is not Said.REFUSED:
            break
    if answer.said is Said.ACCEPTED:
        return Judgement(Verdict.NOT_CONTAINED, answer.words, Grade.REFUSED_AS_AGENT)
    if answer.said is Said.NOTHING:
        return Judgement(Verdict.UNKNOWN, f"the credential that is held proves nothing: {answer.words}"[:500])
    took_s = project.connection.clock.monotonic_s() - first_s
    reason = f"{tries} calls as {identity} in {took_s:.1f} s are all refused: {answer.words}"
    return Judgement(Verdict.CONTAINED, reason[:500], Grade.REFUSED_AS_AGENT)


def judge_key(project: Project, identity: str) -> Judgement:
    """Decide whether the key that is held gives no token any more; it gave one when the stop was planned."""
    try:
        token = project.agent_token(identity)
    except Unauthenticated as error:
        if any(one in error.what.lower() for one in _CLOCK_WORDS):
            said = f"the key that is held proves nothing, the executor's clock is wrong: {error.what}"
            return Judgement(Verdict.UNKNOWN, said[:500], Grade.NONE)
        return Judgement(
            Verdict.CONTAINED, f"the key that is held is refused: {error.what}"[:500], Grade.REFUSED_AS_AGENT
        )
    except ProviderError as error:
        return Judgement(Verdict.UNKNOWN, f"the key that is held proves nothing: {error.what}"[:500])
    if token is None:
        return Judgement(Verdict.UNKNOWN, "the key is not held any more", Grade.NONE)
    return Judgement(Verdict.NOT_CONTAINED, "the key that is held still gives tokens", Grade.REFUSED_AS_AGENT)


def why_no_proof(project: Project, identity: str, *, disabled: bool = True) -> str:
    """Return why the account cannot be tried as the agent; empty: it can, its credential is good for it.

    `disabled` is what IAM says of the account: one that is not must not be refused as if it were, or what is
    held is the credential of another one.
    """
    if not project.holds(identity):
        return "no credential of it is held"
    answer = _tried(project, identity, 0)
    if answer.said is Said.REFUSED and not disabled:
        said = f"it is refused while the account is enabled, so it may be another's: {answer.words}"
    else:
        said = answer.words if answer.said is Said.NOTHING else ""
    return f"the credential that is held proves nothing: {said}" if said else ""


def held_key(project: Project, identity: str) -> str:
    """Return the id of the key of an account that is held for proof; empty: none is."""
    return str(_held(project, identity).get("private_key_id") or "")


def gives_token(project: Project, identity: str) -> bool:
    """Return whether the held key gives a token now: one that never did proves nothing by giving none."""
    try:
        return bool(project.agent_token(identity))
    except ProviderError:
        return False


def keep_token(project: Project, identity: str) -> None:
    """Ask a held key for a token while it still gives one; afterwards the refusal of it is proof."""
    now_s = project.connection.clock.monotonic_s()
    kept = project.kept.get(identity)
    # One that was asked for when planning may end before the proof: it is asked for again.
    if (kept is not None and now_s - kept[1] < _kept_s(project) / 2) or not held_key(project, identity):
        return
    try:
        token = project.agent_token(identity)
    except ProviderError:
        return
    if token and _called(project, identity, token, 0, fresh=False).said is Said.ACCEPTED:
        project.kept[identity] = (token, project.connection.clock.monotonic_s())


def _held(project: Project, identity: str) -> Mapping[str, object]:
    name = project.settings.mapping("agent_credentials").get(identity)
    if name is None:
        return {}
    try:
        body = json.loads(project.connection.credentials.secret(name))
    except (ProviderError, ValueError, RecursionError):
        return {}
    return body if isinstance(body, Mapping) and body.get("type") == "service_account" else {}


def _tried(project: Project, identity: str, n: int) -> Answer:
    """Make one call: with the token that was kept, else with what the held credential gives now."""
    now_s = project.connection.clock.monotonic_s()
    kept = project.kept.get(identity)
    if kept is not None and now_s - kept[1] < _kept_s(project):
        # Each other try asks the key for a new token, too: what it gives must be refused as well.
        given = _new_token(project, identity) if n % 2 else Answer(Said.REFUSED, "")
        if given.said is Said.ACCEPTED:
            return given
        return _called(project, identity, kept[0], n, fresh=True)
    try:
        token = project.agent_token(identity)
    except Unauthenticated as error:
        if any(one in error.what.lower() for one in _DEAD_WORDS):
            return Answer(Said.REFUSED, error.what)
        # A disabled key is refused in the same words whatever its account is. A token that was kept would
        # tell more; it is never written down, so that a run that was resumed has none.
        more = " (a token from before would tell; this run holds none)" if held_key(project, identity) else ""
        return Answer(Said.NOTHING, f"{error.what}{more}")
    except ProviderError as error:
        return Answer(Said.NOTHING, error.what)
    if token is None:
        return Answer(Said.NOTHING, "no credential of it is held")
    return _called(project, identity, token, n, fresh=False)


def _kept_s(project: Project) -> float:
    """Return how long a token that was kept has surely not ended; a drill's live shorter."""
    life = project.settings.text("token_life_s")
    return min(KEPT_S, int(life) * 0.8) if life else KEPT_S


def _new_token(project: Project, identity: str) -> Answer:
    """Return whether the held key gives a token that works."""
    try:
        token = project.agent_token(identity)
    except ProviderError as error:
        return Answer(Said.REFUSED, error.what)
    return _called(project, identity, token or "", 0, fresh=False)


def _called(project: Project, identity: str, token: str, n: int, *, fresh: bool) -> Answer:
    """Ask what the caller may do: whoever is known is answered, even one who may do nothing.

    Resource Manager reference, projects.testIamPermissions, and IAM reference,
    serviceAccounts.testIamPermissions: neither needs a permission. Two services are asked in turn, because
    each learns of a change by itself. `fresh`: the token was good before the stop and has not ended.
    """
    if n % 2 and identity.endswith("gserviceaccount.com"):
        service, resource = "iam_admin", f"projects/-/serviceAccounts/{identity}"
        asked = {"resource": resource, "permissions": ["iam.serviceAccounts.get"]}
    else:
        service, resource = "projects", project.name
        asked = {"resource": resource, "permissions": ["resourcemanager.projects.get"]}
    try:
        project.as_agent(token).call(service, "test_iam_permissions", asked)
    except Unauthenticated as error:
        reason = reason_of(error)
        dead = reason == ACCOUNT_DEAD or (fresh and reason != TOKEN_ENDED)
        return Answer(Said.REFUSED if dead else Said.NOTHING, f"{reason or 'no reason'}: {error.what}")
    except ProviderError as error:
        return Answer(Said.NOTHING, error.what)
    return Answer(Said.ACCEPTED, f"a call as {identity} is still answered")
