"""``gcp.iam.deny_class``: one write denies all of the agent's principals, by a policy made in peacetime.

Its rules list permissions, spare the executor, and deny nobody of the agent's yet; the stop adds all
principals at once. Deny policies win over every role (IAM documentation, "Deny policies"). Never one policy
a principal: five writes a minute are all that a project has.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.class_deny_spec import SPEC
from breakglass_gcp.actions.deny_policy import policies_of
from breakglass_gcp.actions.deny_rules import (
    Rule,
    denied_in,
    edited,
    of_signed,
    rules_of,
    with_principals,
    without_principals,
)
from breakglass_gcp.actions.undo_wait import wait_since_written
from breakglass_gcp.as_agent import judge_as_agent
from breakglass_gcp.google_time import moment_of
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

POLICY = "policy"
MOST_TRIES = 2
"""A conflict costs a read and a write of five a minute; then the engine comes again."""


class DenyClass:
    """The principals that the class deny policy denies."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._policies = policies_of(project)

    def observe(self, resource: Resource) -> State:
        """Read the policy's rules, and which of the agent's principals each signed rule denies."""
        settle_s = self._project.settle_s(SPEC, _settle_s(resource))

        def closed(policy: JsonObject | None) -> bool:
            return self.judge(resource, State(_objects(resource, policy))).verdict is Verdict.CONTAINED

        return State(_objects(resource, self._policies.look(resource.id, settle_s, closed)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Add every principal that is not denied yet, in one write.

        Raises:
            Conflict: somebody else writes the policy all the time.
            ProviderError: the policy is gone: this stop makes none.
        """
        policy: JsonObject | None = _policy(before)
        for tried in range(1, MOST_TRIES + 1):
            if policy is None:
                raise ProviderError("the deny policy is not there any more, and a stop makes none")
            rules = rules_of(policy)
            wanted = with_principals(rules, _rules(resource), _principals(resource))
            if wanted == rules:
                return
            try:
                self._policies.write(resource.id, policy, wanted)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                policy = self._policies.read(resource.id)
            else:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether every signed rule is there as it was signed, and denies every principal."""
        policy = _policy(state)
        if policy is None:
            return Judgement(Verdict.NOT_CONTAINED, "the deny policy is not there any more")
        rules, wanted, own = rules_of(policy), _rules(resource), _principals(resource)
        if not wanted or not own:
            return Judgement(Verdict.UNKNOWN, "the plan names no rule or no principal to be denied")
        if changed := edited(rules, wanted):
            said = f"{len(changed)} of its {len(wanted)} rules were edited and deny less than was signed"
            return Judgement(Verdict.NOT_CONTAINED, said)
        bare = sorted({one for rule in wanted for one in own if one not in denied_in(rules, rule)})
        if bare:
            return Judgement(Verdict.NOT_CONTAINED, f"{len(bare)} are not denied: {', '.join(bare)}"[:500])
        permissions = {one for rule in wanted for one in rule.permissions}
        reason = f"{len(own)} principals are denied {len(permissions)} permissions by one policy"
        if unsure := _texts(resource, "unsure"):
            # Who signs it sees the grade: read back alone this is never proven.
            reason += f"; it spares {', '.join(unsure)}, and nobody here knows whether the agent is in there"
        return Judgement(Verdict.CONTAINED, reason[:500])

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take exactly those principals away again that the stop added."""
        policy: JsonObject | None = _policy(now)
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        for tried in range(1, MOST_TRIES + 1):
            found, gone = _to_remove(resource, before, policy)
            outcomes |= found
            if policy is None or not gone:
                break
            wait_since_written(self._project, resource, moment_of(text(policy, "update_time")))
            try:
                kept = without_principals(rules_of(policy), _rules(resource), gone)
                self._policies.write(resource.id, policy, kept)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                policy = self._policies.read(resource.id)
            else:
                break
        return Reversal(outcomes, "the deny policy denies those again whom it denied before")

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask with the token of each principal of which one is held; where sets are spared, none may lack."""
        works = resource.params.get("works")
        if not _texts(resource, "unsure"):
            return judge_as_agent(self._project, works)
        lasting = frozenset(_texts(resource, "lasting"))
        pairs = [one for one in works if isinstance(one, list) and one] if isinstance(works, list) else []
        said = [judge_as_agent(self._project, [one]) for one in pairs if one[0] in lasting]
        if len(said) < max(1, len(lasting)):
            return Judgement(Verdict.UNKNOWN, "not of everybody is a token held", Grade.NONE)
        worst = next((one for one in said if one.verdict is not Verdict.CONTAINED), None)
        return worst or min(said, key=lambda one: one.grade.strength)


def _objects(resource: Resource, policy: JsonObject | None) -> dict[str, Json]:
    rules = rules_of(policy)
    objects: dict[str, Json] = {POLICY: None if policy is None else dict(policy)}
    for rule in _rules(resource):
        denied = denied_in(rules, rule)
        for one in _principals(resource):
            objects[f"{rule.mark} {one}"] = {"rule": rule.mark, "principal": one, "denied": one in denied}
    return objects


def _to_remove(
    resource: Resource, before: State, policy: JsonObject | None
) -> tuple[dict[str, Outcome], set[tuple[str, str]]]:
    """Return what becomes of each object, and the (mark, principal) pairs that the stop added."""
    rules, wanted = rules_of(policy), {rule.mark: rule for rule in _rules(resource)}
    changed = {rule.mark for rule in edited(rules, tuple(wanted.values()))}
    outcomes: dict[str, Outcome] = {}
    gone: set[tuple[str, str]] = set()
    for key, was in before.objects.items():
        mark, principal = text(was, "rule"), text(was, "principal")
        if key == POLICY or field(was, "denied") is not False or mark not in wanted:
            continue
        if policy is None or mark in changed:
            outcomes[key] = Outcome.DRIFTED
        elif principal in denied_in(rules, wanted[mark]):
            outcomes[key] = Outcome.RESTORED
            gone.add((mark, principal))
    return outcomes, gone


def _policy(state: State) -> JsonObject | None:
    found = state.objects.get(POLICY)
    return found if isinstance(found, dict) else None


def _rules(resource: Resource) -> tuple[Rule, ...]:
    return of_signed(resource.params.get("rules"))


def _principals(resource: Resource) -> Sequence[str]:
    return _texts(resource, "principals")


def _texts(resource: Resource, key: str) -> Sequence[str]:
    found = resource.params.get(key)
    return [str(one) for one in found] if isinstance(found, list) else []


def _settle_s(resource: Resource) -> float | None:
    found = resource.params.get("settle_s")
    return float(found) if isinstance(found, int) else None


ACTION_CLASSES = (DenyClass,)
SPECS = (SPEC,)
