"""``gcp.orgpolicy.restrict_services``: a class kill: nobody in the project uses these services any more.

It adds denied values to the project's own policy of gcp.restrictServiceUsage, in one write, and keeps all
else of it. It is of use where the agent thinks by a service (aiplatform.googleapis.com), whoever it acts as
by then. It contains nobody by itself: some services and calls are not covered, and what runs goes on. So no
proof is claimed, and its step matters only until what stops the agent is proven.
``services.disable`` is not called: it may delete what a service has, and can take dependent services along.
"""

from __future__ import annotations

from collections.abc import Sequence

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone, ProviderError
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
from breakglass_gcp.actions import service_rules
from breakglass_gcp.found import Found
from breakglass_gcp.messages import field, fields, text
from breakglass_gcp.project import Project
from breakglass_gcp.refusals import Conflict

SPEC = ActionSpec(
    name="gcp.orgpolicy.restrict_services",
    capability=Capability.CUT_EGRESS,
    summary="denies services to the whole project by the organisation policy gcp.restrictServiceUsage",
    permissions=("orgpolicy.policy.get", "orgpolicy.policy.set"),
    blast_radius="whoever and whatever uses these services in the project, people and the executor included",
    reversibility=Reversibility.FULL,
    undo=(
        "sets the policy as it was, or deletes it where there was none; if others changed it since, only the "
        "values that the stop added are taken out"
    ),
    settle_s=60,
    best_grade=Grade.NONE,
    example="gcp.orgpolicy.restrict_services services/support-prod",
    sources=(
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Resource Manager documentation, Restricting resource usage: it controls the runtime access to "
            "all resources in scope, and applies immediately, with eventual consistency; of listed services",
        ),
        Source(
            "effect",
            Authority.VENDOR_TEXT,
            "Organization Policy documentation, Hierarchy evaluation: denied values win where policies merge",
        ),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_restrict_services.py"),
        Source("settle", Authority.UNVERIFIED, "how long eventual consistency takes is nowhere said"),
        Source("undo", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_restrict_services.py"),
    ),
)
KEY = "restrict_services"
POLICY = "policy"
SERVICE = "orgpolicy"
MOST_TRIES = 5
ACCEPTS = "service:"
"""Before a service among `accept_blast_radius`."""


class RestrictServices:
    """The services that the plan denies in the project."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read the project's own policy, and which of the services it denies."""
        return State(_objects(resource, read(self._project, _name(resource))))

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - the API takes no token
        """Deny what is not denied yet, in one write.

        Raises:
            Conflict: somebody else writes the policy all the time.
            ProviderError: it is of a form now that cannot be added to, or may not be written.
        """
        policy = _policy(before)
        services = services_of(resource)
        for tried in range(1, MOST_TRIES + 1):
            if why := service_rules.why_not(policy, services):
                raise ProviderError(f"the policy was changed since the plan was made: {why}")
            wanted = service_rules.with_denied(policy, _name(resource), services)
            if wanted == policy:
                return
            try:
                self._write(policy, wanted)
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                policy = read(self._project, _name(resource))
            else:
                return

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether each is denied; that proves nothing of what the constraint does not cover."""
        policy, services = _policy(state), services_of(resource)
        left = [
            one
            for one in services
            if not (service_rules.denies(policy, one) or service_rules.shut_out(policy, one))
        ]
        if left or not services:
            return Judgement(Verdict.NOT_CONTAINED, f"not denied in the project: {', '.join(left)}"[:500])
        said = f"denied in the project: {', '.join(services)}; what the constraint does not cover goes on"
        return Judgement(Verdict.CONTAINED, said[:500], Grade.NONE)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Set the policy as it was; where others changed it, take out what the stop added and no more.

        Raises:
            Conflict: somebody else writes the policy all the time.
            ProviderError: it may not be written.
        """
        was, live = _policy(before), _policy(now)
        own = [one for one in services_of(resource) if field(before.objects.get(one), "denied") is False]
        for tried in range(1, MOST_TRIES + 1):
            outcomes = dict.fromkeys(before.objects, Outcome.ALREADY)
            as_left = service_rules.with_denied(was, _name(resource), own)
            alike = not own or _same(live, was)
            mine = not alike and _same(live, as_left)
            held = [one for one in own if service_rules.denies(live, one)]
            if not alike:
                outcomes[POLICY] = Outcome.RESTORED if mine else Outcome.DRIFTED
                outcomes |= dict.fromkeys(held, Outcome.RESTORED)
            try:
                if mine:
                    self._back(was, live)
                elif held and live is not None and not alike:
                    self._write(live, service_rules.without_denied(live, held))
            except Conflict:
                if tried == MOST_TRIES:
                    raise
                live = read(self._project, _name(resource))
            else:
                return Reversal(
                    outcomes, "of a policy that others changed only the stop's values are taken out"
                )
        raise AssertionError("unreachable: the last try returns or raises")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - see below
        """Return None: that one call is refused would say nothing of what the constraint does not cover."""
        return None

    def _back(self, was: JsonObject | None, live: JsonObject | None) -> None:
        if live is None:
            return
        if was is not None:
            self._write(live, service_rules.as_restored(was, live))
            return
        name, etag = text(live, "name"), _etag(live)
        self._project.rest(SERVICE, "DELETE", f"v2/{name}", query={"etag": etag})

    def _write(self, live: JsonObject | None, wanted: JsonObject) -> None:
        """Write a policy in place of the one that was read, or make it where there is none.

        Raises:
            Conflict: it is another one by now, or there is one.
            ProviderError: it is refused.
        """
        if live is not None:
            _etag(live)
            self._project.rest(SERVICE, "PATCH", f"v2/{text(live, 'name')}", body=wanted)
            return
        self._project.rest(SERVICE, "POST", f"v2/{self._project.name}/policies", body=wanted)


