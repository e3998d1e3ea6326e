"""``gcp.run.outlast_requests``: a request in flight ends by itself, and not before.

No method ends one: an instance that is to be shut down may finish what it serves (Cloud Run documentation,
"Container runtime contract"), up to the timeout of its revision, 3600 s at the most ("Set request timeout").
A disabled account does not make it moot: the code may hold keys of third parties and use the network.

It is waited for where the last one is over soon and nobody can have hidden a longer one. A request that runs
came in by a revision that took traffic then. All that exist are read, with their timeouts, which nobody can
change. One that took traffic and was deleted before the plan: to take its traffic away was an update of the
service, and 3600 s after the last update its requests are over. One that came after the plan: then the
service's latest revision is another, which cannot be deleted ("Managing revisions"). And each change of the
service while this step looks on begins the wait anew, since what it observes is named by the generation.
"""

from __future__ import annotations

import math

from breakglass.canon import Json, JsonObject
from breakglass.errors import Gone
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
from breakglass.model.resource import Resource, State
from breakglass.provider import Outcome, Reversal
from breakglass_gcp.actions import run_reading as reading
from breakglass_gcp.actions.run_reading import SERVICE, STATUS, name_of
from breakglass_gcp.actions.run_scaling import stopped
from breakglass_gcp.google_time import moment_of
from breakglass_gcp.messages import as_json, fields, text
from breakglass_gcp.project import Project

LONGEST_S = 3600
MARGIN_S = 60
"""A moment of Google's is told to the second, and its servers' clocks differ a little."""
PATIENCE_S = 60
SPEC = ActionSpec(
    name="gcp.run.outlast_requests",
    capability=Capability.STOP_WORKLOADS,
    summary="waits until requests in flight have ended by themselves: nothing can end them",
    permissions=("run.revisions.list", "run.services.get"),
    blast_radius="none: it changes nothing",
    reversibility=Reversibility.FULL,
    undo="nothing was changed",
    settle_s=30,
    best_grade=Grade.READ_BACK,
    example="gcp.run.outlast_requests requests/europe-west1/support-bot",
    sources=(
        Source("window", Authority.VENDOR_TEXT, "Cloud Run documentation, Set request timeout: 3600 s"),
        Source(
            "effect", Authority.VENDOR_TEXT, "Container runtime contract: requests may end before shutdown"
        ),
        Source("effect", Authority.UNVERIFIED, "that manual scaling to 0 lets them end, too, and no longer"),
        Source("effect", Authority.OWN_SANDBOX, "providers/gcp/tests/test_gcp_run_requests.py"),
        Source("settle", Authority.UNVERIFIED, "instances are told to end within 30 s: our margin"),
    ),
    service="run",
)


class OutlastRequests:
    """The requests of one service that run already."""

    spec = SPEC

    def __init__(self, project: Project) -> None:
        """Call as the executor of this project."""
        self._project = project

    def observe(self, resource: Resource) -> State:
        """Read whether one can start, and how long one may run; those that run no method shows."""
        try:
            live = reading.read(self._project, SERVICE, name_of(resource))
            facts = facts_of(self._project, live)
        except Gone:
            return State({})
        seen: dict[str, Json] = {**facts, "starts": bool(stopped(live))}
        return State({f"requests at generation {live.get('generation')}": seen, STATUS: reading.status(live)})

    def apply(self, resource: Resource, before: State, token: str) -> None:
        """Change nothing: what lets none start is a step of its own."""

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Decide whether the last request has started; when it ends is a matter of time."""
        waits_s = resource.params.get("wait_s")
        window = f"one that runs already may live {LONGEST_S} s"
        if not state.objects:
            grade = Verdict.UNKNOWN if waits_s else Verdict.CONTAINED
            return Judgement(
                grade, f"the service is gone; a request need not end with it: {window}", Grade.NONE
            )
        seen = next((fields(one) for key, one in state.objects.items() if key != STATUS), {})
        if seen.get("starts"):
            return Judgement(Verdict.NOT_CONTAINED, "new requests can be served")
        if waiting := reading.not_in_force(state.objects):
            return waiting
        if not waits_s:
            return Judgement(Verdict.CONTAINED, f"no request is served any more; {window}", Grade.NONE)
        if any(seen.get(key) != resource.params.get(key) for key in ("uid", "latest")):
            said = f"it was deployed again since planning: {window}"
            return Judgement(Verdict.UNKNOWN, said, Grade.NONE)
        return Judgement(Verdict.CONTAINED, f"no request is served, and none runs longer than {waits_s} s")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - nothing to do
        """Return that nothing was changed."""
        return Reversal(dict.fromkeys(before.objects, Outcome.ALREADY), "nothing was changed")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - nothing to try
        """Return None: nothing shows a request in flight."""
        return None


def facts_of(project: Project, live: JsonObject) -> dict[str, Json]:
    """Return what says how long a request may run: the longest timeout, and which revision is the latest.

    Raises:
        ProviderError: the revisions cannot be listed.
    """
    listed = project.every("run_revisions", "list_revisions", {"parent": text(live, "name")})
    revisions = [as_json(one) for one in listed.items]
    latest = text(live, "latest_created_revision")
    uids = {text(one, "name"): text(one, "uid") for one in revisions}
    limits = [reading.seconds(fields(live.get("template")).get("timeout"))]
    limits += [reading.seconds(one.get("timeout")) for one in revisions]
    known = bool(revisions) and not listed.unreachable and all(limits)
    return {
        "uid": text(live, "uid"),
        "latest": f"{latest} {uids.get(latest, '')}",
        "longest_s": math.ceil(max(limits)) if known else LONGEST_S,
    }


def wait_s(project: Project, live: JsonObject, facts: JsonObject) -> int:
    """Return the seconds after which the last request that runs has ended, hidden ones too.

    How long ago the last update was is told by Google's time alone; where it is not, it was just now.
    """
    factor = project.settings.settle_factor
    updated, now = moment_of(text(live, "update_time")), project.google_time.now()
    since_s = 0.0 if updated is None or now is None else now.seconds_since(updated)
    hidden_s = (LONGEST_S + MARGIN_S) * factor - since_s
    longest = facts.get("longest_s")
    return max(longest if isinstance(longest, int) else LONGEST_S, math.ceil(hidden_s))
