"""Says which rights the agent really had to get credentials that outlive it: tokens of others, Secrets.

What it did with them stands in the audit log, where that can be read; else nobody knows, and the verdict is
at best unknown. A token of another account lives up to its expiry, whoever asked for it (Kubernetes
documentation, "TokenRequest"); the riskier rights: "Role Based Access Control Good Practices".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_kubernetes.actions.subject_cut import some
from breakglass_kubernetes.cluster import Cluster
from breakglass_kubernetes.rbac import Ask, Grant, Rbac, Rule
from breakglass_kubernetes.scope import Scope
from breakglass_kubernetes.subjects import Who

_RBAC, _CERTIFICATES = "rbac.authorization.k8s.io", "certificates.k8s.io"


@dataclass(frozen=True, slots=True)
class Power:
    """A right that gives credentials, or rights, of others."""

    name: str
    asks: tuple[Ask, ...]
    """Any of them will do."""
    may: str
    inside: bool = True
    """Whether it means nothing in a namespace in which all is the agent's."""


POWERS = (
    Power(
        "mint tokens",
        (Ask("create", "", "serviceaccounts/token"),),
        "tokens of other accounts may live on, up to a year",
    ),
    Power(
        "read Secrets",
        tuple(Ask(verb, "", "secrets") for verb in ("get", "list", "watch")),
        "whatever lies in Secrets may be known: tokens, passwords, keys",
    ),
    Power("make token Secrets", (Ask("create", "", "secrets"),), "tokens without an end may have been made"),
    Power(
        "run pods",
        (
            Ask("create", "", "pods"),
            *(Ask("create", "apps", one) for one in ("deployments", "daemonsets", "statefulsets")),
            *(Ask("create", "batch", one) for one in ("jobs", "cronjobs")),
        ),
        "pods may run as any account of that namespace, and mount its Secrets",
    ),
    Power(
        "enter containers",
        tuple(Ask(verb, "", f"pods/{sub}") for sub in ("exec", "attach") for verb in ("create", "get"))
        + tuple(Ask(verb, "", "nodes/proxy") for verb in ("create", "get")),
        "tokens and Secrets of other containers may be known",
    ),
    Power(
        "act as others",
        tuple(Ask("impersonate", "", one) for one in ("users", "groups", "serviceaccounts")),
        "others may have been bound, and credentials made, in somebody else's name",
        inside=False,
    ),
    Power(
        "give rights",
        tuple(Ask(verb, _RBAC, one) for verb in ("escalate", "bind") for one in ("roles", "clusterroles")),
        "other identities may have got rights",
    ),
    Power(
        "issue certificates",
        (Ask("update", _CERTIFICATES, "certificatesigningrequests/approval"),),
        "client certificates of any name may have been issued, and no cluster can revoke one",
        inside=False,
    ),
)


def proposed(cluster: Cluster, scope: Scope, rbac: Rbac, people: Sequence[Who]) -> Proposed:
    """Return a door for each power that it had; only listed where the audit log says what it did."""
    grants = [(who, grant) for who in people for grant in rbac.grants(who) if grant.rules]
    audited = bool(cluster.settings.text("audit_log"))
    by: dict[tuple[str, ...], list[Power]] = {}
    for power in POWERS:
        if had := tuple(dict.fromkeys(_had(power, grants, scope))):
            by.setdefault(had, []).append(power)
    said = Proposed()
    for had, powers in by.items():
        names = [one.name for one in powers]
        name = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        name = f"could {name}"
        reason = f"{some(had)}: {'; '.join(one.may for one in powers)}"
        if audited:
            more = "; the audit log was read: what it did with it is listed by itself"
            said = said.plus(Proposed(not_touched=(NotTouched(name[:200], reason[:900] + more),)))
            continue
        door = Door(
            kind=DoorKind.CAN_MINT,
            name=name[:200],
            reason=reason[:1000],
            remedy="read the API server's audit log (audit_log), and end what it made",
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
        said = said.plus(Proposed(doors=(ProposedDoor(door),)))
    return said


def _had(power: Power, grants: Sequence[tuple[Who, Grant]], scope: Scope) -> Iterator[str]:
    for who, grant in grants:
        if power.inside and grant.namespace and grant.namespace in scope.own:
            continue
        if any(_gives(rule, ask) for rule in grant.rules for ask in power.asks):
            where = f"in {grant.namespace}" if grant.namespace else "everywhere"
            yield f"{who.account or who.user or 'the group'} {where} by {grant.binding} ({grant.role})"


def _gives(rule: Rule, ask: Ask) -> bool:
    """Return whether a rule gives a power at all, if only on objects that it names."""
    name = rule.names[0] if rule.names else ""
    return rule.covers(Ask(ask.verb, ask.group, ask.resource, name=name))