def read(project: Project, name: str) -> JsonObject | None:
    """Return the project's own policy as it is; None: it has none.

    Raises:
        ProviderError: it cannot be read.
    """
    try:
        found: JsonObject = project.rest(SERVICE, "GET", f"v2/{name}")
    except Gone:
        return None
    return found


def _etag(live: JsonObject) -> str:
    """Return the etag of a policy. Raises ProviderError: it has none, and is not written blindly."""
    if etag := service_rules.etag_of(live):
        return etag
    raise ProviderError("the policy has no etag: written blindly, it could undo what somebody else changed")


def _same(live: JsonObject | None, other: JsonObject | None) -> bool:
    """Return whether two are equal but for what is new at each write and how their project is named."""
    one, two = service_rules.bare(live), service_rules.bare(other)
    if one is None or two is None:
        return one is two
    return {**one, "name": ""} == {**two, "name": ""}


def _objects(resource: Resource, policy: JsonObject | None) -> dict[str, Json]:
    told: dict[str, Json] = {POLICY: policy}
    for one in services_of(resource):
        told[one] = {"service": one, "denied": service_rules.denies(policy, one)}
    return told


def _policy(state: State) -> JsonObject | None:
    found = state.objects.get(POLICY)
    return fields(found) if isinstance(found, dict) else None


def _name(resource: Resource) -> str:
    return str(resource.params["name"])


def services_of(resource: Resource) -> list[str]:
    """Return the services that a target denies."""
    found = resource.params.get("services")
    return [str(one) for one in found] if isinstance(found, list) else []


def propose(project: Project, found: Found) -> Proposed:  # noqa: ARG001 - it is about the project, not its things
    """Propose to deny the services that the inventory names, where the project's policy can carry it."""
    named = project.settings.texts("class_services")
    accepted = project.settings.texts("accept_blast_radius")
    proposed = Proposed()
    for one in named:
        if f"{ACCEPTS}{one}" not in accepted:
            why = f"accept_blast_radius lacks {ACCEPTS}{one}: the whole project would be cut off from it"
            proposed = proposed.plus(_left(one, why))
    wanted = [one for one in named if f"{ACCEPTS}{one}" in accepted]
    if not wanted:
        return proposed
    try:
        policy = read(project, policy_name(project))
    except ProviderError as error:
        why = f"the policy {service_rules.CONSTRAINT} cannot be read, and is not changed unseen: {error.what}"
        return _all(proposed, wanted, why)
    done = [one for one in wanted if service_rules.shut_out(policy, one)]
    proposed = _all(proposed, done, "the project's policy denies it already, to everybody: nothing to do")
    wanted = [one for one in wanted if one not in done]
    if not wanted:
        return proposed
    if why := service_rules.why_not(policy, wanted):
        return _all(proposed, wanted, f"the project's policy of {service_rules.CONSTRAINT}: {why}")
    return proposed.plus(Proposed((step(project, wanted),)))


def step(project: Project, services: Sequence[str], moot_by: tuple[str, ...] = ()) -> Proposal:
    """Return the step that denies these services; `moot_by`: keys of what contains the agent."""
    return Proposal(
        key=KEY,
        action=SPEC.name,
        target=project.target(
            "gcp-class-services",
            f"services/{project.id}",
            f"{', '.join(services)} in {project.id}"[:300],
            name=policy_name(project),
            services=[*services],
        ),
        settle_s=project.settle_s(SPEC),
        moot_by=moot_by,
        affects=tuple(f"whoever and whatever uses {one} in {project.id}" for one in services),
    )


def policy_name(project: Project) -> str:
    """Return the name of the project's own policy of the constraint."""
    return f"{project.name}/policies/{service_rules.CONSTRAINT}"


def _all(proposed: Proposed, services: list[str], why: str) -> Proposed:
    for one in services:
        proposed = proposed.plus(_left(one, why))
    return proposed


def _left(service: str, why: str) -> Proposed:
    return Proposed(not_touched=(NotTouched(f"service {service}", why[:500]),))


ACTION_CLASSES = (RestrictServices,)
SPECS = (SPEC,)
