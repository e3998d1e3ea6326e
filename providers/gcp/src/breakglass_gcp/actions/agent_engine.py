"""Agent Engine: what is proposed for each engine, and what stays open: no method stops one.

An engine is never deleted: its sessions and memories go with it, and are evidence (Vertex AI v1 reference,
reasoningEngines.delete, force).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from breakglass.canon import Json
from breakglass.errors import Gone, ProviderError
from breakglass.model.action import ActionSpec, Grade, Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposal, Proposed, ProposedDoor, WaitFor
from breakglass_gcp.actions import (
    agent_engine_boxes,
    agent_engine_callers,
    agent_engine_idle,
    agent_engine_queries,
)
from breakglass_gcp.actions.agent_engine_reading import path_of, read_engine
from breakglass_gcp.found import Found
from breakglass_gcp.messages import text
from breakglass_gcp.project import Project

_SHOWN = 8
BLOCK_S = 20.0
"""Then it is waited for what runs all the same: whoever still asks keeps another step open."""
_SERVICE_AGENT = "@gcp-sa-aiplatform-re."
_PROVEN: tuple[tuple[str, ActionSpec], ...] = (
    ("block_callers", agent_engine_callers.SPEC),
    ("cancel_queries", agent_engine_queries.CANCEL),
    ("idle_engine", agent_engine_idle.SPEC),
    ("pause_sandboxes", agent_engine_boxes.SPEC),
)


def propose(project: Project, found: Found) -> Proposed:
    """Propose for each engine to close what can be closed, and name what cannot."""
    proposed = Proposed()
    engines = found.of("agent_engines")
    for entry in engines:
        location = entry.partition("/")[0]
        try:
            engine = read_engine(project, path_of(project, entry), location)
        except Gone:
            gone = NotTouched(f"Agent Engine {entry}", f"there is none in {location}")
            proposed = proposed.plus(Proposed(not_touched=(gone,)))
        except ProviderError as error:
            proposed = proposed.plus(Proposed(incomplete=(f"Agent Engine {entry}: {error}"[:500],)))
        else:
            proposed = proposed.plus(_of_engine(project, found, entry, engine))
    return proposed.plus(_callers(project, found)) if proposed.proposals else proposed


def _of_engine(project: Project, found: Found, entry: str, engine: Mapping[str, Any]) -> Proposed:
    shown = f"Agent Engine {entry} ({text(dict(engine), 'displayName') or 'no name'})"[:200]
    identity = text(dict(engine), "spec", "effectiveIdentity")
    params: dict[str, Json] = {
        "engine": path_of(project, entry),
        "location": entry.partition("/")[0],
        "created": text(dict(engine), "createTime"),
        "identity": identity,
    }
    target = project.target("gcp-agent-engine", f"engine/{entry}", shown, **params)
    targets = {"block_callers": agent_engine_callers.with_granted(project, target)}
    steps = [
        Proposal(
            f"{verb}:engine/{entry}", spec.name, targets.get(verb, target), settle_s=project.settle_s(spec)
        )
        for verb, spec in _PROVEN
    ]
    outlast = _outlast(project, entry, shown, params)
    return Proposed((*steps, outlast), doors=_identity(project, found, entry, identity))


def _outlast(project: Project, entry: str, shown: str, params: Mapping[str, Json]) -> Proposal:
    """Propose to wait for what is being answered: its time begins when nobody may ask any more."""
    window_s = max(1, round(agent_engine_queries.WINDOW_S * project.settings.settle_factor))
    short = window_s <= agent_engine_queries.PATIENCE_S
    blocked_s = project.settle_s(agent_engine_callers.SPEC)
    label = f"queries that {shown} is answering"[:200]
    return Proposal(
        key=f"outlast_queries:engine/{entry}",
        action=agent_engine_queries.OUTLAST.name,
        target=project.target("gcp-agent-engine", f"queries/{entry}", label, **params, window_s=window_s),
        after=(WaitFor(f"block_callers:engine/{entry}", BLOCK_S),),
        best_grade=Grade.READ_BACK if short else Grade.NONE,
        settle_s=blocked_s + (window_s if short else 0),
        window_s=None if short else window_s,
    )


def _identity(project: Project, found: Found, entry: str, identity: str) -> tuple[ProposedDoor, ...]:
    """Return a door where no step acts on who the engine is; one of its own is found with the principals."""
    named = {*found.identities, *found.of("service_accounts")}
    if not identity or identity in named or "/reasoningEngines/" in identity:
        return ()
    if _SERVICE_AGENT in identity:
        reason = f"it acts as {identity}, which all engines of {project.id} share and nothing disables"
        remedy = "take its roles away, and give the engine an identity of its own"
    else:
        reason = f"it acts as {identity}, which the inventory does not name"
        remedy = "name it under service_accounts, and plan again"
    return (_door(f"identity of Agent Engine {entry}", DoorKind.PRIVILEGED, reason, remedy),)


def _callers(project: Project, found: Found) -> Proposed:
    """Return a door where others may query every engine by the project's own policy."""
    ours = frozenset(f"serviceAccount:{one}" for one in (*found.identities, *found.of("service_accounts")))
    try:
        members = agent_engine_callers.project_callers(project, ours)
    except ProviderError as error:
        return Proposed(incomplete=(f"who may query engines by the project's policy: {error}"[:500],))
    if not members:
        return Proposed()
    more = f" and {len(members) - _SHOWN} more" if len(members) > _SHOWN else ""
    reason = f"may query it by the project's policy: {', '.join(members[:_SHOWN])}{more}"[:800]
    remedy = f"deny them {agent_engine_callers.QUERY} by a deny policy, or take the role away"
    doors = tuple(
        _door(f"callers of Agent Engine {entry}", DoorKind.NO_STEP, reason, remedy)
        for entry in found.of("agent_engines")
    )
    return Proposed(doors=doors)


def _door(name: str, kind: DoorKind, reason: str, remedy: str) -> ProposedDoor:
    return ProposedDoor(
        Door(
            kind=kind,
            name=name,
            reason=reason,
            remedy=remedy,
            owner="",
            closed_by=(),
            verdict=Verdict.UNKNOWN,
        )
    )


ACTION_CLASSES = (
    agent_engine_callers.BlockCallers,
    agent_engine_queries.CancelQueries,
    agent_engine_idle.IdleEngine,
    agent_engine_boxes.PauseSandboxes,
    agent_engine_queries.OutlastQueries,
)
SPECS = (*(spec for _, spec in _PROVEN), agent_engine_queries.OUTLAST)
