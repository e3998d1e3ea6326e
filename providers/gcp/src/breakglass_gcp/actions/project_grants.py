"""``gcp.projects.remove_grants``: one write takes the agent's members out of the project's allow policy.

It is the step that counts where there is nothing to disable: identities of Agent Engine, federated principals
whose pool others use, service agents of Google's. Conditions and everybody else stay. What is granted above
the project, through groups, or on single resources is not in this policy.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Denied, ProviderError
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
from breakglass_gcp import cuts
from breakglass_gcp.actions.undo_wait import wait_out
from breakglass_gcp.as_agent import judge_as_agent
from breakglass_gcp.policies import Grant, grants, with_back, without
from breakglass_gcp.policy_writes import change_policy, read_policy
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import code_of

SPEC = ActionSpec(
    name="gcp.projects.remove_grants",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="takes the agent's principals out of every binding of the project's allow policy, in one write",
    permissions=(
        "iam.serviceAccounts.get",
        "resourcemanager.projects.get",
        "resourcemanager.projects.getIamPolicy",
        "resourcemanager.projects.setIamPolicy",
    ),
    blast_radius="everything that acts as one of these principals in this project",
    reversibility=Reversibility.FULL,
    undo="grants exactly that again which the stop took away, once no token of before it lives",
    settle_s=120,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="gcp.projects.remove_grants projects/support-prod",
    sources=(
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, can take 7 or more",
        ),
        Source("effect", Authority.VENDOR_TEXT, "Resource Manager reference, projects.setIamPolicy"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_project_grants.py"),
    ),
    service="projects",
)
SERVICE = "projects"
UNSEEN_SETTLE_S = 420
"""Where no token is held that could tell when it is seen."""


class RemoveGrants:
    """The agent's members of the project's allow policy."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read every grant of the agent's members, with its condition and its place."""
        policy = read_policy(self._project, SERVICE, self._project.name)
        own = _texts(resource, "principals")
        return State({one.key: one.as_json() for one in grants(policy, own.__contains__)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Take away exactly what was read and recorded; what came since is the next round's."""
        gone = [Grant.of(one) for one in before.objects.values()]
        if gone:
            change_policy(self._project, SERVICE, self._project.name, lambda now: without(now, gone))

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the agent's members have any role of the project."""
        own = _texts(resource, "principals")
        if state.objects:
            names = ", ".join(sorted(state.objects))
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} grants: {names}"[:500])
        return Judgement(Verdict.CONTAINED, f"the project grants nothing to its {len(own)} principals")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Grant again what the plan names, each where it stood; what came later stays away."""
        planned = _texts(resource, "grants")
        outcomes: dict[str, Outcome] = {}
        back: list[Grant] = []
        for key, value in before.objects.items():
            if key in now.objects:
                outcomes[key] = Outcome.ALREADY
            elif key not in planned:
                outcomes[key] = Outcome.ENDED
            else:
                back.append(Grant.of(value))
        remade = self._remade(resource, back)
        outcomes |= {one.key: Outcome.DRIFTED for one in back if one.member in remade}
        back = [one for one in back if one.member not in remade]
        if back:
            wait_out(self._project, resource, cuts.of_project_grants(self._project.id, back))
            outcomes |= self._give(back)
        reason = "what was granted after the plan was made is not granted again"
        if remade:
            reason = f"gone, or somebody else of the same name now: {', '.join(sorted(remade))}; {reason}"
        return Reversal(outcomes, reason[:900])

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask with the token of each principal of which one is held."""
        return judge_as_agent(self._project, resource.params.get("works"))

    def _give(self, back: list[Grant]) -> dict[str, Outcome]:
        """Grant these again; where one of them cannot be, the others are all the same."""
        try:
            change_policy(self._project, SERVICE, self._project.name, lambda now: with_back(now, back))
        except ProviderError as error:
            # Resource Manager reference, projects.setIamPolicy: a member or role that is gone refuses it all.
            if code_of(error) not in {"INVALID_ARGUMENT", "BAD_REQUEST", "FAILED_PRECONDITION"}:
                raise
            if len(back) == 1:
                return {back[0].key: Outcome.DRIFTED}
            middle = len(back) // 2
            return self._give(back[:middle]) | self._give(back[middle:])
        return {one.key: Outcome.RESTORED for one in back}

    def _remade(self, resource: Resource, back: list[Grant]) -> frozenset[str]:
        """Return members that are other accounts than those that were stopped, or none any more."""
        found = set[str]()
        wanted = {one.member for one in back}
        for email, unique_id in _pairs(resource):
            member = f"serviceAccount:{email}"
            if member not in wanted:
                continue
            name = f"projects/-/serviceAccounts/{email}"
            try:
                seen = self._project.call("iam_admin", "get_service_account", {"name": name})
            except Denied:
                # An account of another project that cannot be looked at is granted nothing unseen.
                found.add(member)
                continue
            except ProviderError as error:
                if code_of(error) != "NOT_FOUND":
                    raise
                found.add(member)
                continue
            if str(seen.unique_id) != unique_id:
                found.add(member)
        return frozenset(found)


def _texts(resource: Resource, key: str) -> frozenset[str]:
    value: Json = resource.params.get(key)
    return frozenset(str(one) for one in value) if isinstance(value, list) else frozenset()


def _pairs(resource: Resource) -> list[tuple[str, str]]:
    value: Json = resource.params.get("accounts")
    found = value if isinstance(value, list) else []
    return [(str(one[0]), str(one[1])) for one in found if isinstance(one, list) and len(one) == 2]  # noqa: PLR2004 - address and id


ACTION_CLASSES = (RemoveGrants,)
SPECS = (SPEC,)
