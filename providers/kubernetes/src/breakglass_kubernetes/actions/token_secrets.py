"""``kubernetes.accounts.remove_token_secrets``: Secrets that hold a token of an account without an end.

The controller manager deletes them with their account and fills new ones (Kubernetes documentation,
"Managing Service Accounts", "Token controller"); this step records them first. Their data is read, as
nothing else tells them apart, and goes nowhere: at restore the Secret gets a new token.
"""

from __future__ import annotations

from breakglass.canon import Json
from breakglass.errors import Transient
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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.actions.account_return import hand_over
from breakglass_kubernetes.actions.ending import end, kept
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.cluster import MANAGER, Cluster
from breakglass_kubernetes.kinds import SECRETS, SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import (
    Body,
    bodies,
    managers_of,
    name_of,
    namespace_of,
    part,
    text,
    uid_of,
)
from breakglass_kubernetes.subjects import Cut

KEY = "remove_token_secrets"
TYPE = "kubernetes.io/service-account-token"
ACCOUNT = "kubernetes.io/service-account.name"
ACCOUNT_UID = "kubernetes.io/service-account.uid"
TRIES = 8
SPEC = ActionSpec(
    name="kubernetes.accounts.remove_token_secrets",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="deletes the Secrets that hold a token of the agent's accounts",
    permissions=("list secrets", "get secrets", "delete secrets", "patch secrets"),
    blast_radius="whoever else uses a token of such a Secret",
    reversibility=Reversibility.PARTIAL,
    undo="makes the Secrets again, with a new token",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="kubernetes.accounts.remove_token_secrets support-bot/support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "kubernetes/kubernetes PR 50258: success is kept for 10 s"),
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_tokens.py"),
        Source(
            "undo",
            Authority.VENDOR_TEXT,
            'Kubernetes documentation, "Managing Service Accounts", "Token controller"',
        ),
    ),
    undo_permissions=("get secrets", "create secrets", "update secrets", "get serviceaccounts"),
)


class RemoveTokenSecrets:
    """The token Secrets of one agent's accounts."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read each one's metadata; its data stays out."""
        cut = Cut.of(resource)
        found: dict[str, Json] = {}
        for body in self._cluster.list_in(SECRETS, cut.namespaces, fields=f"type={TYPE}"):
            namespace, account = namespace_of(body), text(body, "metadata", "annotations", ACCOUNT)
            if cut.takes_account(f"{namespace}/{account}"):
                found[SECRETS.key(namespace, name_of(body))] = _record(body, account)
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - guarded by uid
        """Delete them."""
        left = [part({"of": one}, "of") for one in before.objects.values()]
        self._cluster.each(left, lambda was: end(self._cluster, SECRETS, was))

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is left."""
        if state.objects:
            left = some(sorted(state.objects))
            return Judgement(Verdict.NOT_CONTAINED, f"{len(state.objects)} hold a token: {left}")
        return Judgement(Verdict.CONTAINED, "no Secret holds a token of the agent's accounts")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew
        """Make them again; the controller manager fills in a new token."""
        outcomes: dict[str, Outcome] = {}

        def one(item: tuple[str, Json]) -> None:
            outcomes[item[0]] = self._put_back(part({"of": item[1]}, "of"))

        self._cluster.each(before.objects.items(), one)
        return Reversal(outcomes, "Secrets are there again, with a new token; one without an account is not")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the accounts' own step tries tokens
        """Return nothing: tokens that are held are tried by the step that invalidates them."""
        return None

    def _put_back(self, was: Body) -> Outcome:
        namespace, name = str(was["namespace"]), str(was["name"])
        made = self._cluster.maybe(SECRETS, namespace, name)
        if made is not None and (uid_of(made) == was["uid"] or not _is_like(made, was)):
            return Outcome.ALREADY if uid_of(made) == was["uid"] else Outcome.DRIFTED
        if made is not None and MANAGER not in managers_of(made):
            return Outcome.ALREADY
        if made is None:
            if self._cluster.maybe(SERVICE_ACCOUNTS, namespace, str(was["account"])) is None:
                # The controller manager would delete it at once.
                return Outcome.DRIFTED
            about = {**part(was, "metadata"), "name": name, "namespace": namespace}
            body = {"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": about}
            made = self._cluster.create(SECRETS, namespace, body)
        for attempt in range(TRIES):
            try:
                # The controller manager writes the token into it meanwhile.
                hand_over(self._cluster, SECRETS, made, bodies(was, "managed"))
                break
            except Transient:
                if attempt == TRIES - 1:
                    raise
                made = self._cluster.get(SECRETS, namespace, name)
        return Outcome.RESTORED


def _is_like(body: Body, was: Body) -> bool:
    """Return whether a Secret has all that was recorded of the one that the stop deleted."""
    about, recorded = part(body, "metadata"), part(was, "metadata")
    return text(body, "type") == TYPE and all(
        part(recorded, name).items() <= part(about, name).items() for name in ("labels", "annotations")
    )


def _record(body: Body, account: str) -> Json:
    about = kept(body)
    notes = dict(part(body, "metadata", "annotations"))
    # Of the account that was: with it the controller manager would take the Secret for a dead one's.
    notes.pop(ACCOUNT_UID, None)
    managed: list[Json] = [
        dict(one)
        for one in bodies(body, "metadata", "managedFields")
        if "f:data" not in part(one, "fieldsV1")
    ]
    return {
        "uid": uid_of(body),
        "namespace": namespace_of(body),
        "name": name_of(body),
        "account": account,
        "metadata": {**about, "annotations": notes},
        "managed": managed,
    }


def proposed(cluster: Cluster, choice: Choice) -> Proposed:
    """Return the step."""
    if not (choice.accounts or choice.scope.own):
        return Proposed()
    label = f"token Secrets of {some(choice.accounts)}"[:200]
    target = choice.target(cluster.settings.cluster_uid, label)
    return Proposed((Proposal(KEY, SPEC.name, target, affects=choice.affects),))


ACTION_CLASSES = (RemoveTokenSecrets,)
SPECS = (SPEC,)
