"""``gcp.agentengine.block_callers``: nobody is granted on the engine itself to query it.

A role that cannot be read counts as one that lets its members query. Who may query by the project's policy,
or by one above it, still can: that is a door, said before anyone signs.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from fnmatch import fnmatchcase

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
    Verdict,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.agent_engine_reading import SERVICE, engine_of, place
from breakglass_gcp.policies import CONDITIONS_VERSION, Grant, grants, with_back, without
from breakglass_gcp.policy_writes import read_policy
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

QUERY = "aiplatform.reasoningEngines.query"
MOST_TRIES = 5
SPEC = ActionSpec(
    name="gcp.agentengine.block_callers",
    capability=Capability.DISABLE_EVENT_SOURCES,
    summary="removes everybody from the engine's own allow policy whose role lets them query it",
    permissions=(
        "aiplatform.reasoningEngines.getIamPolicy",
        "aiplatform.reasoningEngines.setIamPolicy",
        "iam.roles.get",
    ),
    blast_radius="every caller of this engine that was granted on the engine itself",
    reversibility=Reversibility.FULL,
    undo="puts each grant that the plan names back where it stood, with its condition",
    settle_s=120,
    best_grade=Grade.READ_BACK,
    example="gcp.agentengine.block_callers engine/europe-west1/1234567890123456789",
    sources=(
        Source("summary", Authority.VENDOR_TEXT, "Vertex AI v1 reference, reasoningEngines.setIamPolicy"),
        Source("settle", Authority.VENDOR_TEXT, "IAM documentation, Access change propagation: 2 minutes"),
        Source("permissions", Authority.UNVERIFIED, "named as its methods are"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_agent_engine.py"),
    ),
    service=SERVICE,
)


class BlockCallers:
    """The allow policy of one engine."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._roles = Roles(project)

    def observe(self, resource: Resource) -> State:
        """Read who is granted to query; an engine that is gone has no callers."""
        try:
            policy = self._read(resource)
        except Gone:
            return State({})
        return State({one.key: one.as_json() for one in self._callers(policy)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Remove them, whoever they are by now.

        Raises:
            Conflict: somebody else wrote between each read and write, five times.
        """
        for tried in range(1, MOST_TRIES + 1):
            try:
                policy = self._read(resource)
                if not (gone := self._callers(policy)):
                    return
                self._write(resource, without(policy, gone))
            except Gone:
                return
            except Conflict:
                if tried == MOST_TRIES:
                    raise
            else:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether anybody is granted to query on the engine itself."""
        if state.objects:
            members = sorted({key.split(" ")[1] for key in state.objects})
            shown = ", ".join(members[:5])
            return Judgement(Verdict.NOT_CONTAINED, f"{len(members)} may query by its own policy: {shown}")
        return Judgement(Verdict.CONTAINED, "nobody is granted on the engine itself to query it")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put the grants back that the plan names and that are not there."""
        missing = {key: Grant.of(value) for key, value in before.objects.items() if key not in now.objects}
        planned, away = resource.params.get("granted"), resource.params.get("stays_away")
        ended = [
            key
            for key in missing
            if (isinstance(planned, list) and key not in planned) or (isinstance(away, list) and key in away)
        ]
        gone = [one for key, one in missing.items() if key not in ended]
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY) | dict.fromkeys(ended, Outcome.ENDED)
        reason = "the callers that the plan names are granted as they were; who was granted since is not"
        for tried in range(1, MOST_TRIES + 1):
            if not gone:
                break
            try:
                self._write(resource, with_back(self._read(resource), gone))
            except Gone:
                reason = "the engine is gone"
                outcomes |= {one.key: Outcome.DRIFTED for one in gone}
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                continue
            else:
                outcomes |= {one.key: Outcome.RESTORED for one in gone}
            break
        return Reversal(outcomes, reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: a query that got through would be the harm."""
        return None

    def _callers(self, policy: Json) -> tuple[Grant, ...]:
        own = f"serviceAccount:{self._project.me}"
        return tuple(
            one for one in grants(policy, lambda member: member != own) if self._roles.may_query(one.role)
        )

    def _read(self, resource: Resource) -> JsonObject:
        path = f"v1/{engine_of(resource)}:getIamPolicy"
        asked = {"options.requestedPolicyVersion": CONDITIONS_VERSION}
        return self._project.rest(SERVICE, "POST", path, query=asked, location=place(resource))

    def _write(self, resource: Resource, policy: JsonObject) -> None:
        path = f"v1/{engine_of(resource)}:setIamPolicy"
        self._project.rest(SERVICE, "POST", path, body={"policy": dict(policy)}, location=place(resource))


class Roles:
    """Which roles let their members query; each is read anew in each run, and once in it."""

    def __init__(self, project: Project) -> None:
        """Read nothing yet."""
        self._project = project
        self._known: dict[str, bool] = {}

    def may_query(self, role: str) -> bool:
        """Return whether a role lets its members query; one that cannot be read might."""
        if role not in self._known:
            try:
                seen = self._project.call("iam_admin", "get_role", {"name": role})
            except ProviderError:
                return True
            allowed = any(fnmatchcase(QUERY, str(one)) for one in seen.included_permissions)
            if not role.startswith("roles/"):
                return allowed  # a custom role may be changed by the agent between two looks
            self._known[role] = allowed
        return self._known[role]


def with_granted(project: Project, target: Resource) -> Resource:
    """Return the engine with the grants that a restore puts back: those of now; unread, all that it took."""
    granted: Json = None
    with contextlib.suppress(ProviderError):
        granted = [*BlockCallers(project).observe(target).objects]
    return replace(target, params={**target.params, "granted": granted})


def project_callers(project: Project, ours: frozenset[str]) -> tuple[str, ...]:
    """Return who may query every engine by the project's own policy: no administrators, not the agent.

    Raises:
        ProviderError: the policy cannot be read.
    """
    policy, roles = read_policy(project, "projects", project.name), Roles(project)
    own = f"serviceAccount:{project.me}"
    return tuple(
        dict.fromkeys(
            one.member
            for one in grants(policy, lambda member: member != own and member not in ours)
            if roles.may_query(one.role)
            and not (one.role == "roles/owner" and one.member.startswith(("user:", "group:")))
        )
    )
