"""``kubernetes.accounts.invalidate_tokens``: every token of the agent's accounts is dead, minted ones too.

A token is bound to the uid of its account, so it dies with it (Kubernetes documentation, "Managing Service
Accounts", "Bound service account tokens"), 10 s later because the server remembers that it was good
(kubernetes/kubernetes PR 50258, and seen on 1.36.2). The account comes back at restore, with another uid.

Until then its pods cannot be made again, and no kubelet gets a token for it. The controller manager makes
``default`` again at once, and a deployer may make another one: such an account is another one, bound to
nothing. It is emptied and marked by us, since the agent could have made it itself between the signatures and
the stop: only a mark that nobody can write who has not read the plan makes it count as closed. Whoever may
request tokens for any account could still get one for it; it has no rights then but those of everybody.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

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
from breakglass.provider import Outcome, Proposal, Proposed, Reversal, WaitFor
from breakglass_kubernetes import probe
from breakglass_kubernetes.actions.account_choice import Choice
from breakglass_kubernetes.actions.account_return import put_back
from breakglass_kubernetes.actions.ending import end, kept
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.glance import glance
from breakglass_kubernetes.kinds import SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import Body, bodies, items, name_of, namespace_of, part, text, uid_of
from breakglass_kubernetes.signed_maps import listed, mapped
from breakglass_kubernetes.subjects import Cut, who_is

KEY = "invalidate_tokens"
MARK = "breakglass.dev/emptied"
GROUPS = "groups_with_rights"
CACHE_S = 10
DEFAULT = "default"
SPEC = ActionSpec(
    name="kubernetes.accounts.invalidate_tokens",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="deletes the agent's service accounts, and with them every token that was ever made for them",
    permissions=(
        "list serviceaccounts",
        "get serviceaccounts",
        "delete serviceaccounts",
        "create serviceaccounts",
        "patch serviceaccounts",
        "create tokenreviews.authentication.k8s.io",
    ),
    blast_radius="whatever runs as one of these accounts, here or outside: its next call is refused",
    reversibility=Reversibility.PARTIAL,
    undo="makes the accounts again, equal but for uid and times; tokens from before stay dead",
    settle_s=CACHE_S,
    best_grade=Grade.REFUSED_AS_AGENT,
    example="kubernetes.accounts.invalidate_tokens support-bot/support-bot",
    sources=(
        Source("settle", Authority.VENDOR_TEXT, "kubernetes/kubernetes PR 50258: success is kept for 10 s"),
        Source("effect", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_tokens.py"),
        Source("undo", Authority.REAL_SYSTEM, "providers/kubernetes/tests/test_k8s_tokens.py"),
    ),
    undo_permissions=("get serviceaccounts", "create serviceaccounts", "update serviceaccounts"),
)


class InvalidateTokens:
    """The accounts of one agent."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read each account that is the agent's, those that came since in its own namespaces, too."""
        cut = Cut.of(resource)
        found: dict[str, Json] = {}
        for body in self._cluster.list_in(SERVICE_ACCOUNTS, cut.namespaces):
            namespace, name = namespace_of(body), name_of(body)
            if cut.takes_account(f"{namespace}/{name}"):
                found[SERVICE_ACCOUNTS.key(namespace, name)] = _record(resource, body)
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - guarded by uid
        """Delete them; put an empty one where somebody would make one again."""
        left = [body for one in before.objects.values() if not (body := part({"of": one}, "of"))["emptied"]]
        self._cluster.each(left, lambda was: self._end(resource, was))

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether an account is left whose tokens may live."""
        left = [key for key, one in state.objects.items() if not part({"of": one}, "of")["emptied"]]
        if left:
            return Judgement(
                Verdict.NOT_CONTAINED, f"{len(left)} accounts have live tokens: {some(sorted(left))}"
            )
        groups = [str(one) for one in items(resource.params, GROUPS)]
        if state.objects and groups:
            # Whoever is given a token for it is in the group, too: a kubelet, a deployer.
            reason = (
                f"{some(sorted(state.objects))}: made again by others and emptied, and in a group with rights"
                f" again: {some(groups)}"
            )
            return Judgement(Verdict.UNKNOWN, reason[:500])
        again = f"; made again by others, and emptied: {some(sorted(state.objects))}" if state.objects else ""
        return Judgement(Verdict.CONTAINED, f"the accounts are deleted{again}"[:500])

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew
        """Make them again."""
        outcomes: dict[str, Outcome] = {}
        records = [part({"of": one}, "of") for one in before.objects.values()]
        places = [(text(was, "namespace"), text(was, "name")) for was in records]
        read = glance(self._cluster, SERVICE_ACCOUNTS, places)

        def one(item: tuple[str, Json]) -> None:
            was = part({"of": item[1]}, "of")
            outcomes[item[0]] = put_back(
                self._cluster, was, lambda body: _is_emptied(resource, body), MARK, read
            )

        self._cluster.each(before.objects.items(), one)
        return Reversal(outcomes, "accounts are as they were but for uid and times; old tokens stay dead")

    def probe(self, resource: Resource) -> Judgement | None:
        """Try each token that is held; the server remembers for 10 s that it was good."""
        held = mapped(resource.params.get("held"))
        if not held:
            return None
        said = probe.weakest([probe.judge_token(self._cluster, one, good) for one, good in held.items()])
        if said.verdict is Verdict.CONTAINED and resource.params.get("all_held") is not True:
            reason = f"{said.reason}; of the other accounts no token is held: they are deleted"
            return Judgement(said.verdict, reason[:500], Grade.PLATFORM_EVALUATOR)
        return said

    def _end(self, resource: Resource, was: Body) -> None:
        end(self._cluster, SERVICE_ACCOUNTS, was)
        pair = f"{was['namespace']}/{was['name']}"
        if was["name"] == DEFAULT or was["uid"] != _signed(resource, pair):
            self._fill(resource, str(was["namespace"]), str(was["name"]), str(was["uid"]))

    def _fill(self, resource: Resource, namespace: str, name: str, dead: str) -> None:
        """Put an empty account where the controller manager, or a deployer, would make one again."""
        body = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": namespace},
            "automountServiceAccountToken": False,
        }
        try:
            made = self._cluster.create(SERVICE_ACCOUNTS, namespace, body)
        except Transient:
            found = self._cluster.maybe(SERVICE_ACCOUNTS, namespace, name)
            if found is None or uid_of(found) == dead:
                return
            made = found
        about = {"uid": uid_of(made), "annotations": {MARK: _mark(resource, uid_of(made))}}
        change = {"metadata": about, "automountServiceAccountToken": False}
        self._cluster.patch(SERVICE_ACCOUNTS, namespace, name, change)


def _record(resource: Resource, body: Body) -> Json:
    managed: list[Json] = [dict(one) for one in bodies(body, "metadata", "managedFields")]
    rest = ("secrets", "imagePullSecrets", "automountServiceAccountToken")
    return {
        "uid": uid_of(body),
        "namespace": namespace_of(body),
        "name": name_of(body),
        "metadata": kept(body),
        "rest": {name: body[name] for name in rest if name in body},
        "managed": managed,
        "emptied": _is_emptied(resource, body),
    }


def _is_emptied(resource: Resource, body: Body) -> bool:
    """Return whether we made, or marked, it after every account of its name before was deleted."""
    pair = f"{namespace_of(body)}/{name_of(body)}"
    return (
        bool(text(resource.params, "nonce"))
        and uid_of(body) != _signed(resource, pair)
        and text(body, "metadata", "annotations", MARK) == _mark(resource, uid_of(body))
    )


def _signed(resource: Resource, account: str) -> str:
    return mapped(resource.params.get("uids")).get(account, "")


def _mark(resource: Resource, uid: str) -> str:
    return hashlib.sha256(f"{text(resource.params, 'nonce')}:{uid}".encode()).hexdigest()


def proposed(cluster: Cluster, choice: Choice, *, after: str, groups: Sequence[str]) -> Proposed:
    """Return the step.

    `after` is the key of the step that records token Secrets, which would go with these; `groups` are
    bindings of groups that the accounts share with others, which count as closed once the accounts are gone.
    """
    if not (choice.accounts or choice.scope.own):
        return Proposed()
    tokens = cluster.settings.mapping("agent_tokens")
    held = {
        one: good
        for one in choice.accounts
        if one in tokens and (good := probe.good_now(cluster, who_is(one).user, one))
    }
    all_held = bool(held) and set(held) == set(choice.uids)
    more: dict[str, Json] = {GROUPS: [*groups]}
    grade = Grade.REFUSED_AS_AGENT if all_held else Grade.PLATFORM_EVALUATOR if held else Grade.READ_BACK
    target = choice.target(
        cluster.settings.cluster_uid,
        f"tokens of {some(choice.accounts)}"[:200],
        uids=listed(choice.uids),
        held=listed(held),
        all_held=all_held,
        **more,
        nonce=secrets.token_hex(16),
    )
    step = Proposal(
        KEY, SPEC.name, target, after=(WaitFor(after, 5.0),), best_grade=grade, affects=choice.affects
    )
    return Proposed((step,))


ACTION_CLASSES = (InvalidateTokens,)
SPECS = (SPEC,)
