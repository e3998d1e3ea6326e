"""Joins what is proposed for the agent's service accounts: disabled, who may mint as them, their keys.

A class deny (`principals`) comes beside them: deny policies know not every permission, so it makes none of
these steps moot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import Grade
from breakglass.model.plan import NotTouched
from breakglass.provider import Notes, Proposal, Proposed
from breakglass_gcp.actions import (
    account_policies,
    hmac_keys,
    impersonation,
    service_account_keys,
    service_accounts,
)
from breakglass_gcp.actions.account_choice import choose, disable_key, guarded, others_of
from breakglass_gcp.actions.service_account_keys import Judged
from breakglass_gcp.actions.service_accounts import HELD_SETTLE_S, UNHELD_SETTLE_S
from breakglass_gcp.found import Found, Identity
from breakglass_gcp.messages import text
from breakglass_gcp.probe import gives_token, held_key, why_no_proof
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import SERVICE_DISABLED, reason_of
from breakglass_gcp.successor import pinned
from breakglass_gcp.token_life import SEEN_LATE_S, TokenLife, token_lives

_USERS = (
    "run_services",
    "run_jobs",
    "worker_pools",
    "run_instances",
    "functions",
    "workflows",
    "instances",
    "scheduler_jobs",
)
MOST_USERS = 20
_NONE = Judged((), (), {}, ())


def propose(project: Project, found: Found) -> Proposed:
    """Propose the steps of every account of the agent's that may be stopped."""
    choice = choose(project, found)
    lives = token_lives(project, (one.email for one in choice.own))
    proposed = choice.left
    for one in choice.own:
        proposed = proposed.plus(Proposed((_disable(project, found, one, lives[one.email]),)))
    proposed = proposed.plus(impersonation.propose(project, found, choice.own))
    return proposed.plus(_keys(project, found, choice.own)).plus(_hmac(project, found, choice.own))


def _disable(project: Project, found: Found, account: Identity, life: TokenLife) -> Proposal:
    why = why_no_proof(project, account.email, disabled=account.disabled)
    successor = project.settings.mapping("successors").get(account.email, "")
    factor = project.settings.settle_factor
    origin = found.origin("service_accounts", account.email)
    return Proposal(
        key=disable_key(account.email),
        action=service_accounts.SPEC.name,
        target=project.target(
            "gcp-service-account",
            f"account/{account.email}",
            f"service account {account.email} ({origin})",
            email=account.email,
            unique_id=account.unique_id,
            held=not why,
            no_proof=why[:300],
            tokens="wait",
            tokens_choices=["wait", "rotate"] if successor else ["wait"],
            successor=successor,
            token_life_s=life.seconds,
            token_life_why=life.why,
            undo_wait_s=life.seconds + round(SEEN_LATE_S * factor) + 1,
            stopped_at_ms=0,
            used_by=_users(found),
            **pinned(project, account.email, successor),
        ),
        best_grade=Grade.READ_BACK if why else Grade.REFUSED_AS_AGENT,
        settle_s=project.settle_s(service_accounts.SPEC, UNHELD_SETTLE_S if why else HELD_SETTLE_S),
        affects=others_of(found, account.email),
    )


def _users(found: Found) -> list[Json]:
    """Return what of the agent's may run as its accounts: a successor is to be named there."""
    users: list[Json] = [f"{key} {name}" for key in _USERS for name in found.of(key)]
    return users[:MOST_USERS]


def _keys(project: Project, found: Found, own: Sequence[Identity]) -> Proposed:
    some, left = guarded(project, own), []
    if len(some) < len(own):
        # Half of the writes that a minute has would go to them, and each account be disabled the later.
        reason = (
            f"all {len(own)} accounts are disabled, and their keys give no token; a restore makes those of"
            f" {len(own) - len(some)} as good as they were, with new ones: look at them before it"
        )
        left.append(NotTouched("keys of the agent's own accounts", reason))
    notes = Notes()
    steps = []
    for one in some:
        keys = notes.attempt(lambda one=one: _judged(project, found, one), _NONE)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        steps.append(_keys_step(project, one, keys))
        if keys.doubtful:
            reason = f"{'; '.join(found.harm.doubts)}: whether they were enabled since the harm began is not"
            reason += f" known, and a restore enables them: {', '.join(keys.doubtful)}"
            left.append(NotTouched(f"keys of service account {one.email}", reason[:900]))
    return Proposed(tuple(steps), not_touched=tuple(left), incomplete=tuple(notes.incomplete))


