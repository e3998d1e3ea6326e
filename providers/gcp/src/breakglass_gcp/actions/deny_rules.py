"""Decides over the rules of a deny policy: which are armed, whom they deny, what is to be written; pure.

Rules are JSON as `messages.as_json` writes them (IAM API v2 reference, DenyRule). A rule with a condition or
with exceptions for the agent denies less than it says and does not count. What a rule says beside its
principals is signed with the plan: who edits it during the stop is undone by the same write.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from breakglass.canon import Json, JsonObject, canonical, sha256
from breakglass_gcp.actions.deny_patterns import certainly, perhaps
from breakglass_gcp.agent_principals import pool_start
from breakglass_gcp.messages import field, fields

MOST_PRINCIPALS = 2500
_DENIED, _SPARED = "denied_principals", "exception_principals"
_EVERYBODY = frozenset({"principalSet://goog/public:all"})
_OF_PROJECTS = "//cloudresourcemanager.googleapis.com/"
"""IAM documentation, "Principal identifiers": all accounts of a project, a folder, an organisation."""
_POOL = re.compile(r"/work(?:load|force)(?:Identity)?Pools/([^/]+)")
_ACCOUNT = "/serviceAccounts/"
_HARMLESS = frozenset({"get", "list", "search", "getIamPolicy", "testIamPermissions"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the policy as it was signed: everything but whom it denies."""

    body: JsonObject
    at: int

    @property
    def mark(self) -> str:
        """Return a short digest of everything but whom the rule denies."""
        return mark_of(self.body)

    @property
    def permissions(self) -> tuple[str, ...]:
        """Return what it denies, as ``iam.googleapis.com/roles.list``; of what is excepted in part, all."""
        spared = _texts(self.body, "exception_permissions")
        return tuple(one for one in _texts(self.body, "denied_permissions") if not perhaps(one, spared))

    def denies(self, permission: str) -> bool:
        """Return whether it denies this for certain: by name or group, excepted by none, at all times."""
        return (
            not _condition(self.body)
            and certainly(permission, _texts(self.body, "denied_permissions"))
            and not perhaps(permission, _texts(self.body, "exception_permissions"))
        )


def armed(rules: Sequence[JsonObject]) -> tuple[Rule, ...]:
    """Return the rules that deny something that matters, unconditionally, to whoever is listed."""
    found = (Rule(_bare(rule), n) for n, rule in enumerate(rules))
    return tuple(rule for rule in found if not _condition(rule.body) and any(map(_matters, rule.permissions)))


def signed(rules: Sequence[Rule]) -> list[Json]:
    """Return rules as a target carries them."""
    return [{"at": rule.at, "rule": dict(rule.body)} for rule in rules]


def of_signed(value: Json) -> tuple[Rule, ...]:
    """Read what `signed` wrote."""
    found = value if isinstance(value, list) else []
    return tuple(
        Rule(fields(field(one, "rule")), at)
        for one in found
        if isinstance(at := field(one, "at"), int) and fields(field(one, "rule"))
    )


def spares_all(rules: Sequence[Rule], principal: str) -> bool:
    """Return whether every one of these rules spares a principal."""
    return all(principal in _texts(rule.body, _SPARED) for rule in rules)


def spares_any(rules: Sequence[Rule], principal: str) -> bool:
    """Return whether one of these rules spares a principal; an account also by a name with its project."""
    account = principal.partition(_ACCOUNT)[2]
    return any(
        one == principal or (account and one.partition(_ACCOUNT)[2] == account)
        for rule in rules
        for one in _texts(rule.body, _SPARED)
    )


def spared_sets(rules: Sequence[Rule], principal: str) -> frozenset[str]:
    """Return what these rules spare and a principal is or may well be in, by the names alone."""
    start = pool_start(principal)
    return frozenset(
        one
        for rule in rules
        for one in _texts(rule.body, _SPARED)
        if one.startswith("principalSet://")
        and (one in _EVERYBODY or start in one or ("/serviceAccounts/" in principal and _OF_PROJECTS in one))
    )


def unknown_sets(rules: Sequence[Rule], principals: Sequence[str]) -> tuple[str, ...]:
    """Return what these rules spare and nobody can tell here who is in: groups, whole organisations ...

    A set of a pool or trust domain that none of the principals is of has none of them in it.
    """
    own = {found[1] for one in principals if (found := _POOL.search(one))}
    return tuple(
        sorted(
            {
                one
                for rule in rules
                for one in _texts(rule.body, _SPARED)
                if "principalSet://" in one and not _of_others(one, own)
            }
        )
    )


