"""Asks Google which permissions the executor has: on the project, then on the resource that a step is about.

testIamPermissions answers for its caller alone (Resource Manager reference, projects.testIamPermissions). One
that this kind of resource does not know fails the whole question: it is then asked in halves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from breakglass.canon import Json
from breakglass.errors import ProviderError, Transient
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

MOST_AT_ONCE = 100
"""projects.testIamPermissions takes so many permissions (Resource Manager reference)."""
_INVALID = frozenset({"INVALID_ARGUMENT", "BAD_REQUEST"})
_ON_RESOURCES: tuple[tuple[str, str, str], ...] = (
    ("iam.serviceAccount", r"projects/[^/]+/serviceAccounts/[^/]+", "iam_admin"),
    ("pubsub.subscriptions.", r"projects/[^/]+/subscriptions/[^/]+", "subscriptions"),
    ("pubsub.topics.", r"projects/[^/]+/topics/[^/]+", "topics"),
    ("cloudtasks.queues.", r"projects/[^/]+/locations/[^/]+/queues/[^/]+", "tasks"),
    ("eventarc.triggers.", r"projects/[^/]+/locations/[^/]+/triggers/[^/]+", "eventarc"),
    ("cloudfunctions.functions.", r"projects/[^/]+/locations/[^/]+/functions/[^/]+", "functions"),
    ("run.services.", r"projects/[^/]+/locations/[^/]+/services/[^/]+", "run_services"),
    ("run.jobs.", r"projects/[^/]+/locations/[^/]+/jobs/[^/]+", "run_jobs"),
    ("run.workerpools.", r"projects/[^/]+/locations/[^/]+/workerPools/[^/]+", "run_pools"),
)
"""Beginning of a permission, the full name of what it may be granted on alone, and whose method tells."""
_DENIES = "iam.denypolicies."
_BOUNDARIES = "iam.principalaccessboundarypolicies."
_BOUNDARY = re.compile(r"(organizations/\d+)/locations/[^/]+/principalAccessBoundaryPolicies/[^/]+")
_ATTACHED = re.compile(
    r"policies/cloudresourcemanager\.googleapis\.com%2F(\w+)%2F([\w:.-]+)/denypolicies/", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Rights:
    """What the executor has there, and what could not be asked."""

    held: frozenset[str]
    not_asked: frozenset[str] = field(default_factory=frozenset)


def on_project(project: Project, wanted: Sequence[str]) -> Rights:
    """Return which of these permissions the executor has on the project, and are asked for there.

    Over a deny policy that hangs above the project a right on the project says nothing, nor over a principal
    access boundary, which is always the organisation's.

    Raises:
        ProviderError: it does not answer.
    """
    held: set[str] = set()
    not_asked: set[str] = set()
    waiting = [wanted[start : start + MOST_AT_ONCE] for start in range(0, len(wanted), MOST_AT_ONCE)]
    while waiting:
        some = waiting.pop()
        try:
            asked = {"resource": project.name, "permissions": list(some)}
            held.update(project.call("projects", "test_iam_permissions", asked).permissions)
        except ProviderError as error:
            if code_of(error) not in _INVALID:
                raise
            if len(some) == 1:
                not_asked.update(some)
            else:
                waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
    above = (match := _class_deny(project)) is not None and match[1].lower() != "projects"
    silent = (_DENIES, _BOUNDARIES) if above else (_BOUNDARIES,)
    return Rights(frozenset(one for one in held if not one.startswith(silent)), frozenset(not_asked))


def elsewhere(project: Project, missing: Sequence[str], params: Mapping[str, Json]) -> Rights:
    """Return which of these the executor has on what a step is about; what nobody tells it has not.

    It may have been granted there alone: on a service account, a queue, a bucket, at the point that a deny
    policy is attached to. Where a service is busy or away it is not known: who keeps it busy must not take
    the step out of the plan.
    """
    held: set[str] = set()
    not_asked: set[str] = set()
    for ask in (_on_resources, _at_attachment_point, _at_boundary, _on_bucket):
        left = [one for one in missing if one not in held]
        try:
            held |= ask(project, left, params)
        except Transient:
            not_asked.update(left)
        except ProviderError:
            continue
    return Rights(frozenset(held), frozenset(not_asked - held))


def texts(value: Json) -> Iterator[str]:
    """Yield every text of signed params."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def _on_resources(project: Project, missing: Sequence[str], params: Mapping[str, Json]) -> set[str]:
    held: set[str] = set()
    names = [*texts(dict(params)), *_accounts(project, params)]
    for beginning, pattern, service in _ON_RESOURCES:
        asked = [one for one in missing if one.startswith(beginning)]
        about = dict.fromkeys(name for name in names if re.fullmatch(pattern, name))
        if asked and about:
            answers = (_tested(project, service, name, asked) for name in about)
            held |= frozenset.intersection(*answers)
    return held


def _accounts(project: Project, params: Mapping[str, Json]) -> Iterable[str]:
    email = params.get("unique_id") or params.get("email")
    return [f"{project.name}/serviceAccounts/{email}"] if isinstance(email, str) and email else []


def _tested(project: Project, service: str, name: str, asked: Sequence[str]) -> frozenset[str]:
    request = {"resource": name, "permissions": list(asked)}
    return frozenset(project.call(service, "test_iam_permissions", request).permissions)


def _at_attachment_point(project: Project, missing: Sequence[str], _: Mapping[str, Json]) -> set[str]:
    asked = [one for one in missing if one.startswith(_DENIES)]
    match = _class_deny(project)
    if not asked or match is None:
        return set()
    path = f"v3/{match[1]}/{unquote(match[2])}:testIamPermissions"
    return _told(project.rest("projects", "POST", path, body={"permissions": asked}))


def _at_boundary(project: Project, missing: Sequence[str], params: Mapping[str, Json]) -> set[str]:
    """Return what the executor may with the boundary of a signed binding: asked of its organisation."""
    asked = [one for one in missing if one.startswith(_BOUNDARIES)]
    match = _BOUNDARY.fullmatch(str(params.get("policy")))
    if not asked or match is None:
        return set()
    path = f"v3/{match[1]}:testIamPermissions"
    return _told(project.rest("projects", "POST", path, body={"permissions": asked}))


def _class_deny(project: Project) -> re.Match[str] | None:
    """Return what the class deny policy is attached to: kind and id."""
    return _ATTACHED.match(project.settings.text("class_deny_policy"))


def _on_bucket(project: Project, missing: Sequence[str], _: Mapping[str, Json]) -> set[str]:
    asked = [one for one in missing if one.startswith(("storage.buckets.", "storage.objects."))]
    bucket = project.settings.text("evidence_bucket")
    if not asked or not bucket:
        return set()
    path = f"storage/v1/b/{bucket}/iam/testPermissions"
    return _told(project.rest("storage", "GET", path, query={"permissions": asked}))


def _told(answer: Mapping[str, object]) -> set[str]:
    found = answer.get("permissions")
    return {str(one) for one in found} if isinstance(found, list) else set()
