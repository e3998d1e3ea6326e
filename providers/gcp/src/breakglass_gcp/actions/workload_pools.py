"""``gcp.iam.disable_workload_pool``: tokens of the whole pool are dead at once, and no new ones are given.

A disabled provider alone leaves tokens that were issued alive; a disabled pool does not, and enabled again it
makes the same tokens work again (IAM REST reference, WorkloadIdentityPool.disabled). So the undo waits.
"""

from __future__ import annotations

from breakglass.canon import Json
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
from breakglass_gcp import cuts
from breakglass_gcp.actions.undo_wait import living, wait_out
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Unauthenticated, reason_of, shown

SPEC = ActionSpec(
    name="gcp.iam.disable_workload_pool",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="disables the workload identity pool: its issued tokens stop working, and no new ones are given",
    permissions=(
        "iam.serviceAccounts.getIamPolicy",
        "iam.serviceAccounts.list",
        "iam.workloadIdentityPools.get",
        "iam.workloadIdentityPools.update",
        "resourcemanager.projects.getIamPolicy",
    ),
    undo_permissions=("iam.workloadIdentityPools.update",),
    blast_radius="every workload that comes through this pool",
    reversibility=Reversibility.FULL,
    undo="enables the pool once no token of before the stop lives: it would make them work again",
    settle_s=120,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="gcp.iam.disable_workload_pool pool/ci-agents",
    sources=(
        Source("effect", Authority.VENDOR_TEXT, "IAM REST reference, WorkloadIdentityPool.disabled"),
        Source(
            "settle",
            Authority.VENDOR_TEXT,
            "IAM documentation, Access change propagation: typically 2 minutes, can take 7 or more",
        ),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_workload_pools.py"),
    ),
    service="pools",
)
POOL = "pool"
UNSEEN_SETTLE_S = 420
LANDING_S, FIRST_LOOK_S = 3.0, 0.06
TOKEN_ENDED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105 - a reason of Google's (google/api/error_reason.proto)


