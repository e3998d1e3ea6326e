"""Gathers what is the agent's: what the inventory names, what carries its label, what it made for itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from breakglass.errors import ProviderError
from breakglass.model.action import Verdict
from breakglass.model.plan import Door, DoorKind, NotTouched
from breakglass.provider import Proposed, ProposedDoor
from breakglass_gcp.discover import accounts, audit, labels, let_in, made, strangers
from breakglass_gcp.discover.accounts import Accounts
from breakglass_gcp.discover.reads import Survey, regions, survey
from breakglass_gcp.discover.users import MOST_LEVELS, Users, users
from breakglass_gcp.found import Found
from breakglass_gcp.inventory import SETTINGS
from breakglass_gcp.project import Project
from breakglass_gcp.since_harm import SinceHarm

UNKNOWN_START_S = 86_400
"""Where nobody said when the harm began, the last day is read."""
BEFORE_S = 900
MOST_ROUNDS = 4
"""Accounts that accounts of the agent's made, and so on: so often the log is read again."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is the agent's, and what must be said of how it was found."""

    found: Found
    proposed: Proposed


@dataclass(slots=True)
class _Gathering:
    names: dict[str, list[str]]
    origins: dict[tuple[str, str], str] = field(default_factory=dict)
    incomplete: list[str] = field(default_factory=list)
    harm: SinceHarm = field(default_factory=SinceHarm)

    def add(self, key: str, name: str, origin: str) -> bool:
        """Count a name as the agent's; one that is known keeps its first origin, and is no news."""
        known = self.names.setdefault(key, [])
        if name in known:
            return False
        known.append(name)
        self.origins[key, name] = origin
        return True

    def doubt(self, touched: made.Touched) -> None:
        """Say of what carries the label that the agent itself changed it: it may be an innocent's."""
        for (key, name), origin in self.origins.items():
            at = made.when(touched, key, name)
            if at and origin.startswith("labelled"):
                self.origins[key, name] = f"{origin}; changed by the agent itself at {at}: look whose it is"


def gather(project: Project) -> Gathered:
    """Gather; whatever cannot be read is noted and the rest goes on."""
    gathering = _Gathering({one.name: list(project.settings.texts(one.name)) for one in SETTINGS})
    agent = project.connection.agent.name
    seen = survey(project)
    gathering.incomplete += seen.incomplete
    for thing in labels.labelled(seen.things, agent):
        gathering.add(thing.key, thing.name, labels.origin_of(agent))
    read, doors, touched = _follow(project, gathering, seen)
    found = Found(
        names={key: tuple(names) for key, names in gathering.names.items() if names},
        origins=gathering.origins,
        identities=read.identities,
    )
    others = users(project, found, seen.things, project.connection.since, touched)
    whole = Found(found.names, found.origins, found.identities, others.before, others.late, gathering.harm)
    return Gathered(
        whole,
        Proposed(
            doors=(*doors, *_late(others)),
            not_touched=(*read.not_touched, *_elsewhere(project, seen)),
            incomplete=(*gathering.incomplete, *read.incomplete),
        ),
    )


def _follow(
    project: Project, gathering: _Gathering, seen: Survey
) -> tuple[Accounts, Sequence[ProposedDoor], made.Touched]:
    """Read accounts and what they made; accounts that they made are theirs, and are followed in turn."""
    clock = project.connection.clock
    since = (project.connection.since or clock.now().plus(-UNKNOWN_START_S)).plus(-BEFORE_S)
    end_s = clock.monotonic_s() + audit.SCAN_S
    read = accounts.read(project, gathering.names["service_accounts"])
    pools = project.settings.texts("workload_pools")
    trail = audit.Trail()
    for _ in range(MOST_ROUNDS):
        who = [*gathering.names["service_accounts"], *gathering.names["principals"]]
        if not (who or pools):
            return read, (), {}
        try:
            trail = audit.read(project, who, since, end_s)
        except ProviderError as error:
            if trail.events:
                trail.incomplete.append(f"what accounts that it made did: {error.what}"[:500])
                break
            gathering.incomplete.append(f"what the agent made for itself: {error.what}"[:500])
            gathering.harm = SinceHarm(doubts=(f"the audit log cannot be read: {error.what}"[:300],))
            return read, (), {}
        events = audit.own(trail.events, who, pools)
        before = len(gathering.names["service_accounts"])
        for one in made.accounts(events):
            if one.name != project.me:
                gathering.add(one.key, one.name, one.origin)
        if len(gathering.names["service_accounts"]) == before:
            break
        read = accounts.read(project, gathering.names["service_accounts"])
    gathering.incomplete += trail.incomplete
    is_agents = audit.by_any([*who, *gathering.names["service_accounts"]], pools)
    gathering.harm = let_in.let_in(
        trail.events, project.connection.since, is_agents, project.me, trail.incomplete
    )
    for one in made.things(events):
        gathering.add(one.key, one.name, one.origin)
    touched = made.changed(events)
    gathering.doubt(touched)
    own = [*who, *(one.unique_id for one in read.identities.values())]
    things = [made.logged(key, name) for key, name in _own_things(gathering, seen)]
    doors = strangers.doors(events, own, things, project.me)
    return read, (*doors, *strangers.used(events, own, pools)), touched


def _own_things(gathering: _Gathering, seen: Survey) -> frozenset[tuple[str, str]]:
    """Return what is the agent's by key and name, with what its services made for it."""
    found = {(key, name) for key, names in gathering.names.items() for name in names}
    for _ in range(MOST_LEVELS):
        found |= {part for one in seen.things if (one.key, one.name) in found for part in one.parts}
    return frozenset(found)


def _late(others: Users) -> Sequence[ProposedDoor]:
    """Return the doors of what began to use the agent's account after the harm began."""
    return [
        ProposedDoor(
            Door(
                DoorKind.NO_STEP,
                one[:200],
                f"it was made after the harm began, or the agent changed it, and acts as {email}"[:500],
                "look who made it; name it in the inventory if it is the agent's, and stop again",
                email[:200],
                (),
                Verdict.UNKNOWN,
            )
        )
        for email, late in others.late.items()
        for one in late
    ]


def _elsewhere(project: Project, seen: Survey) -> Sequence[NotTouched]:
    """Say where nobody looked: other users of the agent's accounts may lie there."""
    places = ", ".join(regions(project)) or "none, since `locations` names none"
    reason = f"only these regions are looked at: {places}; {len(seen.things)} things were seen"
    return [NotTouched("work and triggers in other regions", reason[:500])]
