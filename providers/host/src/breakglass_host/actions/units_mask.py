"""``host.systemd.mask_units``: systemd refuses to start the agent's units, whoever asks it to."""

from __future__ import annotations

from collections.abc import Mapping

from breakglass.canon import Json
from breakglass.model.action import (
    ActionSpec,
    Authority,
    Capability,
    Grade,
    Judgement,
    Reversibility,
    Source,
)
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host import cgroup, safepath, setaside
from breakglass_host.setaside import Place
from breakglass_host.systemd import mask, relations, systemctl, unit_name, unit_state

SPEC = ActionSpec(
    name="host.systemd.mask_units",
    capability=Capability.BLOCK_RELAUNCH,
    summary="Masks the agent's units above every other unit file, so that nothing starts them: no restart, no"
    " dependency, no timer, socket, path or bus name; their hooks for stop and failure do not run either.",
    permissions=("root: links in /etc/systemd/system.control, systemctl daemon-reload",),
    blast_radius="Units that require these cannot start. All units are read again from the disk: whatever"
    " somebody changed there without a daemon-reload takes effect. A masked slice refuses all that is in it.",
    reversibility=Reversibility.FULL,
    undo="Removes its own links, reads the units again, and has systemd start what was active; a scope, and a"
    " job that was in the middle, stay ended. A mask that was there stays.",
    settle_s=0.0,
    best_grade=Grade.PLATFORM_EVALUATOR,
    example="host.systemd.mask_units units of support-bot.service",
    sources=(
        Source(
            "proof",
            Authority.VENDOR_TEXT,
            "systemd.unit(5), UNIT FILE LOAD PATH; org.freedesktop.systemd1(5)",
        ),
        Source("proof", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_relaunch.py: systemd 252"),
        Source("undo", Authority.REAL_SYSTEM, "providers/host/tests/test_s_units_restore.py: systemd 252"),
    ),
)
_RAN = frozenset({"active", "activating", "reloading"})
START_S = 10.0


class MaskUnits:
    """Link, reload, ask systemd."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read every unit, also those that appeared since; seal the files of what is not masked yet."""
        return observe(resource, self._connection)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - systemd takes no client token; a link that stands there is not made twice
        """Make the links that are missing, and have systemd read them."""
        found = unit_state.entries(before)
        for place in _strange(found, self._connection):
            setaside.apply(place, before)
        mask.put(found)
        systemctl.reload()

    def judge(self, resource: Resource, state: State) -> Judgement:  # noqa: ARG002 - the state names every unit
        """Contained: systemd says of every unit that it is masked."""
        return unit_state.judge_masked(state)

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:  # noqa: ARG002 - links and units are read again
        """Remove our links, read the units again, start what was active.

        Raises:
            Transient: a socket that was on is still masked by this stop.
        """
        found = unit_state.entries(before)
        outcomes = self._put_strange_back(found, before) | unmask(found, before)
        if any(not key.startswith("unit:") and one is Outcome.RESTORED for key, one in outcomes.items()):
            systemctl.reload()
        _sockets_first(resource)
        reasons = []
        for name, unit in found.items():
            if outcomes.get(f"unit:{name}") is Outcome.DRIFTED:
                continue  # what somebody put there since is theirs to start
            if (done := _run_again(name, unit)) is not None:
                outcomes[f"run:{name}"], reason = done
                reasons.append(f"{name} {reason}")
        _remove_cgroup(safepath.text_param(resource, "cgroup"), found)
        return Reversal(outcomes, "; ".join(reasons[:5]) or "nothing of it was active before the stop")

    def _put_strange_back(self, found: Mapping[str, Mapping[str, Json]], before: State) -> dict[str, Outcome]:
        """Put back what stood where our link had to be."""
        outcomes: dict[str, Outcome] = {}
        for place in _strange(found, self._connection):
            mask.drop(place.folder, place.name)
            outcomes[place.path], _ = setaside.put_back(place, before)
        return outcomes

    def probe(self, resource: Resource) -> Judgement | None:
        """Ask systemd for the refusal that a start would get."""
        return unit_state.ask(relations.closed_over(unit_state.signed(resource)))


def observe(resource: Resource, connection: Connection) -> State:
    """Read the signed units, and all that belongs to them by now."""
    objects = unit_state.read(relations.closed_over(unit_state.signed(resource)), connection.sealed)
    for place in _strange(unit_state.entries(State(objects)), connection):
        objects |= setaside.observe(place).objects
    objects |= mask.folders()
    if why := mask.cannot_last():
        objects["place"] = why
    return State(objects)


def unmask(found: Mapping[str, Mapping[str, Json]], before: State) -> dict[str, Outcome]:
    """Take our links away and have systemd notice; says unit by unit what was done."""
    outcomes = {f"unit:{name}": mask.take_away(name, unit) for name, unit in found.items()}
    mask.leave(before.objects)
    shown = systemctl.show([name for name in found if not unit_name.is_template(name)])
    changed = Outcome.RESTORED in outcomes.values()
    # After a crash between the links and the reload the links are gone, and systemd does not know.
    forgotten = [one for one in shown if one["LoadState"] == "masked" and _is_ours(one, found)]
    if changed or forgotten or any(_is_lost(one, found) for one in shown):
        systemctl.reload()
        outcomes |= {f"unit:{one['Id']}": Outcome.RESTORED for one in forgotten if one["Id"] in found}
    return outcomes


def _strange(found: Mapping[str, Mapping[str, Json]], connection: Connection) -> tuple[Place, ...]:
    """Return where something else than a mask stands under the name of a link of ours."""
    return tuple(
        Place(f"{mask.LASTING}/{name}", connection.incident, connection.sealed, keeps_copy=True)
        for name, unit in found.items()
        if unit.get(mask.LASTING) == "other"
    )


def _sockets_first(resource: Resource) -> None:
    """Start the sockets that were on: systemd refuses to start one whose service runs already."""
    sockets = unit_state.signed(resource, "sockets")
    for one in unit_state.unmasked(sockets, resource.id):
        if one["LoadState"] == "loaded" and one["ActiveState"] in unit_state.ENDED:
            systemctl.order("start", (one["Id"],))


def _remove_cgroup(path: str, found: Mapping[str, Mapping[str, Json]]) -> None:
    """Remove the empty cgroup that the cut of egress made, if systemd has no use for it."""
    hierarchy = cgroup.writable()
    plain = [name for name in found if not unit_name.is_template(name)]
    shown = systemctl.show(plain)
    if hierarchy is not None and path and all(one["ActiveState"] in unit_state.ENDED for one in shown):
        hierarchy.remove(path)


def _is_ours(one: systemctl.Shown, found: Mapping[str, Mapping[str, Json]]) -> bool:
    """Return whether systemd still holds a mask that lies nowhere any more."""
    place, _, name = one.get("FragmentPath", "").rpartition("/")
    return place in mask.PLACES and name in found and mask.links(name)[place] == "absent"


def _is_lost(one: systemctl.Shown, found: Mapping[str, Mapping[str, Json]]) -> bool:
    """Return whether systemd cannot find what was there before: its file may have gone, or our link."""
    return one["LoadState"] in unit_state.LOST and found.get(one["Id"], {}).get("load") == "loaded"


def _run_again(name: str, unit: Mapping[str, Json]) -> tuple[Outcome, str] | None:  # noqa: PLR0911 - each way that a unit can have ended is told apart
    """Start what was active, once; None: it was not, or it is only another name."""
    if unit_name.is_template(name) or unit.get("id") != name or unit_name.suffix(name) in unit_name.TRIGGERS:
        return None
    (now,) = systemctl.show((name,))
    was, failed_now = str(unit.get("active")), now["ActiveState"] == "failed"
    if was not in _RAN:
        if was == "inactive" and failed_now:
            systemctl.order("reset-failed", (name,))
            return Outcome.RESTORED, "is inactive, as it was"
        return None
    if now["ActiveState"] in _RAN:
        return Outcome.ALREADY, "runs"
    if (off := _turned_off(unit, now)) is not None:
        return off
    if unit_name.suffix(name) == "scope" or now["LoadState"] != "loaded":
        return Outcome.ENDED, "has ended: whoever made it makes it again"
    if was == "activating" and unit.get("type") == "oneshot":
        if failed_now:
            systemctl.order("reset-failed", (name,))
        return Outcome.ENDED, "was in the middle of its job: what starts it starts it again"
    if failed_now and not unit.get("transient"):  # of a transient one systemd would remove the file with it
        systemctl.order("reset-failed", (name,))
    if why := systemctl.order("start", (name,), "--no-block"):
        return Outcome.CANNOT, f"could not be started: {why}"
    (late,) = systemctl.await_active((name,), frozenset({"active", "failed"}), START_S)
    if late["ActiveState"] == "failed":
        return Outcome.CANNOT, "was started and failed"
    return Outcome.RESTORED, "is started again"


def _turned_off(unit: Mapping[str, Json], now: systemctl.Shown) -> tuple[Outcome, str] | None:
    """Return what to say where somebody turned it off, before the stop or since."""
    if now["LoadState"] == "masked":
        return Outcome.ALREADY, "is masked by others: it stays ended"
    if unit_state.disabled_since(unit, now):
        return Outcome.DRIFTED, "was disabled meanwhile: it stays ended"
    return None


ACTION_CLASSES = (MaskUnits,)