class DisablePool:
    """One workload identity pool."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._kept: dict[str, str] = {}

    def observe(self, resource: Resource) -> State:
        """Read whether the pool is disabled or deleted."""
        try:
            return State({POOL: read_pool(self._project, str(resource.params["pool"]))})
        except Gone:
            return State({})

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Disable it; a token that is held is taken first, since none is exchanged afterwards."""
        pool = before.objects.get(POOL)
        if pool is None or _is_dead(pool):
            return
        for identity in _identities(resource):
            self._keep(identity)
        set_disabled(self._project, str(resource.params["pool"]), disabled=True)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether tokens of the pool are dead."""
        name, pool = resource.params["pool"], state.objects.get(POOL)
        if pool is None:
            return Judgement(Verdict.CONTAINED, f"there is no pool {name} any more")
        if text(pool, "state") == "DELETED":
            return Judgement(Verdict.CONTAINED, f"pool {name} is deleted: its tokens are of no use")
        if field(pool, "disabled") is not True:
            return Judgement(Verdict.NOT_CONTAINED, f"pool {name} is enabled")
        return Judgement(Verdict.CONTAINED, f"pool {name} is disabled")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Enable it where the stop disabled it, once no token of before lives."""
        was, current = before.objects.get(POOL), now.objects.get(POOL)
        cut = cuts.of_pool(str(resource.params["pool"]))
        if was is None or _is_dead(was):
            return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "it was off before the stop")
        if current is None or text(current, "state") == "DELETED":
            return Reversal({POOL: Outcome.DRIFTED}, "somebody deleted the pool")
        if field(current, "disabled") is not True:
            ours = self._project.first_looks.revived(_name(self._project, resource))
            early = "" if ours else living(self._project, resource, cut, is_open=True)
            outcome = Outcome.DRIFTED if early else Outcome.ALREADY
            return Reversal({POOL: outcome}, f"somebody enabled it; {early or 'no token of before lives'}")
        wait_out(self._project, resource, cut)
        self._project.first_looks.revive(_name(self._project, resource))  # its answer may be lost
        set_disabled(self._project, str(resource.params["pool"]), disabled=False)
        return Reversal({POOL: Outcome.RESTORED}, "enabled; no token of before the stop lives any more")

    def probe(self, resource: Resource) -> Judgement | None:
        """Call with a token of the pool that worked when the stop was planned."""
        said = [self._tried(identity) for identity in _identities(resource)]
        for verdict in (Verdict.NOT_CONTAINED, Verdict.UNKNOWN):
            if worst := next((one for one in said if one.verdict is verdict), None):
                return worst
        return said[0] if said else None

    def _keep(self, identity: str) -> None:
        if identity in self._kept:
            return
        try:
            token = self._project.agent_token(identity)
        except ProviderError:
            return
        if token:
            self._kept[identity] = token

    def _tried(self, identity: str) -> Judgement:
        """Return what a call with an issued token says; one that cannot be had proves nothing."""
        try:
            token = self._kept.get(identity) or self._project.agent_token(identity)
        except ProviderError as error:
            return Judgement(Verdict.UNKNOWN, f"no issued token is held: {error.what}"[:500], Grade.NONE)
        if not token:
            return Judgement(Verdict.UNKNOWN, f"no token of {identity} is held", Grade.NONE)
        asked = {"resource": self._project.name, "permissions": ["resourcemanager.projects.get"]}
        try:
            # Known callers are answered, even those who may do nothing: a refusal is of the token itself.
            self._project.as_agent(token).call("projects", "test_iam_permissions", asked)
        except Unauthenticated as error:
            if reason_of(error) == TOKEN_ENDED:
                return Judgement(Verdict.UNKNOWN, "the token that is held has ended", Grade.NONE)
            said = f"a token of {identity} is refused: {error.what}"
            return Judgement(Verdict.CONTAINED, said[:500], Grade.REFUSED_AS_AGENT)
        except ProviderError as error:
            return Judgement(Verdict.UNKNOWN, f"{identity}: {error.what}"[:500], Grade.NONE)
        return Judgement(
            Verdict.NOT_CONTAINED, f"a token of {identity} is still known", Grade.REFUSED_AS_AGENT
        )


def read_pool(project: Project, pool: str) -> dict[str, Json]:
    """Return a pool as it is. Raises Gone: there is none; ProviderError."""
    seen: dict[str, Json] = project.rest("iam_rest", "GET", _path(project, pool))
    return {**seen, "disabled": seen.get("disabled") is True}


def set_disabled(project: Project, pool: str, *, disabled: bool) -> None:
    """Disable or enable a pool, and give the operation a moment; what is read back tells.

    Raises:
        ProviderError: it is refused, or the operation failed.
    """
    query, body = {"updateMask": "disabled"}, {"disabled": disabled}
    begun = project.rest("iam_rest", "PATCH", _path(project, pool), query=query, body=body)
    clock = project.connection.clock
    end_s, pause_s = clock.monotonic_s() + LANDING_S, FIRST_LOOK_S
    while begun.get("done") is not True and clock.monotonic_s() + pause_s < end_s:
        clock.sleep(pause_s)
        pause_s *= 2
        try:
            begun = project.rest("iam_rest", "GET", f"v1/{text(begun, 'name')}")
        except ProviderError:
            return
    if failed := field(begun, "error"):
        raise ProviderError(f"the operation failed: {shown(text(failed, 'message'))}", where=f"pool {pool}")


def _path(project: Project, pool: str) -> str:
    return f"v1/{project.name}/locations/global/workloadIdentityPools/{pool}"


def _name(project: Project, resource: Resource) -> str:
    return f"{project.id} {resource.id}"


def _is_dead(pool: Json) -> bool:
    return field(pool, "disabled") is True or text(pool, "state") == "DELETED"


def _identities(resource: Resource) -> list[str]:
    found = resource.params.get("held")
    return [str(one) for one in found] if isinstance(found, list) else []


ACTION_CLASSES = (DisablePool,)
SPECS = (SPEC,)
