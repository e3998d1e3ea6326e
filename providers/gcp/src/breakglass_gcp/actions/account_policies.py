"""``gcp.iam.remove_impersonation``: who may mint as an account, and what the agent mints as others.

Of the agent's own account every member loses every role that may mint as it, but the executor; of another
account only the agent's own members lose theirs. A role that is not known to be harmless counts as one that
mints: custom roles may hold anything. Tokens that were minted before live on; a door names whose.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Gone
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
from breakglass_gcp.actions.account_choice import account_name
from breakglass_gcp.actions.undo_wait import wait_out
from breakglass_gcp.policies import Grant, grants, with_back, without
from breakglass_gcp.policy_writes import change_policy, read_policy
from breakglass_gcp.project import Project

SPEC = ActionSpec(
    name="gcp.iam.remove_impersonation",
    capability=Capability.REVOKE_CREDENTIALS,
    summary=(
        "takes the roles away that let anybody mint tokens or keys of the agent's account, and those that let"
        " the agent mint as another account"
    ),
    permissions=(
        "iam.serviceAccounts.get",
        "iam.serviceAccounts.getIamPolicy",
        "iam.serviceAccounts.setIamPolicy",
    ),
    blast_radius="whoever acts as the agent's account: deployers, schedulers, workloads of a pool",
    reversibility=Reversibility.FULL,
    undo="puts back exactly the members that the plan names; who else was granted a role meanwhile keeps it",
    settle_s=120,
    best_grade=Grade.READ_BACK,
    example="gcp.iam.remove_impersonation policy/support-bot@support-prod.iam.gserviceaccount.com",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "IAM REST reference, serviceAccounts.setIamPolicy"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, potentially 7 or longer",
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_impersonation.py"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_impersonation.py"),
    ),
    service="iam",
)
HARMLESS = frozenset(
    {
        "roles/browser",
        "roles/iam.roleViewer",
        "roles/iam.securityReviewer",
        "roles/iam.serviceAccountViewer",
        "roles/viewer",
    }
)
"""IAM documentation, "IAM basic and predefined roles reference": they only look."""
OWN, OTHER = "own", "other"
POOL_START = "iam.googleapis.com/projects/"
"""Of an entry for a whole workload pool: ``principal://`` and ``principalSet://`` of it go on like that."""


class RemoveImpersonation:
    """The allow policy of one service account."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the grants that are to go; an account that is gone has none."""
        try:
            policy = read_policy(self._project, "iam_admin", self._name(resource))
        except Gone:
            return State({})
        return State({one.key: one.as_json() for one in self._minting(resource, policy)})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Take away exactly what was read and recorded; what came since is the next round's."""
        gone = [Grant.of(one) for one in before.objects.values()]
        if not gone:
            return
        try:
            change_policy(self._project, "iam_admin", self._name(resource), lambda now: without(now, gone))
        except Gone:
            return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether anybody is left who may mint."""
        email = resource.params["email"]
        if not state.objects:
            whose = (
                "nobody but the executor" if resource.params["mode"] == OWN else "no account of the agent's"
            )
            return Judgement(Verdict.CONTAINED, f"the policy of {email} lets {whose} mint as it")
        names = sorted(state.objects)
        return Judgement(
            Verdict.NOT_CONTAINED, f"{len(names)} may mint as {email}: {', '.join(names[:5])}"[:500]
        )

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Put back the members that the plan names, each where it stood; what came later stays away."""
        signed = resource.params["members"]
        planned = set(signed) if isinstance(signed, list) else set()
        outcomes: dict[str, Outcome] = {}
        back: list[Grant] = []
        for key, value in before.objects.items():
            if key in now.objects:
                outcomes[key] = Outcome.ALREADY
            elif key not in planned:
                outcomes[key] = Outcome.ENDED
            else:
                back.append(Grant.of(value))
                outcomes[key] = Outcome.RESTORED
        reason = "who was granted a role after the plan was made does not get it back"
        if back:
            email, unique_id = str(resource.params["email"]), str(resource.params["unique_id"])
            wait_out(self._project, resource, cuts.of_account_grants(email, unique_id, back))
            try:
                change_policy(self._project, "iam_admin", self._name(resource), lambda now: _again(now, back))
            except Gone:
                gone = dict.fromkeys((one.key for one in back), Outcome.DRIFTED)
                return Reversal({**outcomes, **gone}, "the account was deleted since the stop")
        return Reversal(outcomes, reason)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nobody's token is held that would show it
        """Return None: whose grant it was is somebody else."""
        return None

    def _minting(self, resource: Resource, policy: Json) -> tuple[Grant, ...]:
        if resource.params["mode"] == OWN:
            return minting_as(policy, self._project.me)
        agents = resource.params["agents"]
        names = {str(one) for one in agents} if isinstance(agents, list) else set()
        return minting_of(policy, names)

    def _name(self, resource: Resource) -> str:
        return account_name(self._project, str(resource.params["unique_id"]))


def minting_as(policy: Json, executor: str) -> tuple[Grant, ...]:
    """Return every grant that may let somebody mint as the account, the executor's own left out."""
    held = grants(policy, lambda one: not executor or one != f"serviceAccount:{executor}")
    return tuple(one for one in held if one.role not in HARMLESS and not one.member.startswith("deleted:"))


def minting_of(policy: Json, agents: set[str]) -> tuple[Grant, ...]:
    """Return the grants by which members of the agent's may mint as the account."""
    held = grants(policy, lambda one: is_agents(one, agents))
    return tuple(one for one in held if one.role not in HARMLESS)


def is_agents(member: str, agents: set[str]) -> bool:
    """Return whether a member is one of the agent's; of a pool everybody is, whom its entry stands for."""
    pools = (one for one in agents if one.startswith(POOL_START))
    return member in agents or any(f"://{one}" in member for one in pools)


def _again(policy: Json, back: list[Grant]) -> dict[str, Json]:
    there = {one.key for one in grants(policy, lambda _: True)}
    return dict(with_back(policy, [one for one in back if one.key not in there]))


def members_of(found: tuple[Grant, ...]) -> list[Json]:
    """Return grants as a plan names them."""
    return [one.key for one in found]


ACTION_CLASSES = (RemoveImpersonation,)
SPECS = (SPEC,)