def _of_others(spared: str, own: Collection[str]) -> bool:
    """Return whether a set is of a pool or of agents that are somebody else's, by its name."""
    if pool := _POOL.search(spared):
        # A pool of the same name in another project may be the same one, written with the project's id.
        return pool[1] not in own
    return spared.startswith("principalSet://agents.global.")


def anybody_spared(rules: Sequence[Rule]) -> bool:
    """Return whether every one of these rules spares somebody."""
    return all(_texts(rule.body, _SPARED) for rule in rules)


def denied_in(rules: Sequence[JsonObject], rule: Rule) -> frozenset[str]:
    """Return whom the live rules that say what a signed one says deny; nobody where there is none such."""
    return frozenset(one for live in rules if mark_of(live) == rule.mark for one in _texts(live, _DENIED))


def edited(rules: Sequence[JsonObject], wanted: Sequence[Rule]) -> tuple[Rule, ...]:
    """Return the signed rules that the live policy does not have any more as they were signed."""
    marks = {mark_of(live) for live in rules}
    return tuple(rule for rule in wanted if rule.mark not in marks)


def with_principals(
    rules: Sequence[JsonObject], wanted: Sequence[Rule], principals: Sequence[str]
) -> list[JsonObject]:
    """Return the rules to write: each signed one as it was signed, denying these principals too.

    A signed rule that was edited takes the place of what stands where it stood; whom that one denies stays
    denied.
    """
    written: list[JsonObject] = [dict(live) for live in rules]
    missing = edited(rules, wanted)
    for rule in missing:
        known = {one.mark for one in wanted}
        if rule.at < len(written) and mark_of(written[rule.at]) not in known:
            written[rule.at] = _denying(rule.body, _texts(written[rule.at], _DENIED))
        else:
            written.insert(rule.at, dict(rule.body))
    marks = {rule.mark for rule in wanted}
    return [
        _denying(live, [*(now := _texts(live, _DENIED)), *(one for one in principals if one not in now)])
        if mark_of(live) in marks
        else live
        for live in written
    ]


def without_principals(
    rules: Sequence[JsonObject], wanted: Sequence[Rule], gone: Collection[tuple[str, str]]
) -> list[JsonObject]:
    """Return the rules to write that lack these (mark, principal) pairs."""
    marks = {rule.mark for rule in wanted}
    return [
        _denying(live, [one for one in _texts(live, _DENIED) if (mark, one) not in gone])
        if (mark := mark_of(live)) in marks
        else live
        for live in rules
    ]


def room_for(rules: Sequence[JsonObject], armed_rules: int) -> int:
    """Return how many principals more each armed rule may deny.

    IAM documentation, "Quotas and limits": 2,500 principals in all deny policies of a resource, these counted
    as often as they stand there. Other policies of the resource are not counted here.
    """
    standing = sum(len(_texts(one, key)) for one in rules for key in (_DENIED, _SPARED))
    return max(0, MOST_PRINCIPALS - standing) // max(1, armed_rules)


def rules_of(policy: Json) -> list[JsonObject]:
    """Return the rules of a policy."""
    found = field(policy, "rules")
    return [fields(one) for one in found] if isinstance(found, list) else []


def mark_of(rule: JsonObject) -> str:
    """Return a short digest of everything but whom a rule denies."""
    return sha256(canonical(_bare(rule)))[:12]


def permission_of(denied: str) -> str:
    """Return a permission of deny policies as allow policies and testIamPermissions name it.

    IAM documentation, "Permissions supported in deny policies": SERVICE_FQDN/RESOURCE.ACTION, where that of
    Resource Manager is ``cloudresourcemanager`` and its permissions begin with ``resourcemanager``.
    """
    host, _, rest = denied.partition("/")
    service = host.partition(".")[0]
    return f"{_RENAMED.get(service, service)}.{rest}"


_RENAMED = {"cloudresourcemanager": "resourcemanager", "sqladmin": "cloudsql"}


def _bare(rule: JsonObject) -> JsonObject:
    """Return a rule without whom it denies."""
    deny = {key: value for key, value in fields(rule.get("deny_rule")).items() if key != _DENIED}
    return {**rule, "deny_rule": deny}


def _denying(rule: JsonObject, principals: Sequence[str]) -> JsonObject:
    deny = dict(fields(rule.get("deny_rule")))
    deny.pop(_DENIED, None)
    return {**rule, "deny_rule": {**deny, _DENIED: [*principals]} if principals else deny}


def _texts(rule: JsonObject, key: str) -> list[str]:
    found = field(rule, "deny_rule", key)
    return [str(one) for one in found] if isinstance(found, list) else []


def _condition(rule: JsonObject) -> bool:
    return bool(fields(field(rule, "deny_rule", "denial_condition")))


def _matters(permission: str) -> bool:
    return permission.rpartition(".")[2] not in _HARMLESS
