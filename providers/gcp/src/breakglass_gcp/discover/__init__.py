"""Finds what the agent is, uses and is driven by in one project; each part proposes its own.

What is the agent's: what the inventory names, what carries its label, what its identities made. A listing
that fails makes the plan say that it is incomplete.
"""

from __future__ import annotations

from breakglass.model.plan import DoorKind
from breakglass.model.resource import Resource
from breakglass.provider import Discovery, Notes, Proposed
from breakglass_gcp import parts
from breakglass_gcp.discover.compose import in_order
from breakglass_gcp.discover.gather import gather
from breakglass_gcp.discover.origins import with_origins
from breakglass_gcp.discover.stays_away import with_harm
from breakglass_gcp.discover.switches import beside
from breakglass_gcp.found import Found
from breakglass_gcp.project import Project

_AGENTS = (
    "principals",
    "workload_pools",
    "api_keys",
    "scheduler_jobs",
    "task_queues",
    "subscriptions",
    "eventarc_triggers",
    "run_services",
    "run_jobs",
    "worker_pools",
    "run_instances",
    "functions",
    "workflows",
    "instances",
    "instance_groups",
    "agent_engines",
    "deployers",
)
"""Keys whose names are the agent's: one that appears after the signatures is found, not signed."""


def discover(project: Project) -> Discovery:
    """Join what the parts propose for all that is the agent's here."""
    gathered = gather(project)
    notes = Notes()
    proposed = gathered.proposed
    for propose in parts.PROPOSE:
        proposed = proposed.plus(
            notes.attempt(lambda propose=propose: propose(project, gathered.found), Proposed())  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        )
    fitted, switched = beside(project, proposed.proposals)
    proposals, unsure = with_harm(project, gathered.found, fitted)
    return Discovery(
        scope=f"gcp project {project.id}",
        principals=_principals(gathered.found, proposed),
        proposals=in_order(with_origins(gathered.found, proposals)),
        doors=proposed.doors,
        not_touched=(*proposed.not_touched, *switched, *unsure),
        endpoints=endpoints(project),
        incomplete=tuple(dict.fromkeys((*proposed.incomplete, *notes.incomplete))),
    )


def _principals(found: Found, proposed: Proposed) -> tuple[Resource, ...]:
    """Return what is the agent's, each once, so that what appears later is found, not signed.

    Whom it let in is among them. An account that is made anew under the same address is another one.
    """
    accounts = {("gcp-service-account", f"{one.email} {one.unique_id}") for one in found.identities.values()}
    named = {(f"gcp-{key.replace('_', '-')}", name) for key in _AGENTS for name in found.of(key)}
    strangers = {
        ("gcp-stranger", one.door.name) for one in proposed.doors if one.door.kind is DoorKind.CAN_MINT
    }
    return tuple(Resource(kind, name, name, {}) for kind, name in sorted(accounts | named | strangers))


def endpoints(project: Project) -> tuple[str, ...]:
    """Return the sandbox's endpoints, with the factor of its settle times and its tokens' life."""
    urls = sorted(set(project.settings.mapping("endpoints").values()))
    if not urls:
        return ()
    said = []
    if (factor := project.settings.settle_factor) != 1:
        said.append(f"settle times x {factor:g}")
    if life := project.settings.text("token_life_s"):
        said.append(f"tokens live {life} s")
    return (*urls[:-1], f"{urls[-1]} ({', '.join(said)})" if said else urls[-1])
