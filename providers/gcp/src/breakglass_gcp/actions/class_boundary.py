"""``gcp.iam.class_boundary``: one write binds all of the agent's principals to an armed boundary.

It was made in peacetime, allows nothing of the agent's, and unlike a deny policy it goes with the principal:
it blocks also what other projects and other organisations grant. But it blocks only the permissions of its
enforcement version (IAM documentation, "Principal access boundary policies"): a layer more, proof of nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import ProviderError
from breakglass.model.action import Grade, Judgement, Verdict
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions.boundary_binding import (
    bindings_of,
    expression_of,
    named_in,
    naming,
    principal_set_of,
)
from breakglass_gcp.actions.class_boundary_spec import SPEC
from breakglass_gcp.actions.undo_wait import wait_since_written
from breakglass_gcp.google_time import moment_of
from breakglass_gcp.messages import field, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

BINDING = "binding"
MOST_TRIES = 2
"""A conflict costs a read and a write of five a minute; then the engine comes again."""


class ClassBoundary:
    """The principals that the armed policy binding names."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project
        self._bindings = bindings_of(project)

    def observe(self, resource: Resource) -> State:
        """Read the binding, and which of the agent's principals its condition names."""
        settle_s = self._project.settle_s(SPEC)

        def closed(binding: JsonObject | None) -> bool:
            return self.judge(resource, State(_objects(resource, binding))).verdict is Verdict.CONTAINED

        return State(_objects(resource, self._bindings.look(resource.id, settle_s, closed)))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Name every principal that is not named yet, in one write.

        Raises:
            Conflict: somebody else writes the binding all the time.
            ProviderError: the binding is gone or is another than was signed, or has no room.
        """
        binding = _binding(before)
        for tried in range(1, MOST_TRIES + 1):
            if why := _unusable(resource, binding):
                raise ProviderError(f"nobody was added: {why}")
            named = _named(binding)
            wanted = tuple(dict.fromkeys((*named, *_subjects(resource))))
            if binding is None or wanted == named:
                return
            try:
                self._bindings.write(resource.id, binding, wanted)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                binding = self._bindings.read(resource.id)
            else:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the binding is the signed one and names every principal; that proves nothing."""
        binding, own = _binding(state), _subjects(resource)
        if why := _unusable(resource, binding):
            return Judgement(Verdict.NOT_CONTAINED, why[:500], Grade.NONE)
        if not own:
            return Judgement(Verdict.UNKNOWN, "the plan names no principal to be bound", Grade.NONE)
        if bare := sorted(set(own) - set(_named(binding))):
            said = f"{len(bare)} are not bound: {', '.join(bare)}"
            return Judgement(Verdict.NOT_CONTAINED, said[:500], Grade.NONE)
        reason = (
            f"{len(own)} principals are bound to a boundary that allows nothing of the agent's; it blocks the"
            " permissions of its enforcement version alone, which proves nothing of the others"
        )
        return Judgement(Verdict.CONTAINED, reason, Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Take exactly those principals out again that the stop added."""
        was, binding = _binding(before), _binding(now)
        outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
        kept: tuple[str, ...] | None = None
        for tried in range(1, MOST_TRIES + 1):
            found, gone = _to_remove(resource, before, binding)
            outcomes |= found
            if binding is None or not gone:
                break
            wait_since_written(self._project, resource, moment_of(text(binding, "update_time")))
            kept = tuple(one for one in _named(binding) if one not in gone)
            try:
                self._bindings.write(resource.id, binding, kept)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                binding, kept = self._bindings.read(resource.id), None
            else:
                break
        return Reversal(outcomes, _said(was, kept, outcomes))

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: what is refused now says nothing of the permissions that no boundary blocks."""
        return None


def _objects(resource: Resource, binding: JsonObject | None) -> dict[str, Json]:
    named = _named(binding)
    objects: dict[str, Json] = {BINDING: None if binding is None else dict(binding)}
    for one in _subjects(resource):
        objects[f"subject {one}"] = {"subject": one, "named": one in named}
    return objects


def _unusable(resource: Resource, binding: JsonObject | None) -> str:
    """Return why a binding is not the one that was signed, or cannot be extended; empty: it can."""
    if binding is None:
        return "the policy binding is not there any more"
    live = (text(binding, "policy"), text(binding, "policy_uid"), principal_set_of(binding))
    if live != tuple(resource.params.get(key) for key in ("policy", "policy_uid", "principal_set")):
        return "the policy binding was made anew, for another policy or principal set than was signed"
    if named_in(expression_of(binding)) is None:
        return "somebody changed the condition of the policy binding to one that a stop may not extend"
    return ""


def _to_remove(
    resource: Resource, before: State, binding: JsonObject | None
) -> tuple[dict[str, Outcome], set[str]]:
    """Return what becomes of each object, and the subjects that the stop added."""
    unusable, named = _unusable(resource, binding), _named(binding)
    outcomes: dict[str, Outcome] = {}
    gone: set[str] = set()
    for key, was in before.objects.items():
        subject = text(was, "subject")
        if not subject or field(was, "named") is not False:
            continue
        if unusable and before.objects.get(BINDING) is not None:
            outcomes[key] = Outcome.DRIFTED
        elif subject in named:
            outcomes[key] = Outcome.RESTORED
            gone.add(subject)
    return outcomes, gone


def _said(was: JsonObject | None, kept: tuple[str, ...] | None, outcomes: dict[str, Outcome]) -> str:
    if Outcome.DRIFTED in outcomes.values():
        return "the policy binding is not as the stop left it: nobody was taken out"
    if kept is not None and naming(kept) != expression_of(was):
        return "those that the stop added are out; what somebody else changed in the condition stays"
    return "the condition names those again whom it named before"


def _binding(state: State) -> JsonObject | None:
    found = state.objects.get(BINDING)
    return found if isinstance(found, dict) else None


def _named(binding: JsonObject | None) -> tuple[str, ...]:
    return named_in(expression_of(binding)) or ()


def _subjects(resource: Resource) -> Sequence[str]:
    found = resource.params.get("subjects")
    return [str(one) for one in found] if isinstance(found, list) else []


ACTION_CLASSES = (ClassBoundary,)
SPECS = (SPEC,)
