"""Decides over a project's own policy of gcp.restrictServiceUsage: what it denies, whether it can deny more.

Policies are the JSON of orgpolicy v2 (google/cloud/orgpolicy/v2/orgpolicy.proto, Policy, PolicySpec). What is
written is what was read and these denied values, in the rule that has such or in one of their own; whether it
inherits, its dry run and its etags stay. A policy of another form is never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from breakglass.canon import Json, JsonObject
from breakglass_gcp.messages import field, fields, text

CONSTRAINT = "gcp.restrictServiceUsage"
MOST_VALUES = 500
"""Organization Policy documentation, "Using constraints": with more values it cannot be saved."""
_PARTS = ("spec", "dryRunSpec")
_NEW = ("etag", "updateTime")


def why_not(policy: JsonObject | None, services: Sequence[str]) -> str:
    """Return why it cannot deny these as it is, and what to do; empty: it can. None is no policy."""
    if policy is None:
        return ""
    if "spec" not in policy:
        return "it is a dry run alone, and nothing is known of what it should be: set its spec by hand"
    if field(policy, "spec", "reset") is True:
        return (
            "it resets the constraint to its default, and such a policy has no rules: "
            "set one with denied values in its place, or none"
        )
    for rule in rules_of(policy):
        if why := _odd(rule):
            return why
    taken = sum(len(values_of(rule, "deniedValues")) for rule in rules_of(policy))
    if taken + len([one for one in services if not denies(policy, one)]) > MOST_VALUES:
        return f"it would have more than {MOST_VALUES} values, and could not be saved: take some out of it"
    return ""


def _odd(rule: JsonObject) -> str:
    """Return why a rule cannot stand beside denied values; empty: it can."""
    if rule.get("condition"):
        return (
            "one of its rules has a condition: tags decide whether it holds, and nobody here knows which; "
            "deny them in it by hand, or by the policy of the folder"
        )
    if rule.get("allowAll") is True:
        return "it allows all, and such a rule has no values: set a policy with denied values in its place"
    if rule.get("denyAll") is True:
        return "it denies all already: there is nothing to add"
    if values_of(rule, "allowedValues"):
        return (
            "it is an allow-list, and allowed and denied values exclude each other: "
            "take them out of its allowed values by hand"
        )
    if set(rule) - {"values"} or set(fields(rule.get("values"))) - {"deniedValues"}:
        return "one of its rules is of a form that is not known here: deny them by hand"
    if any(":" in one.removeprefix("is:") for one in values_of(rule, "deniedValues")):
        return "one of its values is of a form that is not known here: deny them by hand"
    return ""


def shut_out(policy: JsonObject | None, service: str) -> bool:
    """Return whether it denies a service by another way than by denied values, whatever is set above it."""
    for rule in rules_of(policy):
        if rule.get("condition"):
            continue
        allowed = values_of(rule, "allowedValues")
        alone = field(policy, "spec", "inheritFromParent") is not True
        if rule.get("denyAll") is True or (allowed and alone and not _listed(service, allowed)):
            return True
    return False


def denies(policy: JsonObject | None, service: str) -> bool:
    """Return whether denied values of it name a service, at all times."""
    return any(
        _listed(service, values_of(rule, "deniedValues"))
        for rule in rules_of(policy)
        if not rule.get("condition")
    )


def with_denied(policy: JsonObject | None, name: str, services: Sequence[str]) -> JsonObject:
    """Return the policy to write that denies these as well; where there is none, one that inherits."""
    held = policy or {"name": name, "spec": {"inheritFromParent": True}}
    more: list[Json] = [one for one in services if not denies(held, one)]
    if not more:
        return held
    rules: list[Json] = [*rules_of(held)]
    for n, rule in enumerate(rules_of(held)):
        if values := values_of(rule, "deniedValues"):
            rules[n] = {**rule, "values": {"deniedValues": [*values, *more]}}
            break
    else:
        rules.append({"values": {"deniedValues": more}})
    return {**held, "spec": {**fields(held["spec"]), "rules": rules}}


def without_denied(policy: JsonObject, services: Iterable[str]) -> JsonObject:
    """Return the policy to write whose denied values lack these; a rule of no value is left out."""
    gone = frozenset(services)
    kept: list[Json] = []
    for rule in rules_of(policy):
        before = values_of(rule, "deniedValues")
        left: list[Json] = [one for one in before if one.removeprefix("is:") not in gone]
        if len(left) == len(before):
            kept.append(rule)
        elif left or values_of(rule, "allowedValues"):
            kept.append({**rule, "values": {**fields(rule["values"]), "deniedValues": left}})
    return {**policy, "spec": {**fields(policy.get("spec")), "rules": kept}}


def bare(policy: JsonObject | None) -> JsonObject | None:
    """Return a policy without what is another at each write."""
    if policy is None:
        return None
    held = {key: value for key, value in policy.items() if key not in _NEW}
    for part in _PARTS:
        if part in held:
            held[part] = {key: value for key, value in fields(held[part]).items() if key not in _NEW}
    return held


def as_restored(prior: JsonObject, live: JsonObject) -> JsonObject:
    """Return the prior policy with the etags of the live one: only that one is replaced."""
    made = dict(bare(prior) or {})
    for part in _PARTS:
        if part in made and (etag := text(live, part, "etag")):
            made[part] = {**fields(made[part]), "etag": etag}
    return {**made, **({"etag": text(live, "etag")} if text(live, "etag") else {})}


def etag_of(policy: JsonObject) -> str:
    """Return what says that nobody changed it; empty: it has none."""
    return text(policy, "etag") or text(policy, "spec", "etag")


def rules_of(policy: JsonObject | None) -> list[JsonObject]:
    """Return the rules of a policy."""
    found = field(policy, "spec", "rules")
    return [fields(one) for one in found] if isinstance(found, list) else []


def values_of(rule: JsonObject, name: str) -> list[str]:
    """Return the allowed or denied values of a rule."""
    found = field(rule.get("values"), name)
    return [str(one) for one in found] if isinstance(found, list) else []


def _listed(service: str, values: Iterable[str]) -> bool:
    """Return whether values name a service: ``is:`` before one means nothing (StringValues)."""
    return any(one.removeprefix("is:") == service for one in values)
