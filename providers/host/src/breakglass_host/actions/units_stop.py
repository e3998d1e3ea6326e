"""``host.systemd.stop_units``: systemd agrees that the agent's units have ended, whatever the freezer did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from breakglass.canon import Json
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
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host import cgroup, tree
from breakglass_host.actions import units_mask
from breakglass_host.systemd import mask, relations, systemctl, unit_name, unit_state

SPEC = ActionSpec(
    name="host.systemd.stop_units",
    capability=Capability.STOP_WORKLOADS,
    summary="Has systemd kill and stop the agent's services, scopes and slices, once they are masked.",
    permissions=("root: systemctl kill, stop",),
    blast_radius="Everything in these units ends at once, without its own stop commands; units that are bound"
    " to them stop too. What was being written stays half-written.",
    reversibility=Reversibility.PARTIAL,
    undo="The undo of the mask has systemd start what was active; what was in memory is lost.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.systemd.stop_units units of support-bot.service",
    destroys_evidence="memory, open files and environment of every process of the units",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "systemctl(1), kill and stop; systemd.kill(5)"),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_relaunch.py: systemd 252"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_restore.py: systemd 252"),
    ),
)
STOP_S = 8.0


class StopUnits:
    """Mask again what lost its mask, kill, stop, and wait until nothing is left."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read every unit with its jobs, its mask and its cgroup."""
        found = units_mask.observe(resource, self._connection)
        hierarchy, paths = cgroup.find(), _paths(resource)
        objects: dict[str, Json] = dict(found.objects)
        for name, unit in unit_state.entries(found).items():
            events = hierarchy.events(paths[name]) if hierarchy and name in paths else None
            objects[f"unit:{name}"] = {**unit, "populated": events is not None and events.populated}
        return State(objects, found.complete, found.note)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - systemd takes no client token; what has ended is not stopped twice
        """Kill first: a masked unit would otherwise be given its whole time to stop."""
        found = unit_state.entries(before)
        if unit_state.judge_masked(before).verdict is not Verdict.CONTAINED:
            mask.put(found)
            systemctl.reload()
        plain = [name for name in found if not unit_name.is_template(name)]
        alive = [name for name in plain if found[name].get("active") not in unit_state.ENDED]
        for name in alive:
            # A unit without processes says so as an error: stop, and the read after it, decide.
            systemctl.order("kill", (name,), "--kill-who=all", "--signal=SIGKILL")
        queued = [name for name in plain if name in alive or found[name].get("job")]
        systemctl.order("stop", queued, "--no-block")
        if queued:
            systemctl.await_active(queued, unit_state.ENDED, STOP_S)
        _empty(resource, [name for name in plain if name not in alive and found[name].get("populated")])
        # The end of a transient unit takes its mask along.
        if any(unit.get("transient") for unit in found.values()):
            mask.put(found)
            systemctl.reload()

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state names every unit
        """Contained: masked, inactive or failed, no job queued, the cgroup empty."""
        masked, ended = unit_state.judge_masked(state), unit_state.judge_ended(state)
        return ended if masked.verdict is Verdict.CONTAINED else masked

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - links are read again
        """Take away what was masked here alone; the undo of the mask starts what was active."""
        found = unit_state.entries(before)
        here = {name: unit for name, unit in found.items() if unit.get(mask.LASTING) == "absent"}
        outcomes = {f"unit:{name}": Outcome.ALREADY for name in found}
        if any("mask" in mask.links(name).values() for name in here):
            outcomes |= units_mask.unmask(here, State({}))
        return Reversal(outcomes, "what was active is started by the undo of the mask")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: an ended unit cannot be asked to try."""
        return None


def places(names: Iterable[str]) -> list[Json]:
    """Return where each unit's processes are, as a target holds it: keys there are words of ours alone.

    Raises:
        ProviderError: systemd did not say.
    """
    return [
        {"unit": name, "path": relations.cgroup_of(name)} for name in names if not unit_name.is_template(name)
    ]


def _paths(resource: Resource) -> Mapping[str, str]:
    found = resource.params.get("cgroups")
    entries = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list | tuple) else []
    pairs = ((str(one.get("unit", "")), str(one.get("path", ""))) for one in entries)
    return {name: path for name, path in pairs if path and not tree.complaint(path)}


def _empty(resource: Resource, names: list[str]) -> None:
    """Kill what an ended unit left behind in its cgroup (KillMode=process leaves processes)."""
    hierarchy, paths = cgroup.writable(), _paths(resource)
    for name in names:
        if hierarchy is not None and name in paths and unit_name.suffix(name) != "slice":
            hierarchy.kill(paths[name])


ACTION_CLASSES = (StopUnits,)
