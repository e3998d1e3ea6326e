"""Proves that the agent's identities are refused: by the platform's evaluators, and as the agent itself.

SubjectAccessReview asks every authorizer of the cluster, TokenReview every authenticator (Kubernetes
documentation, "Authorization", "TokenReview"). A token that is held for proof counts only if it worked when
the plan was made, and if it has not expired by itself since: a 401 for an old token proves nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.objects import part, text
from breakglass_kubernetes.rbac import Ask
from breakglass_kubernetes.refusals import Failure
from breakglass_kubernetes.subjects import Who, who_is
from breakglass_kubernetes.whoami import SELF_REVIEWS

ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"  # noqa: S105 - a path
UNAUTHORIZED, FORBIDDEN = 401, 403


@dataclass(frozen=True, slots=True)
class Said:
    """What the evaluator said to one question."""

    who: Who
    ask: Ask
    allowed: bool
    reason: str
    sure: bool
    """False: an authorizer could not be asked, so that a "no" is none."""


def review(cluster: Cluster, who: Who, ask: Ask) -> Said:
    """Ask whether somebody may do something. Raises ProviderError: no answer came."""
    spec = {"groups": sorted(who.groups), **ask.spec()} | ({"user": who.user} if who.user else {})
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
    status = part(cluster.ask("POST", ACCESS_REVIEWS, body=body), "status")
    sure = isinstance(status.get("allowed"), bool) and not text(status, "evaluationError")
    reason = text(status, "reason") or text(status, "evaluationError")
    return Said(who, ask, status.get("allowed") is True, reason, sure)


def review_all(cluster: Cluster, asks: Sequence[tuple[Who, Ask]]) -> list[Said]:
    """Ask several at once. Raises ProviderError: one got no answer."""
    found: list[Said] = []
    cluster.each(asks, lambda one: found.append(review(cluster, *one)))
    if len(found) < len(asks):
        raise ProviderError("the access review does not answer every question", where=cluster.where)
    return found


def is_known(cluster: Cluster, token: str, user: str) -> bool:
    """Return whether the server takes a token, and as this user. Raises ProviderError."""
    status = part(_reviewed(cluster, token), "status")
    return status.get("authenticated") is True and text(status, "user", "username") == user


def _reviewed(cluster: Cluster, token: str) -> Mapping[str, object]:
    spec = {"token": token}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    return cluster.ask("POST", TOKEN_REVIEWS, body=body)


def held_token(cluster: Cluster, account: str) -> str | None:
    """Return a token of an account that the executor holds for proof; None: it holds none."""
    name = cluster.settings.mapping("agent_tokens").get(account)
    if name is None:
        return None
    try:
        return cluster.connection.credentials.secret(name).decode("ascii").strip()
    except (Denied, UnicodeDecodeError):
        return None


def good_now(cluster: Cluster, user: str, account: str) -> str:
    """Return the digest of a held token that the server takes: only such a one can prove anything later.

    Empty where none is held, or it is refused, expired, or somebody else's already.

    Raises:
        ProviderError: no answer came.
    """
    token = held_token(cluster, account)
    return digest(token) if token is not None and is_known(cluster, token, user) else ""


def digest(token: str) -> str:
    """Return what tells one token from another; a token is long and random, so this gives nothing away."""
    return hashlib.sha256(token.encode()).hexdigest()


def is_over(cluster: Cluster, token: str) -> bool:
    """Return whether a token has expired by itself, or does not say when it will; its words are not trusted.

    A token without an expiry (of a token Secret) never does.
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        end = claims.get("exp")
    except (IndexError, ValueError, AttributeError, RecursionError):
        return True
    if end is None:
        return False
    return not isinstance(end, int | float) or end * 1000 <= cluster.connection.clock.now().epoch_ms


def judge_token(cluster: Cluster, account: str, good: str) -> Judgement:
    """Decide whether a held token of an account is dead: no authenticator takes it, nor the server itself.

    `good` is its digest from when it worked.

    Raises:
        ProviderError: no answer came.
    """
    token = held_token(cluster, account)
    if token is None:
        return _nothing(f"no token of {account} is held now")
    status = part(_reviewed(cluster, token), "status")
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = cluster.as_token(token, "POST", SELF_REVIEWS, body=body)
    if status.get("authenticated") is True or answer.ok or answer.status == FORBIDDEN:
        said = f"a token of {account} still works (up to 10 s after its account is deleted)"
        return Judgement(Verdict.NOT_CONTAINED, said, Grade.REFUSED_AS_AGENT)
    if answer.status != UNAUTHORIZED:
        return _nothing(f"the server says {answer.status} to a token of {account}")
    if digest(token) != good:
        return _nothing(f"another token of {account} is held than when the plan was made")
    if is_over(cluster, token):
        return _nothing(f"the token of {account} has expired by itself: that proves nothing of others")
    why = text(status, "error")[:120]
    said = f"the token of {account} is refused: 401" + (f" ({why})" if why else "")
    return Judgement(Verdict.CONTAINED, said, Grade.REFUSED_AS_AGENT)


def judge_call(cluster: Cluster, account: str, path: str, good: str) -> Judgement:
    """Decide whether a call that an account's rights allowed before is refused to its own token.

    `good` is the digest of the token from when it worked.

    Raises:
        ProviderError: no answer came.
    """
    token = held_token(cluster, account)
    if token is None:
        return _nothing(f"no token of {account} is held now")
    answer = cluster.as_token(token, "GET", path)
    if answer.status == FORBIDDEN:
        # A refusal names whom it refused (seen on 1.36.2):
        # by now the file may hold a token of somebody who never might.
        named = f'User "{who_is(account).user}"' in Failure.read(answer.status, answer.data).message
        if digest(token) != good and not named:
            return _nothing(f"GET {path} gets 403, and not as {account}: another token is held by now")
        said = f"GET {path} as {account}: 403"
        return Judgement(Verdict.CONTAINED, said, Grade.REFUSED_AS_AGENT)
    if answer.ok:
        said = f"GET {path} as {account} still gets {answer.status}"
        return Judgement(Verdict.NOT_CONTAINED, said, Grade.REFUSED_AS_AGENT)
    if answer.status == UNAUTHORIZED and digest(token) == good and not is_over(cluster, token):
        said = f"the token of {account}, which worked when the plan was made, is refused altogether: 401"
        return Judgement(Verdict.CONTAINED, said, Grade.REFUSED_AS_AGENT)
    return _nothing(f"GET {path} as {account} gets {answer.status}: that proves nothing")


def _nothing(reason: str) -> Judgement:
    return Judgement(Verdict.UNKNOWN, reason, Grade.NONE)


def weakest(said: Sequence[Judgement]) -> Judgement:
    """Return several judgements as one: the worst verdict, and the weakest grade."""
    for verdict in (Verdict.NOT_CONTAINED, Verdict.UNKNOWN):
        if bad := [one for one in said if one.verdict is verdict]:
            return Judgement(verdict, "; ".join(one.reason for one in bad[:5])[:500], bad[0].grade)
    grade = min((one.grade for one in said), key=lambda one: one.strength, default=Grade.NONE)
    return Judgement(Verdict.CONTAINED, "; ".join(one.reason for one in said[:5])[:500], grade)