def _keys_step(project: Project, account: Identity, keys: Judged) -> Proposal:
    key = held_key(project, account.email)
    held = key if key in keys.all and gives_token(project, account.email) else ""
    return Proposal(
        key=f"keys:{account.email}",
        action=service_account_keys.SPEC.name,
        target=project.target(
            "gcp-service-account-keys",
            f"keys/{account.email}",
            f"keys of service account {account.email}{_stay(keys.away)}",
            email=account.email,
            unique_id=account.unique_id,
            keys=[*keys.back],
            held_key=held,
        ),
        best_grade=Grade.REFUSED_AS_AGENT if held else Grade.READ_BACK,
        settle_s=project.settle_s(service_account_keys.SPEC, HELD_SETTLE_S if held else UNHELD_SETTLE_S),
        moot_by=(disable_key(account.email),),
        affects=_why(keys.away),
    )


def _judged(project: Project, found: Found, account: Identity) -> Judged:
    """Return each key, and whether it was let in since the harm began: such a one is not put back."""
    try:
        return service_account_keys.judged(project, account.unique_id, found.harm)
    except Gone:
        return _NONE


def _stay(away: Mapping[str, str]) -> str:
    return f"; {len(away)} since the harm began: off for good" if away else ""


def _why(away: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"key {key}, {why}: a restore leaves it off" for key, why in away.items())


def _hmac(project: Project, found: Found, own: Sequence[Identity]) -> Proposed:
    if not own:
        return Proposed()
    try:
        keys = hmac_keys.hmac_keys(project)
    except ProviderError as error:
        if reason_of(error) == SERVICE_DISABLED:
            return Proposed(not_touched=(NotTouched("HMAC keys", "Cloud Storage is not enabled here"),))
        return Proposed(incomplete=(f"HMAC keys: {error}"[:500],))
    by_owner: dict[str, dict[str, str]] = {}
    since = project.connection.since
    for key, one in sorted(keys.items()):
        known = by_owner.setdefault(text(one, "serviceAccountEmail"), {})
        if text(one, "state") == hmac_keys.ACTIVE:
            known[key] = hmac_keys.late(key, one, since, found.harm) if since else ""
    some = guarded(project, own)
    wanted = [one for one in own if one in some or one.email in by_owner]
    return Proposed(tuple(_hmac_step(project, one, by_owner.get(one.email, {})) for one in wanted))


def _hmac_step(project: Project, account: Identity, keys: Mapping[str, str]) -> Proposal:
    """Propose it for the active keys of an account: each with why it stays off, if it does."""
    away = {key: why for key, why in keys.items() if why}
    return Proposal(
        key=f"hmac:{account.email}",
        action=hmac_keys.SPEC.name,
        target=project.target(
            "gcp-hmac-keys",
            f"hmac/{account.email}",
            f"HMAC keys of service account {account.email}{_stay(away)}",
            email=account.email,
            unique_id=account.unique_id,
            keys=[key for key in keys if key not in away],
        ),
        settle_s=project.settle_s(hmac_keys.SPEC),
        affects=_why(away),
    )


ACTION_CLASSES = (
    *service_accounts.ACTION_CLASSES,
    *account_policies.ACTION_CLASSES,
    *service_account_keys.ACTION_CLASSES,
    *hmac_keys.ACTION_CLASSES,
)
SPECS = (*service_accounts.SPECS, *account_policies.SPECS, *service_account_keys.SPECS, *hmac_keys.SPECS)
