"""Names the agent's principals in a Deny that leaves everybody else alone, and tries a call as them.

The Deny names them in a condition on ``aws:PrincipalArn``: for a session that is its role (IAM User Guide,
"AWS global condition context keys"). A role named as Principal would turn into its unique id, and a role
that is deleted and made again under the same name would slip through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import Denied, Gone, ProviderError, Throttled, Transient
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass_aws.account import Account
from breakglass_aws.executor import Keys
from breakglass_aws.found import Found
from breakglass_aws.policy_deny import denial


def principal_params(found: Found) -> dict[str, Json]:
    """Return the agent's principals as a plan carries them; a session only of a role that is not its own."""
    names: list[Json] = [f"role/{one}" for one in found.of("roles")]
    names += [f"user/{one}" for one in found.of("users")]
    sessions: list[Json] = [
        {"role": role, "session": session}
        for role, _, session in (one.rpartition("/") for one in found.of("role_sessions"))
        if f"role/{role}" not in names
    ]
    return {"principals": names, "sessions": sessions}


def principals_shared(found: Found) -> tuple[str, ...]:
    """Return who else uses the agent's roles: a Deny for the role hits them too."""
    return tuple(
        f"{user} (uses role {role})" for role in found.of("roles") for user in found.shared.get(role, ())
    )


def deny_statements(
    account: Account, params: Mapping[str, Json], actions: Sequence[str], resource: str
) -> tuple[JsonObject, ...]:
    """Return the Deny statements for these principals, on this resource."""
    named = [pattern for one in _items(params, "principals") for pattern in patterns(account, str(one))]
    conditions: list[JsonObject] = [{"ArnLike": {"aws:PrincipalArn": named}}] if named else []
    conditions += [
        {
            "ArnLike": {"aws:PrincipalArn": patterns(account, f"role/{one['role']}")},
            "StringLike": {"aws:userid": [f"*:{one['session']}"]},
        }
        for one in _items(params, "sessions")
        if isinstance(one, dict)
    ]
    return tuple(
        denial({"Principal": "*", "Action": [*actions], "Resource": resource, "Condition": one})
        for one in conditions
    )


def best_grade(account: Account, params: Mapping[str, Json]) -> Grade:
    """Return refused as the agent where a credential of each principal is held, else read back."""
    names = [str(one) for one in _items(params, "principals")]
    held = set(account.settings.mapping("agent_credentials"))
    proven = bool(names) and not _items(params, "sessions") and held.issuperset(names)
    return Grade.REFUSED_AS_AGENT if proven else Grade.READ_BACK


def try_as_each(
    account: Account, params: Mapping[str, Json], attempt: Callable[[Keys], object]
) -> Judgement | None:
    """Make a call as each principal: contained once all are refused; None where a credential is not held."""
    refused: list[str] = []
    if best_grade(account, params) is not Grade.REFUSED_AS_AGENT:
        return None
    for name in (str(one) for one in _items(params, "principals")):
        keys = account.agent_keys(name)
        if keys is None:
            return None
        try:
            attempt(keys)
        except Denied:
            refused.append(name)
            continue
        except (Throttled, Transient) as error:
            return Judgement(Verdict.UNKNOWN, f"as {name}: {error.what}", Grade.NONE)
        except (Gone, ProviderError) as error:
            # Whoever gets past the decision to another answer was let in.
            return Judgement(Verdict.NOT_CONTAINED, f"{name} was not refused: {error.what}")
        return Judgement(Verdict.NOT_CONTAINED, f"{name} was not refused")
    return Judgement(Verdict.CONTAINED, f"refused as {', '.join(refused)}", Grade.REFUSED_AS_AGENT)


def patterns(account: Account, short: str) -> list[Json]:
    """Return the ARN without and with any path: a name is one principal's alone, whatever its path is.

    IAM User Guide, "IAM identifiers": names are unique within an account; the inventory may lack the path.
    """
    kind, _, name = short.partition("/")
    own = name.rpartition("/")[2]
    return [account.arn("iam", f"{kind}/{one}", region="") for one in (own, f"*/{own}")]


def _items(params: Mapping[str, Json], key: str) -> list[Json]:
    found = params.get(key)
    return found if isinstance(found, list) else []
