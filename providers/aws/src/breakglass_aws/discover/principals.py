"""Reads every user and role of the account once: who carries the tag, who is new, who trusts the agent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from breakglass.clock import Instant
from breakglass_aws.account import Account
from breakglass_aws.bulk import Entity, entity
from breakglass_aws.discover.tags import TAG
from breakglass_aws.since_harm import made_since
from breakglass_aws.texts import detail_texts

SERVICE_PATHS = ("/aws-service-role/", "/aws-reserved/")


@dataclass(frozen=True, slots=True)
class Principal:
    """One user or role, as far as discovery needs it."""

    key: str
    """``users`` or ``roles``."""
    name: str
    arn: str
    path: str
    id: str
    created: Instant
    tagged: bool
    trusts: tuple[str, ...]
    """The AWS principals that a role's trust policy allows."""
    profiles: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """Return ``user/NAME`` or ``role/NAME``."""
        return f"{self.key.removesuffix('s')}/{self.name}"


def every_principal(account: Account) -> Sequence[Principal]:
    """Return all users and roles, page by page (GetAccountAuthorizationDetails: tags, dates, trust at once).

    Raises:
        ProviderError: the listing failed.
    """
    found: list[Principal] = []
    entities: dict[str, Entity] = {}
    began_s = account.connection.clock.monotonic_s()
    for page in account.each_page("iam", "get_account_authorization_details", Filter=["User", "Role"]):
        texts = detail_texts(page)
        for key, kind in (("users", "User"), ("roles", "Role")):
            items = page.get(f"{kind}DetailList") or ()
            found += [_principal(key, item, account) for item in items]
            entities |= dict(entity(kind, item, texts) for item in items)
    account.bulk.keep(entities, began_s)
    return found


def _principal(key: str, item: Mapping[str, Any], account: Account) -> Principal:
    tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or ()}
    kind = "User" if key == "users" else "Role"
    profiles = (profile["InstanceProfileName"] for profile in item.get("InstanceProfileList") or ())
    return Principal(
        key=key,
        name=str(item[f"{kind}Name"]),
        arn=str(item["Arn"]),
        path=str(item.get("Path", "/")),
        id=str(item[f"{kind}Id"]),
        created=Instant(int(item["CreateDate"].timestamp() * 1000)),
        tagged=tags.get(TAG) == account.connection.agent.name,
        trusts=trusted(item.get("AssumeRolePolicyDocument") or {}),
        profiles=tuple(profiles),
    )


def trusted(document: object) -> tuple[str, ...]:
    """Return the AWS principals of the Allow statements of a trust policy."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            return ()
    statements = document.get("Statement", ()) if isinstance(document, Mapping) else ()
    found: list[str] = []
    for statement in [statements] if isinstance(statements, Mapping) else statements:
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal", ())
        named = principal.get("AWS", ()) if isinstance(principal, Mapping) else principal
        found += [named] if isinstance(named, str) else [str(one) for one in named]
    return tuple(dict.fromkeys(found))


def new_friends(principals: Iterable[Principal], own: Sequence[str], since: Instant) -> Sequence[Principal]:
    """Return roles that were made since the harm began and that one of the agent's principals may assume.

    `own` are the agent's ARNs. CloudTrail tells who made them, minutes later; that they trust the agent is
    reason enough.
    """
    return [
        one
        for one in principals
        if one.key == "roles"
        and made_since(one.created.epoch_ms, since.epoch_ms)
        and one.arn not in own
        and not one.path.startswith(SERVICE_PATHS)
        and set(own).intersection(one.trusts)
    ]


def unexplained(principals: Iterable[Principal], known: Sequence[str], since: Instant) -> Sequence[Principal]:
    """Return users and roles that were made since the harm began, by nobody knows whom; `known` are ARNs."""
    return [
        one
        for one in principals
        if made_since(one.created.epoch_ms, since.epoch_ms)
        and one.arn not in known
        and not one.path.startswith(SERVICE_PATHS)
    ]


def explained(
    made: Iterable[tuple[str, str]], principals: Iterable[Principal], own: Sequence[str], since: Instant
) -> Sequence[str]:
    """Return the ARNs of those whom somebody made that was there before the harm began, and whom those made.

    `made` are (ARN, maker). Whom a stranger made, or somebody who is gone, is a stranger too: the agent's
    friend makes the next one, and may be deleted by it.
    """
    makers: dict[str, set[str]] = {}
    for arn, maker in made:
        makers.setdefault(arn, set()).add(maker)
    good = {"root"}
    good |= {
        one.short
        for one in principals
        if not made_since(one.created.epoch_ms, since.epoch_ms) and one.arn not in own
    }
    found: list[str] = []
    while fresh := [arn for arn, by in makers.items() if arn not in found and by <= good]:
        found += fresh
        good |= {_short(arn) for arn in fresh}
    return found


def _short(arn: str) -> str:
    kind, _, path = arn.rpartition(":")[2].partition("/")
    return f"{kind}/{path.rpartition('/')[2]}"


def old_friends(principals: Iterable[Principal], own: Sequence[str]) -> Sequence[Principal]:
    """Return roles that are not the agent's and whose trust policy names one of its principals.

    A session that it made of one lives up to 12 h (IAM User Guide, "Update the maximum session duration for
    a role"): longer than CloudTrail is read back, and the last minutes are not in CloudTrail yet.
    """
    named = {*own, *(_session(arn) for arn in own)}
    return [
        one
        for one in principals
        if one.key == "roles"
        and one.arn not in own
        and not one.path.startswith(SERVICE_PATHS)
        and any(trust in named or trust.rpartition("/")[0] in named for trust in one.trusts)
    ]


def _session(arn: str) -> str:
    """Return what the ARNs of a role's sessions begin with."""
    return arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")
