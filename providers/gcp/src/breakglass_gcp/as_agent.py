"""Proves that a principal may do nothing any more: asks Google with the principal's own token.

testIamPermissions answers for its caller (Resource Manager reference, projects.testIamPermissions); a real
call that worked when the stop was planned and is refused now is the stronger proof. A token that is refused
altogether, as another step's work, proves nothing of this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import SERVICE_DISABLED, Unauthenticated, reason_of

GET_PROJECT = "resourcemanager.projects.get"
TRIED = (
    "aiplatform.endpoints.predict",
    "bigquery.jobs.create",
    "cloudtasks.tasks.create",
    "compute.instances.list",
    "iam.serviceAccountKeys.create",
    "iam.serviceAccounts.getAccessToken",
    "logging.logEntries.create",
    "pubsub.subscriptions.consume",
    "pubsub.topics.publish",
    GET_PROJECT,
    "resourcemanager.projects.setIamPolicy",
    "run.services.list",
    "secretmanager.versions.access",
    "storage.buckets.list",
    "storage.objects.create",
    "storage.objects.get",
)
"""What an agent would do next."""
MOST_AT_ONCE = 100


def what_works(project: Project, identities: Iterable[str], asked: Sequence[str]) -> list[Json]:
    """Return ``[identity, [permissions that it has now]]`` of those whose token is held; for planning."""
    found: list[Json] = []
    for identity in identities:
        try:
            token = project.agent_token(identity)
            has = _held(project, token, asked) if token else []
        except ProviderError:
            continue
        if has:
            found.append([identity, [*has]])
    return found


def grade_of(works: Sequence[Json], lasting: Iterable[str]) -> Grade:
    """Return the best proof that can be had; `lasting` are the identities whose token no other step voids."""
    known = set(lasting)
    provable = [permissions for identity, permissions in _pairs(works) if identity in known]
    if not provable:
        return Grade.READ_BACK
    real = all(GET_PROJECT in permissions for permissions in provable)
    return Grade.REFUSED_AS_AGENT if real else Grade.PLATFORM_EVALUATOR


def judge_as_agent(project: Project, works: Json) -> Judgement:
    """Try what worked when the stop was planned, as each identity whose token is held."""
    said = [
        _one(project, identity, permissions)
        for identity, permissions in _pairs(works if isinstance(works, list) else [])
    ]
    for verdict in (Verdict.NOT_CONTAINED, Verdict.UNKNOWN):
        worst = next((one for one in said if one is not None and one.verdict is verdict), None)
        if worst is not None:
            return worst
    proven = [one for one in said if one is not None]
    if not proven:
        return Judgement(
            Verdict.UNKNOWN, "the agent's tokens that are held prove nothing of this", Grade.NONE
        )
    grade = min((one.grade for one in proven), key=lambda one: one.strength)
    return Judgement(Verdict.CONTAINED, "; ".join(one.reason for one in proven)[:500], grade)


def _one(project: Project, identity: str, permissions: Sequence[str]) -> Judgement | None:
    """Return what one identity's token says; None: it is void, and says nothing of this."""
    try:
        token = project.agent_token(identity)
        left = _held(project, token, permissions) if token else []
    except Unauthenticated:
        return None
    except ProviderError as error:
        return Judgement(Verdict.UNKNOWN, f"{identity}: {error.what}"[:500], Grade.NONE)
    if token is None:
        return None
    if left:
        reason = f"{identity} may still: {', '.join(left)}"
        return Judgement(Verdict.NOT_CONTAINED, reason[:500], Grade.PLATFORM_EVALUATOR)
    reason = f"asked as {identity}: {len(permissions)} of {len(permissions)} permissions are gone"
    if GET_PROJECT not in permissions:
        return Judgement(Verdict.CONTAINED, reason, Grade.PLATFORM_EVALUATOR)
    return _real_call(project, token, identity, reason)


def _real_call(project: Project, token: str, identity: str, reason: str) -> Judgement | None:
    try:
        project.as_agent(token).call("projects", "get_project", {"name": project.name})
    except Unauthenticated:
        return None
    except Denied as error:
        if reason_of(error) == SERVICE_DISABLED:
            return Judgement(Verdict.UNKNOWN, f"{identity}: {error.what}"[:500], Grade.NONE)
        said = f"{reason}; get_project as {identity} is refused"
        return Judgement(Verdict.CONTAINED, said, Grade.REFUSED_AS_AGENT)
    except ProviderError as error:
        return Judgement(Verdict.UNKNOWN, f"{identity}: {error.what}"[:500], Grade.NONE)
    return Judgement(Verdict.NOT_CONTAINED, f"get_project as {identity} still works", Grade.REFUSED_AS_AGENT)


def _held(project: Project, token: str, asked: Sequence[str]) -> list[str]:
    calls = project.as_agent(token)
    held: set[str] = set()
    for start in range(0, len(asked), MOST_AT_ONCE):
        question = {"resource": project.name, "permissions": list(asked[start : start + MOST_AT_ONCE])}
        held.update(calls.call("projects", "test_iam_permissions", question).permissions)
    return [one for one in asked if one in held]


def _pairs(works: Sequence[Json]) -> list[tuple[str, list[str]]]:
    return [
        (str(one[0]), [str(permission) for permission in one[1]])
        for one in works
        if isinstance(one, list) and len(one) == 2 and isinstance(one[1], list)  # noqa: PLR2004 - as what_works
    ]
