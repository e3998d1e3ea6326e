"""``aws.eks.delete_pod_identity``: pods of a service account get no new session of the agent's role.

An association can be deleted and made again, but not switched off. What comes back is equal except for its
id and its external id (EKS API reference, PodIdentityAssociation). Sessions that exist live on until they
expire (EKS API reference, DeletePodIdentityAssociation): the role's deny is what ends those.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from breakglass.model.plan import NotTouched
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Proposal, Proposed, Reversal
from breakglass_aws import tiers
from breakglass_aws.account import Account
from breakglass_aws.found import Found

_KEPT = ("roleArn", "targetRoleArn", "disableSessionTags", "policy", "tags")
SPEC = ActionSpec(
    name="aws.eks.delete_pod_identity",
    capability=Capability.REVOKE_CREDENTIALS,
    summary="deletes what gives pods the role; the role's deny ends the sessions that they have",
    permissions=(
        "eks:ListPodIdentityAssociations",
        "eks:DescribePodIdentityAssociation",
        "eks:DeletePodIdentityAssociation",
    ),
    undo_permissions=(
        "eks:ListPodIdentityAssociations",
        "eks:DescribePodIdentityAssociation",
        "eks:CreatePodIdentityAssociation",
        "eks:TagResource",
        "iam:PassRole",
        "iam:GetRole",
    ),
    blast_radius="every pod of this service account; it may fall back to the role of its node",
    reversibility=Reversibility.PARTIAL,
    undo="makes it again with every field and tag; its id and external id are new",
    settle_s=10,
    best_grade=Grade.READ_BACK,
    example="aws.eks.delete_pod_identity pod-identity/prod/agents/support-bot",
    sources=(
        Source("undo", Authority.VENDOR_TEXT, "EKS API reference, CreatePodIdentityAssociation"),
        Source("settle", Authority.VENDOR_TEXT, "EKS User Guide, 'Pod Identity': eventually consistent"),
        tiers.source("request shapes and errors are held against the service's model"),
    ),
    service="eks",
)


class DeletePodIdentity:
    """Every association of one service account: one that is made again during the stop is deleted too."""

    spec = SPEC

    def __init__(self, account: Account) -> None:
        """Call as the executor of this account."""
        self._account = account

    def observe(self, resource: Resource) -> State:
        """Read every association of the service account whole; a cluster that is gone has none."""
        cluster = str(resource.params["cluster"])
        found: dict[str, Json] = {}
        try:
            listed = list(
                self._account.pages(
                    "eks",
                    "list_pod_identity_associations",
                    "associations",
                    clusterName=cluster,
                    namespace=str(resource.params["namespace"]),
                    serviceAccount=str(resource.params["service_account"]),
                )
            )
        except Gone:
            return State({})
        for one in listed:
            try:
                found[one["associationId"]] = _kept(_read(self._account, cluster, one["associationId"]))
            except Gone:
                continue
        return State(found)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Delete each."""
        cluster = str(resource.params["cluster"])
        for name in before.objects:
            try:
                self._account.call(
                    "eks", "delete_pod_identity_association", clusterName=cluster, associationId=name
                )
            except Gone:
                continue

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state says it all
        """Decide whether one is left."""
        if state.objects:
            return Judgement(Verdict.NOT_CONTAINED, f"{', '.join(state.objects)} gives pods a role")
        return Judgement(Verdict.CONTAINED, "no association of this service account is left")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Make the signed one again, unless there is one: a service account can have but one."""
        signed = str(resource.params["association"])
        outcomes: dict[str, Outcome] = {}
        for name, was in before.objects.items():
            if name in now.objects:
                outcomes[name] = Outcome.ALREADY if now.objects[name] == was else Outcome.DRIFTED
            elif name != signed:
                outcomes[name] = Outcome.CANNOT
            elif now.objects:
                outcomes[name] = Outcome.ALREADY if was in now.objects.values() else Outcome.DRIFTED
            else:
                self._create(resource, was if isinstance(was, Mapping) else {})
                outcomes[name] = Outcome.RESTORED
        why = "made again under a new id; one that appeared during the stop is not made again"
        return Reversal(outcomes, why)

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: only a pod of the cluster could try."""
        return None

    def _create(self, resource: Resource, was: Mapping[str, Any]) -> None:
        self._account.call(
            "eks",
            "create_pod_identity_association",
            clusterName=str(resource.params["cluster"]),
            namespace=str(resource.params["namespace"]),
            serviceAccount=str(resource.params["service_account"]),
            **{key: value for key, value in was.items() if value},
        )


def _read(account: Account, cluster: str, name: str) -> Mapping[str, Any]:
    answer = account.call("eks", "describe_pod_identity_association", clusterName=cluster, associationId=name)
    found: Mapping[str, Any] = answer["association"]
    return found


def _kept(read: Mapping[str, Any]) -> dict[str, Json]:
    """Return what an association is made from."""
    return {key: read[key] for key in _KEPT if read.get(key)}


def propose(account: Account, found: Found) -> Proposed:
    """Propose each named association, by its service account."""
    proposed = Proposed()
    for entry in found.of("pod_identities"):
        cluster, _, name = entry.partition("/")
        shown = f"pod identity {entry}"
        try:
            read = _read(account, cluster, name)
        except Gone:
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(shown, "there is none of this id"),)))
            continue
        if read.get("ownerArn"):
            why = f"it belongs to {read['ownerArn']}, which would make it again: the role's deny covers it"
            proposed = proposed.plus(Proposed(not_touched=(NotTouched(shown, why),)))
            continue
        whose = f"{read['namespace']}/{read['serviceAccount']}"
        target = Resource(
            "aws-pod-identity",
            f"pod-identity/{cluster}/{whose}",
            tiers.label(f"pod identity of {whose} in cluster {cluster}"),
            {
                "cluster": cluster,
                "namespace": read["namespace"],
                "service_account": read["serviceAccount"],
                "association": name,
            },
        )
        step = Proposal(
            key=f"delete_pod_identity:{entry}",
            action=SPEC.name,
            target=target,
            settle_s=account.settle_s(SPEC),
            affects=(f"pods of {whose}: they may fall back to the role of their node",),
        )
        proposed = proposed.plus(Proposed((step,)))
    return proposed


ACTION_CLASSES = (DeletePodIdentity,)
SPECS = (SPEC,)
