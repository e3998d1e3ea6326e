"""``kubernetes.rbac.unbind_accounts``: the agent's identities taken out of every binding of the cluster.

It bites in 1 to 9 ms (seen on 1.36.2), so it goes first. Bindings of any namespace count, and those that are
made while the stop runs. Groups that the agent shares with others stay: see `group_bindings`.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json
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
from breakglass.provider import Proposal, Proposed, Reversal
from breakglass_kubernetes import probe
from breakglass_kubernetes.actions import subject_cut
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.actions.asking import asks_of, known, read_asks, tries_of
from breakglass_kubernetes.actions.peacetime import look
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.objects import bodies, text
from breakglass_kubernetes.rbac import Grant, Rbac, acts, read
from breakglass_kubernetes.subjects import Cut, everybody, words

KEY = "unbind_accounts"
MOST_NAMED = 5
PERMISSIONS = (
    "list rolebindings.rbac.authorization.k8s.io",
    "list clusterrolebindings.rbac.authorization.k8s.io",
    "patch rolebindings.rbac.authorization.k8s.io",
    "patch clusterrolebindings.rbac.authorization.k8s.io",
    # Who changes a binding needs its rights, or "bind" on its role ("Privilege escalation prevention").
    "bind roles.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io",
)
UNDO_PERMISSIONS = (
    "get rolebindings.rbac.authorization.k8s.io",
    "get clusterrolebindings.rbac.authorization.k8s.io",
    "update rolebindings.rbac.authorization.k8s.io",
    "update clusterrolebindings.rbac.authorization.k8s.io",
    "bind roles.rbac.authorization.k8s.io",
    "bind clusterroles.rbac.authorization.k8s.io",
)
SPEC = ActionSpec(
    name="kubernetes.rbac.unbind_accounts",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="takes the agent's accounts, users and groups out of every RoleBinding and ClusterRoleBinding",
    permissions=(
        *PERMISSIONS,
        "list roles.rbac.authorization.k8s.io",
        "list clusterroles.rbac.authorization.k8s.io",
        "create subjectaccessreviews.authorization.k8s.io",
        "create tokenreviews.authentication.k8s.io",
    ),
    blast_radius="whoever else runs as one of these accounts; other subjects of a binding keep their rights",
    reversibility=Reversibility.FULL,
    undo="puts the same subjects back at their places in the same bindings; not in a binding that was made"
    " since the harm began",
    settle_s=1,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="kubernetes.rbac.unbind_accounts support-bot/support-bot",
    sources=(
        Source("settle", Authority.REAL_SYSTEM, "in force after 1 to 9 ms on one API server, 1.36.2"),
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_identities_unbind.py"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_identities_unbind.py"),
        Source(
            "blast_radius",
            Authority.VENDOR_TEXT,
            'Kubernetes documentation, "Using RBAC Authorization", "Referring to subjects"',
        ),
    ),
    undo_permissions=UNDO_PERMISSIONS,
)


class UnbindAccounts:
    """Every binding of one cluster."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read each binding that names one of them."""
        return subject_cut.observe(self._cluster, Cut.of(resource).names)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - guarded by versions
        """Take them out."""
        subject_cut.apply(self._cluster, before)

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether a binding is left that names them."""
        return subject_cut.judge(state, "the agent")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew
        """Put them back at their places."""
        cut = Cut.of(resource)
        return subject_cut.revert(
            self._cluster,
            before,
            lambda one, _: cut.passes_through(one),
            resource.params,
        )

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask the access review what each may, then try a call as each whose token is held."""
        cut, asks = Cut.of(resource), read_asks(resource)
        through = [one for one in read(self._cluster).every_grant() if cut.passes_through(one.subject)]
        if new := unknown_grants(resource, through):
            reason = f"made or widened since the plan: {some(new)}"
            return Judgement(Verdict.NOT_CONTAINED, reason[:500], Grade.PLATFORM_EVALUATOR)
        shared: list[str] = []
        for said in probe.review_all(self._cluster, asks):
            if said.allowed and any(grant.covers(said.ask) for grant in through):
                shared.append(f"{said.who.user} may still {said.ask.words()} by a group")
            elif said.allowed or not said.sure:
                verdict = Verdict.NOT_CONTAINED if said.allowed else Verdict.UNKNOWN
                reason = f"{said.who.user}: {said.ask.words()}: {said.reason or 'no clear answer'}"
                return Judgement(verdict, reason[:500], Grade.PLATFORM_EVALUATOR)
        reason = f"access review: {len(asks) - len(shared)} of {len(asks)} rights are refused" + (
            f", of {people} identities" if (people := len({who.user for who, _ in asks})) > MOST_NAMED else ""
        )
        reason += f"; {some(shared)}: see what stays open" if shared else ""
        judged = Judgement(Verdict.CONTAINED, reason[:500], Grade.PLATFORM_EVALUATOR)
        return self._as_the_agent(resource, judged)

    def _as_the_agent(self, resource: Resource, judged: Judgement) -> Judgement:
        tries = bodies(resource.params, "tries")
        if not tries:
            return judged
        said = probe.weakest(
            [
                probe.judge_call(self._cluster, text(one, "account"), text(one, "path"), text(one, "token"))
                for one in tries
            ]
        )
        if said.verdict is Verdict.CONTAINED and resource.params.get("all_tried") is not True:
            return Judgement(said.verdict, f"{judged.reason}; {said.reason}"[:500], judged.grade)
        if said.verdict is Verdict.UNKNOWN:
            return Judgement(judged.verdict, f"{judged.reason}; {said.reason}"[:500], judged.grade)
        return Judgement(said.verdict, f"{said.reason}; {judged.reason}"[:500], said.grade)


def unknown_grants(resource: Resource, through: Sequence[Grant]) -> list[str]:
    """Return group bindings that let the agent act and that nobody has seen who signed."""
    signed = resource.params.get("known")
    seen = frozenset(str(one) for one in (signed if isinstance(signed, list) else ()))
    return [
        f"{one.binding} gives {one.role} to {words(one.subject)}"
        for one in through
        if any(acts(rule) for rule in one.rules) and known(one) not in seen
    ]


def proposed(cluster: Cluster, choice: Choice, rbac: Rbac) -> Proposed:
    """Return the step; nothing where the agent has no identity here."""
    if choice.is_empty:
        return Proposed()
    people, cut = everybody(choice.accounts, choice.scope), choice.cut
    through = [one for one in rbac.every_grant() if cut.passes_through(one.subject)]
    tries = tries_of(cluster, rbac, cut, people)
    all_tried = bool(tries) and len(tries) == len(people)
    asks: list[Json] = [*asks_of(rbac, cut, people)]
    seen: list[Json] = [known(one) for one in through]
    bound = look(rbac.bindings, cut.names, cluster.connection.since)
    names = some([*choice.accounts, *choice.scope.users, *choice.scope.groups])
    step = Proposal(
        key=KEY,
        action=SPEC.name,
        target=choice.target(
            cluster.settings.cluster_uid,
            f"bindings of {names}"[:200] + bound.count,
            asks=asks,
            known=seen,
            tries=tries,
            all_tried=all_tried,
            **bound.params,
        ),
        best_grade=Grade.REFUSED_AS_AGENT if all_tried else Grade.PLATFORM_EVALUATOR,
        affects=(*bound.affects, *choice.affects),
    )
    return Proposed((step,))


ACTION_CLASSES = (UnbindAccounts,)
SPECS = (SPEC,)
