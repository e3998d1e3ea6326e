"""``host.container.block_restart``: a container's engine starts it again neither at its end nor at boot."""

from __future__ import annotations

from breakglass.errors import ProviderError
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
from breakglass.model.plan import Door, DoorKind
from breakglass.model.resource import Resource, State
from breakglass.provider import Connection, Outcome, Reversal
from breakglass_host.containers import reading
from breakglass_host.containers.engine import Engine
from breakglass_host.containers.facts import Container
from breakglass_host.containers.reading import GONE, Seen
from breakglass_host.systemd import systemctl

SPEC = ActionSpec(
    name="host.container.block_restart",
    capability=Capability.BLOCK_RELAUNCH,
    summary="Sets the restart policy of a container to no, where its engine can change it.",
    permissions=("root: docker update --restart, podman update --restart",),
    blast_radius="The container does not come back by itself, also not when the host starts.",
    reversibility=Reversibility.FULL,
    undo="Sets the policy back to what it was, unless somebody changed it since.",
    settle_s=0.0,
    best_grade=Grade.READ_BACK,
    example="host.container.block_restart docker:support-bot",
    sources=(
        Source("proof", Authority.VENDOR_TEXT, "docs.docker.com: docker container update, --restart"),
        Source("proof", Authority.VENDOR_TEXT, "podman-update(1), --restart: since podman 5.1"),
        Source("undo", Authority.UNVERIFIED, "neither engine that can do it was run by this project"),
    ),
)
RESTART_UNIT = "podman-restart.service"
_NEVER = "no"


class BlockRestart:
    """Change the policy of each container that the name means."""

    spec = SPEC

    def __init__(self, connection: Connection) -> None:
        """Keep nothing but the connection: the target says the rest."""
        self._connection = connection

    def observe(self, resource: Resource) -> State:
        """Read what the name means now, with its policy."""
        return reading.read(resource)

    def apply(self, resource: Resource, before: State, token: str) -> None:  # noqa: ARG002 - engines take no client token; the same policy twice is the same
        """Set each policy to no; one that cannot be changed keeps no other from being changed.

        Raises:
            ProviderError: the engine refused.
        """
        engine = reading.named(resource).engine
        refused = [words for one in reading.seen_in(before) if (words := _set(engine, one, _NEVER))]
        if refused:
            raise ProviderError(refused[0])

    def judge(self, resource: Resource, state: State) -> Judgement:
        """Contained: the engine itself says that none of them starts again."""
        if why := reading.silence(state):
            return Judgement(Verdict.UNKNOWN, why, Grade.NONE)
        for one in reading.seen_in(state):
            if one.status != GONE and one.restart != _NEVER:
                return Judgement(Verdict.NOT_CONTAINED, f"{one.name} has restart policy {one.restart}")
        if limit := resource.params.get("limit"):
            return Judgement(Verdict.CONTAINED, f"restart policy no, but {limit}"[:500], Grade.NONE)
        return Judgement(Verdict.CONTAINED, "restart policy no")

    def revert(self, resource: Resource, before: State, now: State) -> Reversal:
        """Give each container the policy that it had."""
        engine = reading.named(resource).engine
        present = {one.id: one for one in reading.seen_in(now)}
        outcomes = {
            f"container:{one.id}": _give_back(engine, one, present.get(one.id))
            for one in reading.seen_in(before)
        }
        return Reversal(outcomes, "restart policies")

    def probe(self, resource: Resource) -> Judgement | None:  # noqa: ARG002 - the port's signature
        """Return None: waiting for a restart proves less than the policy."""
        return None


def can_update(engine: Engine) -> bool:
    """Return True where the engine can change the policy of a container that exists."""
    if engine.name == "docker":
        return True
    try:
        return b"--restart" in engine.run("update", "--help").out
    except ProviderError:
        return False


def at_boot(label: str, one: Container, units: set[str]) -> tuple[Door, ...]:
    """Name what starts it again at boot where the engine cannot change its policy.

    `units`: those that the inventory names, which have steps of their own.
    """
    if RESTART_UNIT in units or _is_off():
        return ()
    return (
        Door(
            DoorKind.NO_STEP,
            f"{label}: restart policy {one.restart}"[:500],
            "this podman cannot change it: where podman-restart.service is enabled, it starts again at boot",
            f"name unit:{RESTART_UNIT} in the inventory's deployers, or disable it",
            "",
            (),
            Verdict.UNKNOWN,
        ),
    )


def _is_off() -> bool:
    """Return True only where systemd itself says that the unit is not started at boot."""
    if systemctl.absent():
        return False
    try:
        (shown,) = systemctl.show((RESTART_UNIT,))
    except ProviderError:
        return False
    return shown["LoadState"] in ("not-found", "masked") or shown.get("UnitFileState") == "disabled"


def _set(engine: Engine, one: Seen, policy: str) -> str:
    if one.restart in (policy, "") or one.status == GONE:
        return ""
    try:
        engine.order("update", f"--restart={policy}", one.id)
    except ProviderError as error:
        return error.what
    return ""


def _give_back(engine: Engine, before: Seen, now: Seen | None) -> Outcome:
    if before.restart == _NEVER:
        return Outcome.ALREADY
    if now is None or now.status == GONE:
        return Outcome.CANNOT
    if now.restart == before.restart:
        return Outcome.ALREADY
    if now.restart != _NEVER:
        return Outcome.DRIFTED
    if words := _set(engine, now, before.restart):
        raise ProviderError(words)
    return Outcome.RESTORED


ACTION_CLASSES = (BlockRestart,)
