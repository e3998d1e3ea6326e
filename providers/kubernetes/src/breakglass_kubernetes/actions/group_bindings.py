"""``kubernetes.rbac.unbind_group``: the group of all accounts of a namespace, where all are the agent's.

A group that others are in, too, cannot be taken out for one account: such bindings are said before anyone
signs. What counts is what the role allows beyond looking: a shell, a Secret, a change. For service accounts
such a door closes with their deletion: nobody holds a token of theirs any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from breakglass.canon import Json
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Proposal, Proposed, ProposedDoor, Reversal
from breakglass_kubernetes.actions import bindings, subject_cut
from breakglass_kubernetes.actions.account_choice import Choice, is_own_group
from breakglass_kubernetes.actions.peacetime import look
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.found import Found
from breakglass_kubernetes.kinds import SERVICE_ACCOUNTS
from breakglass_kubernetes.objects import Body, name_of, namespace_of, text
from breakglass_kubernetes.rbac import HARMLESS, Grant, Rbac, acts
from breakglass_kubernetes.subjects import GROUP_PREFIX, UNAUTHENTICATED, Cut, words

KEY = "unbind_group"
SPEC = replace(
    bindings.SPEC,
    name="kubernetes.rbac.unbind_group",
    summary="takes the group of all accounts of the agent's own namespaces out of every binding",
    permissions=bindings.PERMISSIONS,
    blast_radius="accounts that somebody adds to these namespaces later",
    best_grade=Grade.READ_BACK,
    example="kubernetes.rbac.unbind_group system:serviceaccounts:support-bot",
    sources=tuple(
        replace(one, reference=one.reference.replace("_unbind.py", "_groups.py"))
        for one in bindings.SPEC.sources
    ),
)


class UnbindGroup:
    """Every binding of one cluster."""

    spec = SPEC

    def __init__(self, cluster: Cluster) -> None:
        """Call as the executor of this cluster."""
        self._cluster = cluster

    def observe(self, resource: Resource) -> State:
        """Read each binding that names one of these groups."""
        groups = _groups(resource)
        return subject_cut.observe(self._cluster, lambda one, _: _is_one(one, groups))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - guarded by versions
        """Take them out."""
        subject_cut.apply(self._cluster, before)

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether a binding is left that names one."""
        return subject_cut.judge(state, ", ".join(sorted(_groups(resource))))

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - read anew
        """Put them back at their places."""
        return subject_cut.revert(self._cluster, before, Cut.of(resource).names, resource.params)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the accounts' own step asks for them
        """Return nothing: what the accounts may is asked by the step that unbinds them."""
        return None


def _groups(resource: Resource) -> frozenset[str]:
    listed = resource.params.get("cut_groups")
    return frozenset(str(one) for one in (listed if isinstance(listed, list) else ()))


def _is_one(subject: Body, groups: Iterable[str]) -> bool:
    return text(subject, "kind") == "Group" and text(subject, "name") in groups


def proposed(cluster: Cluster, found: Found, choice: Choice, rbac: Rbac, closer: str) -> Proposed:
    """Return the step, and a door for each binding to a group that others are in.

    `closer` is the key of the step that deletes the accounts.
    """
    cut = choice.cut
    through = [one for one in rbac.every_grant() if cut.passes_through(one.subject)]
    own = [one for one in cut.namespaces if _is_own(cluster, found, choice, one, through)]
    groups = frozenset(GROUP_PREFIX + one for one in own)
    said = Proposed()
    if groups:
        listed: list[Json] = [*sorted(groups)]
        since = cluster.connection.since
        bound = look(rbac.bindings, lambda one, _: _is_one(one, groups), since)
        label = f"bindings of {', '.join(sorted(groups))}"[:200] + bound.count
        more: dict[str, Json] = {"cut_groups": listed, **bound.params}
        target = choice.target(cluster.settings.cluster_uid, label, **more)
        said = Proposed((Proposal(KEY, SPEC.name, target, affects=bound.affects),))
    for grant in through:
        # By its rules, too: whoever may edit a role may widen one that everybody has.
        everyones = grant.role in HARMLESS and not any(acts(rule) for rule in grant.rules)
        if _is_one(grant.subject, groups) or everyones or not grant.rules:
            continue
        said = said.plus(_said(grant, choice, closer))
    return said


def _is_own(cluster: Cluster, found: Found, choice: Choice, namespace: str, through: Sequence[Grant]) -> bool:
    if not any(text(one.subject, "name") == GROUP_PREFIX + namespace for one in through):
        return False
    live = [f"{namespace_of(one)}/{name_of(one)}" for one in cluster.every(SERVICE_ACCOUNTS, namespace)]
    return is_own_group(found, choice, namespace, live)


def _said(grant: Grant, choice: Choice, closer: str) -> Proposed:
    name = f"{grant.binding} -> {words(grant.subject)}"[:200]
    if not any(acts(rule) for rule in grant.rules):
        why = f"{grant.role}, which only lets them look: others are in this group, too"
        return Proposed(not_touched=(NotTouched(name, why[:500]),))
    anybody = text(grant.subject, "name") == UNAUTHENTICATED or text(grant.subject, "kind") == "User"
    why = f"gives {grant.role} to a group that others are in: it cannot be taken from the agent alone"
    if anybody:
        why = f"gives {grant.role} to everybody, without any credential"
    elif choice.scope.users or choice.scope.groups:
        why += "; the agent's users keep it, as nothing deletes them"
    # "default" is made again at once, and whoever gets a token for it is in the group.
    comes_back = any(one.endswith("/default") for one in choice.accounts)
    if comes_back:
        why += "; the account default comes back by itself, and is in it again"
    only_accounts = not (anybody or comes_back or choice.scope.users or choice.scope.groups)
    door = Door(
        kind=DoorKind.PRIVILEGED,
        name=name,
        reason=why[:500],
        remedy="bind the others by themselves, then take the group out of the binding",
        owner="",
        closed_by=(),
        verdict=Verdict.NOT_CONTAINED,
    )
    return Proposed(doors=(ProposedDoor(door, (closer,) if only_accounts else ()),))


ACTION_CLASSES = (UnbindGroup,)
SPECS = (SPEC,)
