"""Tells how long access tokens of a service account may live, so that a restore does not revive one.

Google rejects the tokens of a disabled account and accepts the same ones once it is enabled again (IAM REST
reference, serviceAccounts.disable). IAM documentation, "Create short-lived credentials": they live an hour,
and up to 12 where the organisation policy of this constraint lists the account. What is read holds for tokens
given now; a policy that was narrowed since the harm began would have let longer ones be given before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from breakglass.canon import Json
from breakglass.errors import ProviderError
from breakglass_gcp.messages import field, fields
from breakglass_gcp.project import Project

HOUR_S = 3600
LONGEST_S = 12 * HOUR_S
CONSTRAINT = "iam.allowServiceAccountCredentialLifetimeExtension"
SEEN_LATE_S = 420
"""Until a disable is seen everywhere a new token may still be given: IAM documentation, "Access change
propagation", "could potentially take 7 minutes or longer"."""


@dataclass(frozen=True, slots=True)
class TokenLife:
    """How long tokens of an account may live, and how that is known."""

    seconds: int
    why: str


def token_lives(project: Project, emails: Iterable[str]) -> Mapping[str, TokenLife]:
    """Return the life of the tokens of each account; the policy is read once. Unreadable: the longest."""
    wanted = tuple(emails)
    if own := project.settings.text("token_life_s"):
        return dict.fromkeys(wanted, TokenLife(int(own), f"the sandbox's tokens live {own} s"))
    if not wanted:
        return {}
    path = f"v2/{project.name}/policies/{CONSTRAINT}:getEffectivePolicy"
    try:
        policy: Json = project.rest("orgpolicy", "GET", path)
    except ProviderError as error:
        why = f"12 h are assumed: the organisation policy {CONSTRAINT} cannot be read ({error.what})"
        return dict.fromkeys(wanted, TokenLife(LONGEST_S, why[:300]))
    return {email: life_of(policy, email) for email in wanted}


def life_of(policy: Json, email: str) -> TokenLife:
    """Decide from an effective policy; a rule that is not understood counts as one that allows it."""
    rules = field(policy, "spec", "rules")
    listed = [fields(rule) for rule in rules] if isinstance(rules, list) else []
    if any(_allows(rule, email) for rule in listed):
        return TokenLife(LONGEST_S, f"12 h: {CONSTRAINT} lets its tokens live that long")
    return TokenLife(HOUR_S, f"1 h: {CONSTRAINT} does not list it")


def _allows(rule: Mapping[str, Json], email: str) -> bool:
    """Return whether a rule may allow long tokens of this account."""
    if rule.get("denyAll") is True:
        return False
    if rule.get("allowAll") is True:
        return True
    values = field(rule.get("values"), "allowedValues")
    names = [str(one) for one in values] if isinstance(values, list) else []
    return any(one.removeprefix("is:") == email or one.startswith(("under:", "in:")) for one in names)
